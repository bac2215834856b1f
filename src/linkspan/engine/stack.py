"""What is the same whoever switches the frames: nodes, and what their stacks are told.

Namespaces, sysctls, addresses, interfaces up or down, routes. A node's own processes end with it:
they could not reach anybody any more, and would keep its namespaces.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

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
from linkspan.errors import Bug
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
from linkspan.sandbox.namespaces import NODE_KINDS, close_all, inside, make_node, node_key


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
                self._add_node(node)
            case Change(key=AddressKey() as key):
                self._address(key, change)
            case Change(key=UpKey() as key, after=Up(up=False)):
                with inside(self._site.network(key.node)), _keeping_addresses(key.interface):
                    self._site.netlink(key.node).run([set_link(key.interface, up=False)])
            case Change(key=UpKey() as key, after=Up(up=True)):
                self._site.netlink(key.node).run([set_link(key.interface, up=True)])
            case Change(key=UpKey(), after=None):
                pass  # an interface that is nobody's concern any more stays as it is
            case Change(key=RouteKey() as key):
                self._route(key, change)
            case _:
                raise Bug(f"no stack can {change.explain()}")

    def settle(self) -> None:
        """All nodes that were made are held by the lab's init process. Raises Refusal."""
        self._site.init.catch_up()

    def _add_node(self, node: str) -> None:
        descriptors = make_node(node, self._site.folder / "etc", self._site.folder / "nodes" / node)
        self._site.init.give("hold", descriptors, name=node_key(node))
        network = descriptors.pop(NODE_KINDS.index("net"))
        close_all(descriptors)
        self._site.add(node, network)
        self._site.netlink(node).run([set_link("lo", up=True)])

    def _remove_node(self, node: str) -> None:
        if node == HOST and self._site.scope is Scope.HOST:
            raise Bug("the machine itself can't be removed")
        _end_processes_in(self._site.network(node))
        self._site.init.call("drop", names=[node_key(node)])
        self._site.forget(node)

    def _address(self, key: AddressKey, change: Change) -> None:
        netlink = self._site.netlink(key.node)
        index = netlink.index(key.interface)
        requests: list[Request] = []
        if isinstance(change.after, Address):
            requests.append(add_address(index, key.address, change.after))
            if change.after.checked:
                requests.append(mark_checked(index, key.address, change.after))
        if isinstance(change.before, Address):
            requests.insert(0, delete_address(index, key.address, change.before))
            with inside(self._site.network(key.node)), _promoting(key.interface):
                netlink.run(requests)
        else:
            netlink.run(requests)

    def _route(self, key: RouteKey, change: Change) -> None:
        netlink = self._site.netlink(key.node)
        match change.before, change.after:
            case None, Route() as route:
                netlink.run([add_route(key, route, self._index(key, route))])
            case Route(), Route() as route:
                netlink.run([replace_route(key, route, self._index(key, route))])
            case Route() as route, None:
                netlink.run([delete_route(key, route, self._index(key, route))])

    def _index(self, key: RouteKey, route: Route) -> int | None:
        if route.interface is None:
            return None
        return self._site.netlink(key.node).index(route.interface)


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
