"""What a port of a bridge is and what can be set on it: frozen values.

The options have the names and the defaults of the Linux bridge (`struct net_bridge_port`,
`br_add_if`); the states have its numbers (include/uapi/linux/if_bridge.h).
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from linkspan.types import NO_MAC, Mac, PortNumber

HEADER_BYTES: Final = 14
"""Destination, source and EtherType (IEEE 802.3-2022, 3.1.1)."""

TAG_BYTES: Final = 4
"""One 802.1Q or 802.1ad tag (IEEE 802.1Q-2022, 9.3)."""

MAX_FRAME_BYTES: Final = HEADER_BYTES + 2 * TAG_BYTES + 65535
"""The longest frame that can exist here: a whole IPv4 packet, not yet segmented, in two tags."""

MAC_PAUSE_BIT: Final = 1 << 1
"""Bit of 01:80:c2:00:00:01 in a group_fwd_mask, which no mask may hold (BR_GROUPFWD_MACPAUSE)."""


class PortState(enum.Enum):
    """Spanning-tree state of a port; without spanning tree a port is disabled or forwarding."""

    DISABLED = 0
    LISTENING = 1
    LEARNING = 2
    FORWARDING = 3
    BLOCKING = 4


class PortOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What can be set on a port.

    Raises ValueError for a mask or an MTU that cannot be.
    """

    learning: bool = True
    """Learn source addresses from what comes in."""
    unicast_flood: bool = True
    """Take frames to unknown unicast destinations."""
    multicast_flood: bool = True
    """Take multicast; frames that the host itself sends are taken all the same."""
    broadcast_flood: bool = True
    """Take broadcast; frames that the host itself sends are taken all the same."""
    hairpin: bool = False
    """Send a frame back out of the port that it came from."""
    isolated: bool = False
    """Exchange no frames with other isolated ports."""
    group_fwd_mask: int = 0
    """Bit X set: forward 01:80:c2:00:00:0X that comes in here. Bit 1 (pause) cannot be set."""
    mtu: int = 0
    """Longest payload in bytes that the port can send; 0 is unlimited."""

    def __post_init__(self) -> None:
        if not 0 <= self.group_fwd_mask <= 0xFFFF or self.group_fwd_mask & MAC_PAUSE_BIT:
            raise ValueError(
                f"group_fwd_mask {self.group_fwd_mask:#x}: expected 16 bits without bit 1 (pause)"
            )
        if self.mtu < 0:
            raise ValueError(f"mtu {self.mtu}: expected a number of bytes, or 0 for unlimited")


class Port(msgspec.Struct, frozen=True):
    """One port. A change makes a new value, so that a port in hand never changes under a reader."""

    number: PortNumber
    name: str
    mac: Mac = NO_MAC
    """Address of the interface that carries the port, which is then the host's own; none for a
    port without an interface on the host, such as a tap inside a container or a socket."""
    options: PortOptions = PortOptions()
    state: PortState = PortState.FORWARDING

    @property
    def longest_frame(self) -> int:
        """Longest frame in bytes, its outermost tag not counted, that the port sends whole: MTU,
        header and the length of a tag, whether the frame has one or not (`is_skb_forwardable`,
        net/core/dev.c, where a tag that `skb_vlan_untag` took off is not in the length)."""
        mtu = self.options.mtu
        return mtu + HEADER_BYTES + TAG_BYTES if mtu else MAX_FRAME_BYTES
