"""Facts of the network stack of a node: its settings, addresses and routes."""

from __future__ import annotations

import ipaddress

from linkspan.model.fact import Key, Value


def ipv6_switch(interface: str) -> str:
    """The setting that keeps IPv6 off an interface when it is 1; its addresses go then, too."""
    return f"net/ipv6/conf/{interface}/disable_ipv6"


def network_broadcast(address: str, peer: str | None) -> str:
    """The broadcast address that an address with its prefix length has unless one says otherwise:
    that of its network, empty where there is none.
    """
    interface = ipaddress.ip_interface(address)
    if interface.version == 6 or interface.network.prefixlen >= 31 or peer is not None:
        return ""
    return str(interface.network.broadcast_address)


class AddressKey(Key, frozen=True):
    """An address of an interface, with its prefix length."""

    node: str
    interface: str
    address: str

    @property
    def place(self) -> tuple[str, str, str]:
        """What no other address can have beside this one: the kernel has an IPv6 address once on an
        interface, whatever its prefix length (ipv6_add_addr, net/ipv6/addrconf.c).
        """
        ip, _, _ = self.address.partition("/")
        return (self.node, self.interface, ip if ":" in ip else self.address)


class Address(Value, frozen=True):
    scope: str = "global"
    peer: str | None = None
    label: str | None = None
    metric: int = 0
    """Of the connected route; 0 is the kernel's choice."""
    connected_route: bool = True
    """Whether the kernel makes a route to the prefix (without IFA_F_NOPREFIXROUTE)."""
    broadcast: str = "network"
    """The broadcast address; `network` for that of its network, empty for none."""
    checked: bool = False
    """IPv6: whether it counts as checked for duplicates (without IFA_F_NODAD)."""
    flags: tuple[str, ...] = ()
    """IPv6: home and autojoin, by the names of ip(8)."""
    valid_until: float | None = None
    """Seconds since 1970-01-01 UTC; None for ever."""
    preferred_until: float | None = None


class UpKey(Key, frozen=True):
    """The administrative state of an interface."""

    node: str
    interface: str


class Up(Value, frozen=True):
    up: bool


class RouteKey(Key, frozen=True):
    """A route, by what the kernel tells routes apart by: `0.0.0.0/0` and `::/0` are default."""

    node: str
    destination: str
    metric: int = 0
    table: int = 254


class Route(Value, frozen=True):
    interface: str | None
    gateway: str | None = None
    source: str | None = None
    onlink: bool = False
    scope: str = "global"
    protocol: str = "static"
    kind: str = "unicast"
    preference: str = "medium"
    """IPv6: low, medium or high (RFC 4191)."""
    metrics: dict[str, int] = {}
    """mtu, advmss, … (RTAX_*), by the names of ip(8)."""


class SettingKey(Key, frozen=True):
    """A sysctl of a node, such as `net/ipv4/ip_forward`."""

    node: str
    name: str


class Setting(Value, frozen=True):
    text: str


def interface_of_setting(setting: str) -> str | None:
    """The interface that a setting such as `net/ipv6/conf/eth0/accept_ra` is about."""
    match setting.split("/"):
        case ["net", "ipv4" | "ipv6", "conf", interface, _]:
            return None if interface in ("all", "default") else interface
        case _:
            return None
