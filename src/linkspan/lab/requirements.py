"""What has to be so before a lab is touched: programs that it needs are there, and in scope host
nobody else has the networks and ports that its services need.

Whether a port is free is asked of the kernel by taking it as dnsmasq would (IP_FREEBIND, ip(7),
since the bridge's address is not there yet; bound to an interface for DHCP, so that the servers of
other bridges are not in the way).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_interface, ip_network
from typing import Final

from linkspan.engine.reading.dump import Dumps
from linkspan.engine.reading.namespace import read_namespace
from linkspan.engine.user.devices import TUN_DEVICE, may_open_tap
from linkspan.errors import Fault, Missing, Mistake
from linkspan.lab.find import Place
from linkspan.lab.records import Records
from linkspan.lab.surroundings import surroundings
from linkspan.model.flaw import label
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.position import Path
from linkspan.model.rules import RulesKey
from linkspan.model.state import ServiceKey, State, WireguardKey
from linkspan.model.topology import HOST, Bridge, Scope, Topology
from linkspan.plan.services import SERVER
from linkspan.services.container_requirements import require_containers
from linkspan.services.nftables import require_nftables
from linkspan.services.programs import require_programs
from linkspan.services.requirements import require_machines
from linkspan.services.wireguard import require_wireguard

_IP_FREEBIND, _IPV6_FREEBIND, _SOL_IPV6 = 15, 78, 41
"""include/uapi/linux/in.h and in6.h."""

DNS_PORT: Final = 53
DHCP_PORT: Final = 67


def require(place: Place, topology: Topology, wanted: State) -> State:
    """What is wanted, and what the machine as it is asks for in addition. Raises Missing for a
    program that is not there, Mistake for what others have already, or what is in the way.
    """
    require_programs(wanted)
    if any(isinstance(key, WireguardKey) for key in wanted):
        require_wireguard()
    if any(isinstance(key, RulesKey) for key in wanted):
        require_nftables()
    _require_tun(topology)
    require_machines(topology)
    require_containers(topology)
    if topology.scope is Scope.SANDBOX:
        return wanted
    there = Records(place.folder).applied() if place.is_alive else {}
    with Dumps() as dumps:
        machine = read_namespace(dumps)
    faults = [
        fault
        for name, bridge in topology.bridges.items()
        if bridge.node == HOST and (bridge.dhcp or bridge.dns or bridge.forward)
        for fault in [
            *_overlaps(place.name, name, bridge, machine),
            *(_taken(name, bridge) if ServiceKey(SERVER, HOST, name) not in there else ()),
        ]
    ]
    faults += _names_taken(place, topology, machine)
    more, in_the_way = surroundings(topology, wanted, there, machine)
    if faults or in_the_way:
        raise Mistake(*faults, *in_the_way)
    return {**more, **wanted}


def _require_tun(topology: Topology) -> None:
    """Raises Missing when a tap is declared and none can be made."""
    for name, bridge in topology.bridges.items():
        for tap in (each for each, port in bridge.ports.items() if port.is_tap):
            if not may_open_tap():
                raise Missing(
                    f"bridge {name}, port {tap}: a tap needs {TUN_DEVICE}, which can't be opened\n"
                    "  next: load the kernel module tun, or let this user open it; or write "
                    "`kind: stream` at the port"
                )


def _names_taken(place: Place, topology: Topology, machine: NamespaceSnapshot) -> Iterator[Fault]:
    """Interfaces of others that have the names of those to come."""
    if Records(place.folder).journal() is not None:
        return  # what was made and not marked yet is nobody else's
    for name, path in _names(topology):
        found = machine.interface(name)
        if found is not None and (found.mark is None or found.mark.lab != place.name):
            yield Fault(
                f"{label(path)}: there is an interface {name} already, which is not this lab's",
                expected="a name that no interface of this machine has",
                next_step=f"choose another name, or remove it first (ip link delete {name})",
                path=path,
            )


def _names(topology: Topology) -> Iterator[tuple[str, Path]]:
    """Names of interfaces that come to be on the machine, and where the file says them."""
    for name, bridge in topology.bridges.items():
        if bridge.node == HOST:
            yield name, ("bridges", name)
            taps = [port for port, declared in bridge.ports.items() if declared.is_tap]
            yield from ((port, ("bridges", name, "ports", port)) for port in taps)
    for node, interface, _ in topology.node_ports():
        if node == HOST:
            yield interface, ("nodes", node, "ports", interface)
    for number, wire in topology.wires():
        for which, end in enumerate(wire.ends):
            if end.node == HOST:
                yield end.interface, ("links", number, "ends", which)
    for number, link in topology.wireguards():
        if link.node == HOST:
            yield link.name, ("links", number, "name")


def _overlaps(lab: str, name: str, bridge: Bridge, machine: NamespaceSnapshot) -> Iterator[Fault]:
    """Routes of others to the networks that a bridge serves, or lets out."""
    ours = {
        interface.name
        for interface in machine.interfaces
        if interface.mark is not None and interface.mark.lab == lab
    }
    for own in (ip_interface(text).network for text in bridge.address):
        for route in machine.routes:
            other = ip_network(route.destination)
            if other.version != own.version or not other.prefixlen or other.is_link_local:
                continue
            if route.interface not in ours and other.overlaps(own) and not other.is_multicast:
                by = f" by {route.interface}" if route.interface else ""
                yield Fault(
                    f"bridge {name}: its network {own} overlaps a route of this machine",
                    expected="a network that is nowhere else",
                    found=f"the route {other}{by}",
                    next_step="give the bridge another network",
                    path=("bridges", name, "address"),
                )
                break


def _taken(name: str, bridge: Bridge) -> Iterator[Fault]:
    """Ports that a bridge's services need and that other programs have."""
    wanted = []
    if bridge.dns:
        addresses = [text.partition("/")[0] for text in bridge.address]
        kinds = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
        wanted += [(kind, address, DNS_PORT) for address in addresses for kind in kinds]
    if bridge.dhcp and bridge.dhcp.range:
        wanted.append((socket.SOCK_DGRAM, "0.0.0.0", DHCP_PORT))
    for kind, address, port in wanted:
        if not _is_free(kind, address, port):
            protocol = "udp" if kind is socket.SOCK_DGRAM else "tcp"
            service = "DNS" if port == DNS_PORT else "DHCP"
            yield Fault(
                f"bridge {name}: another program has the port of {service}",
                expected=f"{protocol} port {port} free at {address}",
                next_step=f"find it with `ss -lnp sport = {port}`; end it, or bind it elsewhere",
                path=("bridges", name, service.lower()),
            )
            break


def _is_free(kind: socket.SocketKind, address: str, port: int) -> bool:
    is_ipv6 = ":" in address
    with socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, kind) as sock:
        if is_ipv6:
            sock.setsockopt(_SOL_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(_SOL_IPV6, _IPV6_FREEBIND, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        if port == DHCP_PORT:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        if port == DHCP_PORT or kind is socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port))
        except OSError:
            return False
    return True
