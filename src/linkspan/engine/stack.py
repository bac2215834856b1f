"""What is the same whoever switches the frames: nodes, and what their stacks are told.

Namespaces, sysctls, addresses, interfaces up or down, routes. A node's own processes end with it:
they could not reach anybody any more, and would keep its namespaces.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from linkspan.control.descriptors import close_all
from linkspan.engine.base import Failed
from linkspan.engine.layer3 import (
    add_address,
    add_route,
    delete_address,
    delete_route,
    mark_checked,
    replace_route,
)
from linkspan.engine.netlink import Request, set_link
from linkspan.engine.site import Site
from linkspan.errors import Bug, Refusal
from linkspan.model.state import (
    Address,
    AddressKey,
    NodeKey,
    Route,
    RouteKey,
    Up,
    UpKey,
)
from linkspan.model.topology import HOST, Scope
from linkspan.plan.change import Change
from linkspan.sandbox.namespaces import NODE_KINDS, inside, node_key
from linkspan.sandbox.nodes import Recipe, make_nodes
from linkspan.sandbox.state import HOSTS, NODE_FILES


class Stack:
    """Carries out changes of nodes and of what is configured in them."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def carry_out(self, change: Change) -> None:
        """Carry out a change of a node, an address, a route, or up and down.

        Raises Refusal or OSError when the kernel says no.
        """
        match change:
            case Change(key=NodeKey(node=node), after=None):
                self._remove_node(node)
            case Change(key=NodeKey(node=node)):
                self._make_nodes([node])
            case Change(key=AddressKey() as key, before=Address()):
                with inside(self._site.network(key.node)), _promoting(key.interface):
                    self.configure([change])
            case Change(key=UpKey() as key, after=Up(up=False)):
                with inside(self._site.network(key.node)), _keeping_addresses(key.interface):
                    self._site.netlink(key.node).run([set_link(key.interface, up=False)])
            case Change(key=UpKey(), after=None):
                pass  # an interface that is nobody's concern any more stays as it is
            case _:
                self.configure([change])

    def add_nodes(self, changes: Sequence[Change]) -> None:
        """Make nodes, side by side. Raises Failed for the first that can't be made."""
        nodes = [change.key.node for change in changes if isinstance(change.key, NodeKey)]
        try:
            self._make_nodes(nodes)
        except OSError as error:
            if len(changes) == 1:
                raise Failed.of(changes[0], error) from None
            for change in changes:  # none was made; which one it is shows one by one
                self.add_nodes([change])

    def _make_nodes(self, nodes: Sequence[str]) -> None:
        hosts, own = self._site.folder / HOSTS, self._site.folder / NODE_FILES
        made = make_nodes(
            [Recipe(node, {"/etc/hosts": hosts, "/etc/resolv.conf": own / node}) for node in nodes]
        )
        held = [each for descriptors in made.values() for each in descriptors]
        names = [node_key(node) for node in made]
        self._site.init.call("hold-each", held, names=names)
        for node, descriptors in made.items():
            network = descriptors.pop(NODE_KINDS.index("net"))
            close_all(descriptors)
            self._site.add(node, network)
            self._site.netlink(node).run([set_link("lo", up=True)])

    def configure(self, changes: Sequence[Change]) -> None:
        """Addresses and routes that come, interfaces that are set up: a node's in one request, in
        their order. Raises Failed for the first that the kernel refuses.

        The nodes come in the reverse order, and so those with the bridges last: what hundreds of
        interfaces say when they come up (RFC 4861, 6.3.7; RFC 3810) is for nobody yet, and is not
        flooded to all the others meanwhile.
        """
        of_nodes: dict[str, list[Change]] = defaultdict(list)
        for change in changes:
            match change.key:
                case AddressKey(node=node) | UpKey(node=node) | RouteKey(node=node):
                    of_nodes[node].append(change)
                case _:
                    raise Bug(f"no stack can {change.explain()}")
        for node, its in reversed(of_nodes.items()):
            self._configure(node, its)

    def take_carriers(self, bridges: Iterable[tuple[str, str]]) -> None:
        """Have the stacks of nodes take notice that their bridges have a carrier, if they have one.

        The kernel tells them once a second at most, and until then a bridge's own IPv6 addresses
        answer nobody; asking for one interface has it told at once since Linux 6.8
        (`linkwatch_sync_dev` in rtnl_getlink, net/core/rtnetlink.c).
        """
        for node, bridge in bridges:
            with contextlib.suppress(Refusal):  # one that was removed
                self._site.netlink(node).link(bridge)

    def _configure(self, node: str, changes: Sequence[Change]) -> None:
        netlink = self._site.netlink(node)
        indices: dict[str, int] = {}

        def index(interface: str) -> int:
            if interface not in indices:
                indices[interface] = netlink.index(interface)
            return indices[interface]

        requests: list[Request] = []
        owners: list[Change] = []
        for change in changes:
            try:
                asked = _requests(change, index)
            except Refusal as error:
                raise Failed.of(change, error) from None
            requests += asked
            owners += [change] * len(asked)
        for change, refusal in zip(owners, netlink.attempt(requests), strict=True):
            if refusal is not None:
                raise Failed.of(change, refusal)

    def _remove_node(self, node: str) -> None:
        if node == HOST and self._site.scope is Scope.HOST:
            raise Bug("the machine itself can't be removed")
        _end_processes_in(self._site.network(node))
        self._site.init.call("drop", names=[node_key(node)])
        self._site.forget(node)


def _requests(change: Change, index: Callable[[str], int]) -> list[Request]:
    """What a change of an address or a route, or an interface that is set up, asks of the kernel;
    `index` gives the number of an interface of the node.
    """
    match change:
        case Change(key=AddressKey() as key, before=before, after=after):
            number, text = index(key.interface), key.address
            requests = []
            if isinstance(before, Address):
                requests.append(delete_address(number, text, before))
            if isinstance(after, Address):
                requests.append(add_address(number, text, after))
                if after.checked:
                    requests.append(mark_checked(number, text, after))
            return requests
        case Change(key=UpKey() as key, after=Up(up=True)):
            return [set_link(key.interface, up=True)]
        case Change(key=RouteKey() as key, after=Route() as route):
            ask = add_route if change.before is None else replace_route
            return [ask(key, route, _way_out(route, index))]
        case Change(key=RouteKey() as key, before=Route() as route):
            return [delete_route(key, route, _way_out(route, index))]
    return []


def _way_out(route: Route, index: Callable[[str], int]) -> int | None:
    return None if route.interface is None else index(route.interface)


def _promoting(interface: str) -> contextlib.AbstractContextManager[None]:
    """For a while, let the other IPv4 addresses of a network stay when the first one is deleted."""
    return _set_for_a_while(f"net/ipv4/conf/{interface}/promote_secondaries")


def _keeping_addresses(interface: str) -> contextlib.AbstractContextManager[None]:
    """For a while, let IPv6 addresses stay when their interface is set down."""
    return _set_for_a_while(f"net/ipv6/conf/{interface}/keep_addr_on_down")


@contextlib.contextmanager
def _set_for_a_while(name: str) -> Iterator[None]:
    """Have a sysctl of the current namespace at 1, where the kernel has it
    (Documentation/networking/ip-sysctl.rst).
    """
    file = setting_file(name)
    try:
        before = file.read_text()
        file.write_text("1")
    except OSError:
        before = ""
    try:
        yield
    finally:
        if before:
            file.write_text(before)


def setting_file(name: str) -> Path:
    """The file of a sysctl such as `net/ipv4/ip_forward`, in the namespace of who opens it."""
    return Path("/proc/sys", name)


def _end_processes_in(network: int) -> None:
    """Kill the processes of the lab that are in a network namespace."""
    wanted = os.fstat(network)
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(OSError):
                if os.path.samestat((process / "ns/net").stat(), wanted):
                    os.kill(int(process.name), signal.SIGKILL)
