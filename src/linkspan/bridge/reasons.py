"""Every end that a frame can come to: one table, from which docs/reasons.md is written.

No frame vanishes. Each verdict names one `Reason`; each port that a frame was kept from has one
too; what the engine itself must drop (a full queue, a bad offload header) is counted under one.
Where the kernel has a name for the same end (include/net/dropreason-core.h, as seen in
`perf trace -e skb:kfree_skb` or dropwatch), ours is that name, so that a reader of both engines
learns one vocabulary.
"""

from __future__ import annotations

import enum
from typing import Final


class Stage(enum.Enum):
    """Who ends the frame, and thus how to read the reason."""

    OUTCOME = "The frame went on"
    REPORT = "Reported beside the verdict, the frame goes on"
    INGRESS = "Ended where it came in"
    EGRESS = "Kept from a port"
    ENGINE = "Ended by the engine that moves the frames"


_KERNEL: Final = True
_OURS: Final = False


class Reason(enum.Enum):
    """How a frame ended. A row: where it ends, whether the name is the kernel's, what it means."""

    FORWARDED = (
        Stage.OUTCOME,
        _OURS,
        "The destination is known behind another port, and the frame went there alone.",
    )
    FLOODED_UNKNOWN_UNICAST = (
        Stage.OUTCOME,
        _OURS,
        "The destination has not been seen yet, so the frame went to every port that takes "
        "unknown unicast; the first answer ends the flooding.",
    )
    FLOODED_MULTICAST = (
        Stage.OUTCOME,
        _OURS,
        "The destination is a multicast group, so the frame went to every port that takes "
        "multicast, and to the host.",
    )
    FLOODED_BROADCAST = (
        Stage.OUTCOME,
        _OURS,
        "The destination is everybody, so the frame went to every port that takes broadcast, "
        "and to the host.",
    )
    TO_HOST = (
        Stage.OUTCOME,
        _OURS,
        "The frame is for the host's own stack (an address of the bridge or of one of its ports, "
        "or a group that no other port could take) and went there alone.",
    )
    LINK_LOCAL_TO_HOST = (
        Stage.OUTCOME,
        _OURS,
        "The destination 01:80:c2:00:00:0X is meant for the neighbour on this very link, so only "
        "the host sees the frame; group_fwd_mask lets such frames through.",
    )

    OWN_ADDRESS = (
        Stage.REPORT,
        _OURS,
        "A frame came in with an address of the bridge itself as its source: look for a loop, or "
        "for a station with a copied MAC address.",
    )

    PKT_TOO_SMALL = (
        Stage.INGRESS,
        _KERNEL,
        "The frame is shorter than an Ethernet header (14 bytes).",
    )
    HDR_TRUNC = (
        Stage.INGRESS,
        _KERNEL,
        "The frame announces an 802.1Q or 802.1ad tag and ends inside it.",
    )
    BRIDGE_DOWN = (
        Stage.INGRESS,
        _OURS,
        "The bridge is down; set it up and it forwards again.",
    )
    INGRESS_UNKNOWN = (
        Stage.INGRESS,
        _OURS,
        "The frame came from a port that the bridge does not have (any more).",
    )
    MAC_INVALID_SOURCE = (
        Stage.INGRESS,
        _KERNEL,
        "The source address is a group or all zeros, which no station may send from.",
    )
    MAC_IEEE_MAC_CONTROL = (
        Stage.INGRESS,
        _KERNEL,
        "The destination 01:80:c2:00:00:01 is for pause frames, which never leave their link.",
    )
    BRIDGE_INGRESS_STP_STATE = (
        Stage.INGRESS,
        _KERNEL,
        "The state of the ingress port does not let frames in; while it is learning, the address "
        "is still learned.",
    )
    NO_TX_TARGET = (
        Stage.INGRESS,
        _KERNEL,
        "The frame was to be flooded and no port could take it; the ports that were considered "
        "say why.",
    )

    SAME_PORT = (
        Stage.EGRESS,
        _OURS,
        "The destination is behind the port that the frame came from; hairpin on that port would "
        "send it back.",
    )
    EGRESS_STP_STATE = (
        Stage.EGRESS,
        _OURS,
        "The egress port is not forwarding.",
    )
    ISOLATED = (
        Stage.EGRESS,
        _OURS,
        "Both ports are isolated, and isolated ports only talk to ports that are not.",
    )
    UNICAST_FLOOD_OFF = (
        Stage.EGRESS,
        _OURS,
        "The destination is unknown and the port has unicast_flood off.",
    )
    MULTICAST_FLOOD_OFF = (
        Stage.EGRESS,
        _OURS,
        "The frame is multicast and the port has multicast_flood off.",
    )
    BROADCAST_FLOOD_OFF = (
        Stage.EGRESS,
        _OURS,
        "The frame is broadcast and the port has broadcast_flood off.",
    )
    PKT_TOO_BIG = (
        Stage.EGRESS,
        _KERNEL,
        "The frame is longer than the MTU of the egress port allows, or than any frame may be; "
        "give both ends of the path the same MTU.",
    )
    HOST_DOWN = (
        Stage.EGRESS,
        _OURS,
        "The frame is for the host, and the bridge's own port is absent or down.",
    )

    FULL_RING = (
        Stage.ENGINE,
        _KERNEL,
        "The queue of the egress port is full: its reader is slower than its senders.",
    )
    QDISC_DROP = (
        Stage.ENGINE,
        _KERNEL,
        "The line of the port is to lose frames (`loss`), and chance had it that it was this one.",
    )
    DEV_READY = (
        Stage.ENGINE,
        _KERNEL,
        "The egress port is down, or its peer has gone away.",
    )
    DEV_HDR = (
        Stage.ENGINE,
        _KERNEL,
        "The offload header (virtio_net_hdr) in front of the frame contradicts the frame.",
    )
    SKB_GSO_SEG = (
        Stage.ENGINE,
        _KERNEL,
        "The egress port has no offloads and the frame could not be cut into segments for it.",
    )

    stage: Stage
    is_kernel_name: bool
    text: str
    forwarded: bool
    """Whether the frame went on; False for every drop and for reports."""

    def __init__(self, stage: Stage, is_kernel_name: bool, text: str) -> None:
        self.stage = stage
        self.is_kernel_name = is_kernel_name
        self.text = text
        self.forwarded = stage is Stage.OUTCOME


def write_reasons() -> str:
    """The text of docs/reasons.md."""
    lines = [
        "# How a frame can end",
        "",
        "Written from the table in `src/linkspan/bridge/reasons.py` "
        "(`python -m linkspan.bridge.reasons > docs/reasons.md`). "
        "Names marked *kernel* are those of the kernel's own drop reasons.",
    ]
    for stage in Stage:
        lines += ["", f"## {stage.value}", "", "| reason | name | meaning |", "| --- | --- | --- |"]
        lines += [
            f"| `{reason.name}` | {'kernel' if reason.is_kernel_name else 'linkspan'} "
            f"| {reason.text} |"
            for reason in Reason
            if reason.stage is stage
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(write_reasons(), end="")
