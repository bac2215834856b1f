"""A kernel on paper: what it shows of a lab, and of others' things beside it.

`shown` draws the namespaces of a lab as they look when all of it has been made, with what a kernel
adds by itself: loopbacks, link-local addresses, connected routes, local and learned FDB entries.
`strangers` are what others have there: bridges and interfaces without a mark or with another lab's,
whatever they are called.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from hypothesis import strategies as st
from msgspec.structs import replace

from linkspan.model import host_snapshot as read
from linkspan.model.base import Engine
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.interface_snapshot import Interface
from linkspan.model.kernel_options import Sparse, options_of
from linkspan.model.link import VethEnd, VethLink
from linkspan.model.names import Mark, port_name, switch_side_names, wire_name, with_macs
from linkspan.model.options import OPTIONS, OptionScope
from linkspan.model.state import network_broadcast
from linkspan.model.topology import HOST, Bridge, NodeKind, NodePort, Topology
from linkspan.model.topology import Node as DeclaredNode

LAB: Final = "lab"
COIN: Final[st.SearchStrategy[bool]] = st.booleans()
BRIDGES: Final = ("br0", "br1", "office-bridge-7")
NODES: Final = ("a", "b", "rack2", "a-node-with-a-long-name")
MACS: Final = "02:00:00:00:07:{:02x}"

Shown = dict[str, NamespaceSnapshot]


def switches(scope: OptionScope) -> st.SearchStrategy[dict[str, Any]]:
    """Some options that are on or off."""
    names = [option.name for option in OPTIONS if option.scope is scope and option.type is bool]
    return st.dictionaries(st.sampled_from(names), COIN, max_size=3)


@st.composite
def labs(draw: st.DrawFn) -> Topology:
    """Labs of kernel bridges, on the host and on another one, with nodes wired to them."""
    bridges = {
        name: Bridge(
            engine=Engine.KERNEL,
            node=draw(st.sampled_from([HOST, "rack2"])),
            address=(f"10.{number}.0.254/24", f"fd00:{number}::fe/64")[: draw(st.integers(0, 2))],
            up=draw(COIN),
            mtu=draw(st.sampled_from([1500, 9000])),
            **draw(switches(OptionScope.BRIDGE)),
        )
        for number, name in enumerate(draw(st.sets(st.sampled_from(BRIDGES), min_size=1)))
    }
    nodes = {"rack2": DeclaredNode(kind=NodeKind.HOST)}
    for number, name in enumerate(draw(st.sets(st.sampled_from([HOST, *NODES])))):
        kind = NodeKind.HOST if name in (HOST, "rack2") else NodeKind.CONTAINER
        ports = {
            interface: NodePort(
                bridge=draw(st.sampled_from(sorted(bridges))),
                address=(f"10.{leg}.1.{number}/16",),
                mac=draw(st.sampled_from([None, MACS.format(16 * leg + number)])),
                mtu=draw(st.sampled_from([None, 1400])),
                **draw(switches(OptionScope.PORT)),
            )
            for leg, interface in enumerate(draw(st.sets(st.sampled_from(["eth0", "eth1.5"]))), 100)
        }
        ways = [f"10.{100 + leg}.0.1" for leg in range(len(ports))][:1]
        nodes[name] = DeclaredNode(kind=kind, ports=ports, gateway=tuple(ways))
    links = [
        VethLink(
            ends=(
                VethEnd(node=first, interface=f"wire{number}", address=(f"10.20{number}.0.1/24",)),
                VethEnd(node=second, interface=f"wire{number}b.5"),
            ),
            mtu=draw(st.sampled_from([1500, 1400])),
        )
        for number, (first, second) in enumerate(
            draw(st.lists(st.tuples(*2 * [st.sampled_from([HOST, *nodes])]), max_size=3))
        )
    ]
    return Topology(name=LAB, bridges=bridges, nodes=nodes, links=tuple(links))


def shown(topology: Topology, lab: str = "") -> Shown:
    """The namespaces of a lab that is as it should be, by node."""
    whole = with_macs(topology)
    sides = switch_side_names([link[:2] for link in whole.node_ports()], whole.bridges, lab)
    nodes = {node: Namespace() for node in (HOST, *whole.nodes)}
    for name, bridge in whole.bridges.items():
        place = nodes[bridge.node]
        place.add(name, "bridge", str(bridge.mac), bridge.mtu, name, bridge.up)
        place.interfaces[name] = replace(
            place.interfaces[name], bridge_options=dict(options_of(bridge))
        )
        place.address(name, bridge.address)
    for number, (node, interface, port) in enumerate(whole.node_ports()):
        bridge, mark = whole.bridges[port.bridge], port_name(node, interface)
        mtu = whole.mtu_of(port)
        nodes[node].add(interface, "veth", str(port.mac), mtu, mark)
        nodes[node].address(interface, port.address)
        nodes[bridge.node].add(sides[node, interface], "veth", MACS.format(128 + number), mtu, mark)
        nodes[bridge.node].join(sides[node, interface], port.bridge, options_of(port))
    for end, far, link in whole.wire_ends():
        mark = wire_name((end.node, end.interface), (far.node, far.interface))
        nodes[end.node].add(end.interface, "veth", str(end.mac), link.mtu, mark)
        nodes[end.node].address(end.interface, end.address)
    for node, declared in whole.nodes.items():
        nodes[node].lead(declared.gateway)
    return {node: place.snapshot() for node, place in nodes.items()}


class Namespace:
    """A namespace while it is being drawn, with what the kernel has in it by itself."""

    def __init__(self) -> None:
        self.interfaces: dict[str, Interface] = {}
        self.addresses: list[read.Address] = []
        self.routes: list[read.Route] = []
        self.fdb: list[read.FdbEntry] = []
        self.add("lo", "loopback", "00:00:00:00:00:00", 65536)
        self.addresses.append(_address("127.0.0.1/8", "lo", scope="host"))

    def add(
        self, name: str, kind: str, mac: str, mtu: int, mark: str = "", up: bool = True
    ) -> None:
        """Make an interface; one that is up gets a link-local address."""
        self.interfaces[name] = Interface(
            index=len(self.interfaces) + 1,
            name=name,
            kind=kind,
            mac=mac,
            mtu=mtu,
            up=up,
            carrier=up,
            operstate="up" if up else "down",
            link_type=772 if kind == "loopback" else 1,
            flags=1 if up else 0,
            alias=str(Mark(LAB, mark)) if mark else None,
            mark=Mark(LAB, mark) if mark else None,
        )
        if up and kind != "loopback":
            self.addresses.append(_address(f"fe80::{len(self.addresses):x}/64", name, scope="link"))
            self.routes.append(_connected("fe80::/64", name, None))

    def join(self, port: str, bridge: str, options: Sparse) -> None:
        """Make an interface a port: with a local entry in the FDB and a learned one."""
        self.interfaces[port] = replace(
            self.interfaces[port],
            master=self.interfaces[bridge].index if bridge in self.interfaces else 99,
            master_name=bridge,
            port_options=dict(options),
        )
        for mac, flags in (("02:00:00:00:08:01", ("master", "permanent")), (MACS, ("master",))):
            self.fdb.append(
                read.FdbEntry(mac=mac.format(0), index=1, port=port, bridge=bridge, flags=flags)
            )

    def address(self, interface: str, addresses: tuple[str, ...]) -> None:
        """Add addresses, and the routes to their networks that come with them."""
        for text in addresses:
            network = ipaddress.ip_interface(text)
            self.addresses.append(_address(text, interface))
            self.routes.append(_connected(str(network.network), interface, str(network.ip)))

    def lead(self, gateways: tuple[str, ...]) -> None:
        """Add default routes by the interface in whose network the gateway is."""
        for gateway in gateways:
            (by,) = (
                each.interface
                for each in self.addresses
                if ipaddress.ip_address(gateway) in ipaddress.ip_interface(each.address).network
            )
            self.routes.append(
                read.Route(
                    destination="0.0.0.0/0", gateway=gateway, interface=by, protocol="static"
                )
            )

    def snapshot(self) -> NamespaceSnapshot:
        return NamespaceSnapshot(
            interfaces=tuple(self.interfaces.values()),
            addresses=tuple(self.addresses),
            routes=tuple(self.routes),
            fdb=tuple(self.fdb),
        )


def _address(text: str, interface: str, scope: str = "global") -> read.Address:
    return read.Address(
        address=text,
        index=1,
        interface=interface,
        scope=scope,
        flags=("permanent", "nodad") if ":" in text else ("permanent",),
        broadcast=network_broadcast(text, None) or None,
        label=None if ":" in text else interface,
    )


def _connected(network: str, interface: str, source: str | None) -> read.Route:
    return read.Route(
        destination=network,
        interface=interface,
        protocol="kernel",
        scope="global" if ":" in network else "link",
        metric=256 if ":" in network else 0,
        preferred_source=source if source and ":" not in source else None,
    )


@st.composite
def strangers(draw: st.DrawFn) -> NamespaceSnapshot:
    """What others have in a namespace: bridges, their ports, NICs in anybody's bridges, a port of
    another lab whose node is the host.
    """
    place = Namespace()
    names = [*BRIDGES, "eth0", "a.eth0", "virbr0", "docker0"]
    for number, name in enumerate(draw(st.lists(st.sampled_from(names), unique=True))):
        kind = draw(st.sampled_from(["bridge", "veth", "physical", "tap"]))
        place.add(name, kind, MACS.format(200 + number), 1500, up=draw(COIN))
        alias = draw(
            st.sampled_from([None, "the old one", f"linkspan:{LAB}", f"linkspan:{LAB}2:br0"])
        )
        mark = Mark(f"{LAB}2", "br0") if alias and alias.endswith("br0") else None
        options: Sparse | None = {"ageing_time": 1.0} if kind == "bridge" else None
        place.interfaces[name] = replace(
            place.interfaces[name], alias=alias, mark=mark, bridge_options=options
        )
        place.address(name, (f"172.16.{number}.1/24",))
        if kind != "bridge" and draw(COIN):
            bridge = draw(st.sampled_from([*BRIDGES, "virbr0"]))
            place.join(name, bridge, {"hairpin": True})
            place.fdb.append(
                read.FdbEntry(
                    mac=MACS.format(99), index=1, port=name, bridge=bridge, flags=("static",)
                )
            )
    if draw(COIN):
        for end in ("nic0", "host.nic0"):
            place.add(end, "veth", MACS.format(250), 1500)
            mark = Mark(f"{LAB}2", "host.nic0")
            place.interfaces[end] = replace(place.interfaces[end], alias=str(mark), mark=mark)
        place.join("host.nic0", "docker0", {})
    return place.snapshot()


def beside(ours: NamespaceSnapshot, theirs: NamespaceSnapshot) -> NamespaceSnapshot:
    """Two sets of things in one namespace; of two interfaces of one name there is the first."""
    names = {each.name for each in ours.interfaces}
    return replace(
        ours,
        interfaces=(
            *ours.interfaces,
            *(each for each in theirs.interfaces if each.name not in names),
        ),
        addresses=(
            *ours.addresses,
            *(each for each in theirs.addresses if each.interface not in names),
        ),
        routes=(*ours.routes, *(each for each in theirs.routes if each.interface not in names)),
        fdb=(*ours.fdb, *(each for each in theirs.fdb if each.port not in names)),
    )
