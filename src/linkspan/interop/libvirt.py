"""A network of libvirt's as a file: `linkspan import libvirt`.

What is read is what `virsh net-dumpxml` prints. While it is read, every attribute and text that
became a value is noted; whatever is left in the end stands in a comment, with its line. So an
element that this program has never heard of is told like one that it has no words for, and nothing
is dropped in silence. A network without a bridge (macvtap, SR-IOV, Open vSwitch) is refused.

What libvirt leaves out means: a bridge with a spanning tree, a name server, leases of an hour, and
with an IPv6 address also advertisements of its network. Source: formatnetwork.html of libvirt 9;
src/conf/network_conf.c and src/network/bridge_driver.c there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, ip_interface
from typing import Final, NoReturn

from linkspan.errors import Fault, Mistake, Place
from linkspan.interop.draft import Draft, Imported, Origin, until_it_loads
from linkspan.interop.written import Tree
from linkspan.model.bridge_options import SHORTEST_FORWARD_DELAY
from linkspan.model.dhcp import LONGEST_LEASE
from linkspan.model.xml_reader import Element, read_xml

FORWARDS: Final = {"nat": "nat", "route": "routed", "open": "routed"}
"""`forward` here by the mode there; without a mode it is nat."""

WITHOUT_BRIDGE: Final = ("private", "vepa", "passthrough", "hostdev")
UNITS: Final = {"seconds": 1, "minutes": 60, "hours": 3600}

_ORIGIN: Final = Origin(
    "A network of libvirt's, as `virsh net-dumpxml` shows it.",
    "the network",
    "virsh net-dumpxml NETWORK prints what is meant to be read here",
)
_USUAL_BRIDGE: Final = "virbr0"
_LONGEST_LAB: Final = 31


def import_network(data: bytes, file: str) -> Imported:
    """The network that a document describes. Raises Mistake, with line and column, where it is no
    network of libvirt's, or one that has no bridge.
    """
    root = read_xml(data, file)
    if root.tag != "network":
        _refuse(
            root.place,
            f"this is no network of libvirt's but a <{root.tag}>",
            "a document that begins with <network>",
        )
    return _Network(root).read(file)


def _refuse(place: Place, what: str, expected: str, next_step: str = "") -> NoReturn:
    raise Mistake(Fault(what, place, expected, next_step=next_step or _ORIGIN.next_step))


class _Network:
    def __init__(self, root: Element) -> None:
        self._root = root
        self._understood: set[tuple[Place, str]] = set()
        self._draft = Draft({"name": "", "scope": "host", "bridges": {}}, _ORIGIN)
        self._bridge: Tree = {"engine": "kernel"}
        """Guests of libvirt's can be ports of no other."""

    def read(self, file: str) -> Imported:
        name = self._name()
        self._draft.tree["name"] = self._lab_name(name)
        mode = self._mode()
        bridge = self._bridge_name()
        self._draft.tree["bridges"][bridge] = self._bridge
        if mode == "bridge":
            self._remark(f"the network stands on {bridge} as it is: who made it, its addresses and")
            self._remark("ports are not in the definition (linkspan import host has them)")
        else:
            self._settings(mode)
        for left in self._left(self._root):
            self._remark(left)
        return until_it_loads(self._draft, file)

    # what is there, noted as understood

    def _attribute(self, element: Element, name: str) -> str | None:
        self._understood.add((element.place, name))
        return element.attributes.get(name)

    def _text(self, element: Element) -> str:
        self._understood.add((element.place, ""))
        return element.text

    def _remark(self, text: str) -> None:
        self._draft.remark((), text)

    def _left(self, element: Element) -> Iterator[str]:
        """What was not understood, with its line."""
        line = f"line {element.place.line}"
        own = {name for place, name in self._understood if place == element.place}
        attributes = {
            name: value for name, value in element.attributes.items() if not _is_namespace(name)
        }
        left = {name: value for name, value in attributes.items() if name not in own}
        text = element.text if "" not in own else ""
        if left or text or (not own and not attributes and not element.children):
            said = "".join(f" {name}='{value}'" for name, value in left.items())
            yield f"{line}: without words here: <{element.tag}{said}>{text}"
        for child in element.children:
            yield from self._left(child)

    # the network

    def _name(self) -> str:
        found = self._root.child("name")
        if found is None or not found.text:
            place = found.place if found is not None else self._root.place
            _refuse(place, "the network has no name", "<name>default</name>, say")
        return self._text(found)

    def _lab_name(self, name: str) -> str:
        fitting = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:_LONGEST_LAB].strip("-")
        if fitting != name:
            self._remark(f"the network is called {name}, which no lab can be")
        return fitting or "network"

    def _mode(self) -> str:
        """The mode of `forward`; empty for a network that has none."""
        forward = self._root.child("forward")
        for port in self._root.find("virtualport"):
            if port.attributes.get("type") == "openvswitch":
                _refuse(
                    port.place,
                    "the network stands on a bridge of Open vSwitch, which linkspan does not drive",
                    "a bridge of Linux",
                )
        if forward is None:
            return ""
        mode = self._attribute(forward, "mode") or "nat"
        bridge = self._root.child("bridge")
        if mode in WITHOUT_BRIDGE or (mode == "bridge" and bridge is None):
            _refuse(
                forward.place,
                f"a network of mode {mode} {'on a network card ' * (mode == 'bridge')}has no"
                " bridge: each guest has the card itself, or a part of it",
                "mode nat, route, open or none; or bridge with <bridge name=…/>",
                "linkspan import host writes the bridges of this machine",
            )
        if mode not in FORWARDS and mode != "bridge":
            _refuse(
                forward.place,
                f"libvirt has no forward mode {mode}",
                f"one of {', '.join([*FORWARDS, 'bridge', *WITHOUT_BRIDGE])}",
            )
        if mode == "open":
            self._remark("mode open: libvirt writes no rules for it; `routed` lets all pass by one")
        return mode

    def _bridge_name(self) -> str:
        found = self._root.child("bridge")
        name = None if found is None else self._attribute(found, "name")
        if name is None:
            self._remark(
                f"the network names no bridge: libvirt finds one that is free, here it is"
                f" {_USUAL_BRIDGE}"
            )
        return name or _USUAL_BRIDGE

    def _settings(self, mode: str) -> None:
        for mac in self._root.find("mac")[:1]:
            self._bridge["mac"] = self._attribute(mac, "address") or ""
        for mtu in self._root.find("mtu")[:1]:
            self._bridge["mtu"] = self._number(mtu, "size")
        self._spanning_tree()
        for address in self._root.find("ip"):
            self._address(address)
        if self._bridge.get("address"):
            self._bridge["forward"] = FORWARDS.get(mode, "none")
            if any(":" in each for each in self._bridge["address"]):
                self._bridge.setdefault("dhcp", {})  # as libvirt, it advertises the network
                self._says_ipv6(mode)
            self._names()

    def _spanning_tree(self) -> None:
        found = self._root.child("bridge")
        stp = None if found is None else self._attribute(found, "stp")
        delay = 0.0
        if found is not None and "delay" in found.attributes:
            delay = float(self._number(found, "delay"))
        if stp != "off":
            self._bridge["stp"] = "stp"
            delay = max(
                delay, SHORTEST_FORWARD_DELAY
            )  # as the kernel does (net/bridge/br_stp_if.c)
        self._bridge["forward-delay"] = delay

    def _says_ipv6(self, mode: str) -> None:
        translates = any(
            self._attribute(each, "ipv6") == "yes" for each in self._root.find("forward", "nat")
        )
        if mode == "nat" and not translates:
            self._bridge["forward-ipv6"] = "routed"  # libvirt lets it pass as it is

    def _number(self, element: Element, name: str) -> int:
        text = self._attribute(element, name) or ""
        if not re.fullmatch("[0-9]{1,9}", text):
            _refuse(
                element.place,
                f"<{element.tag}>: {name} is no number",
                f"{name}='1500', say",
                f"correct {name}='{text}'",
            )
        return int(text)

    # addresses

    def _address(self, element: Element) -> None:
        self._attribute(element, "family")
        address = self._attribute(element, "address") or ""
        prefix = self._attribute(element, "prefix")
        mask = self._attribute(element, "netmask")
        try:
            found = ip_interface(f"{address}/{prefix or mask or _usual_prefix(address)}")
        except ValueError as error:
            _refuse(element.place, f"<ip>: {error}", "an address, and a netmask or prefix with it")
        self._bridge.setdefault("address", []).append(found.with_prefixlen)
        for dhcp in element.find("dhcp"):
            self._dhcp(dhcp)

    def _dhcp(self, element: Element) -> None:
        dhcp: Tree = self._bridge.setdefault("dhcp", {})
        for each in element.find("range"):
            first, last = self._attribute(each, "start"), self._attribute(each, "end")
            dhcp.setdefault("range", []).append(f"{first}-{last}")
        for each in element.find("host"):
            if {"mac", "ip"} <= each.attributes.keys():
                self._station(dhcp, each)
        for each in [*element.find("range", "lease"), *element.find("host", "lease")]:
            self._lease(dhcp, each)

    def _station(self, dhcp: Tree, host: Element) -> None:
        mac, ip = self._attribute(host, "mac") or "", self._attribute(host, "ip")
        name = self._attribute(host, "name") or mac.lower().replace(":", "-")
        dhcp.setdefault("stations", {})[name] = {"mac": mac, "address": ip}

    def _lease(self, dhcp: Tree, lease: Element) -> None:
        unit = lease.attributes.get("unit", "minutes")
        if unit not in UNITS:
            return  # it is told as something without words
        seconds = self._number(lease, "expiry") * UNITS[unit] or LONGEST_LEASE
        self._attribute(lease, "unit")
        if dhcp.setdefault("lease-time", seconds) != seconds:
            self._remark(
                f"line {lease.place.line}: leases of {seconds} s: all here have one lease-time"
            )

    # names

    def _names(self) -> None:
        server = self._root.child("dns")
        if server is not None and self._attribute(server, "enable") == "no":
            return
        dns: Tree = self._bridge.setdefault("dns", {})
        domain = self._root.child("domain")
        if domain is not None:
            dns["domain"] = self._attribute(domain, "name") or ""
        if domain is None or self._attribute(domain, "localOnly") != "yes":
            self._remark("names of the domain are asked of nobody else here (as localOnly='yes')")
        for forwarder in self._root.find("dns", "forwarder"):
            if "domain" not in forwarder.attributes and "addr" in forwarder.attributes:
                dns.setdefault("upstream", []).append(self._attribute(forwarder, "addr"))


def _is_namespace(attribute: str) -> bool:
    return attribute.partition(":")[0] == "xmlns"


def _usual_prefix(address: str) -> int:
    """The prefix length that libvirt takes where none is said: in IPv4 that of the address's class
    (virSocketAddrGetIPPrefix, src/util/virsocketaddr.c).
    """
    if ":" in address:
        return 64
    first = IPv4Address(address).packed[0]
    return 8 if first < 128 else 16 if first < 192 else 24
