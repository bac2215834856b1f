"""Changes on a lab that runs, carried out as `linkspan` does: by a process inside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tests.engine.running_lab import RunningLab

from linkspan.control.descriptors import close_all
from linkspan.engine.reading.dump import Dumps
from linkspan.engine.reading.namespace import read_namespace
from linkspan.engine.site import Site
from linkspan.engine.stack import Stack
from linkspan.engine.user.engine import UserEngine
from linkspan.engine.user.reading import read_user
from linkspan.model.state import (
    Address,
    AddressKey,
    AnyKey,
    AnyValue,
    BridgeKey,
    EntryKey,
    Port,
    PortKey,
    SocketKey,
    State,
    Up,
    UpKey,
    UplinkKey,
)
from linkspan.model.topology import Scope
from linkspan.plan.change import Change
from linkspan.plan.difference import plan
from linkspan.sandbox.namespaces import inside
from linkspan.sandbox.worker import run_inside

_OF_ENGINE = (BridgeKey, PortKey, SocketKey, UplinkKey, EntryKey)
Found = TypeVar("Found")


def at_site(running: RunningLab, work: Callable[[Site], Found]) -> Found:
    """Do something inside a lab's namespaces."""
    _, lab = running.init.call_for_descriptors("fetch", name="lab")

    def do() -> Found:
        site = Site(running.name, running.folder, running.init, Scope.SANDBOX)
        try:
            return work(site)
        finally:
            site.close()

    try:
        return run_inside(lab, do)
    finally:
        close_all(lab)


def carry_out(site: Site, *changes: Change) -> None:
    """Carry out changes and settle them."""
    stack, engine = Stack(site), UserEngine(site)
    try:
        for change in changes:
            if isinstance(change.key, _OF_ENGINE):
                engine.carry_out(change)
                continue
            engine.settle()
            stack.carry_out(change)
            if isinstance(change.key, UpKey):
                engine.carry_out(change)
        engine.settle()
    finally:
        engine.close()


def change(running: RunningLab, *changes: Change) -> None:
    """Carry out changes of a running lab."""
    at_site(running, lambda site: carry_out(site, *changes))


def added(key: AnyKey, value: AnyValue) -> Change:
    return Change(key=key, after=value)


def removed(key: AnyKey, value: AnyValue) -> Change:
    return Change(key=key, before=value)


def changed(key: AnyKey, before: AnyValue, after: AnyValue) -> Change:
    return Change(key=key, before=before, after=after)


def port(number: int, bridge: str = "br0", mtu: int = 1500, **options: bool) -> Port:
    """A port whose interface has a MAC address of its own."""
    mac = f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}"
    return Port(bridge=bridge, engine="user", mac=mac, mtu=mtu, options=dict(options))


def with_address(node: str, interface: str, address: str) -> tuple[Change, Change]:
    """An address for an interface, which is set up."""
    return (
        added(AddressKey(node, interface, address), Address()),
        added(UpKey(node, interface), Up(up=True)),
    )


def read(running: RunningLab) -> State:
    """What there is of the user engine's bridges."""

    def work(site: Site) -> State:
        nodes = {}
        for name in running.init.call("status")["held"]:
            kind, _, node = name.partition(":")
            if kind == "node":
                with inside(site.network(node)), Dumps() as dumps:
                    nodes[node] = read_namespace(dumps)
        return dict(read_user(site, nodes))

    return at_site(running, work)


def bring_to(running: RunningLab, desired: State) -> tuple[Change, ...]:
    """Plan and carry out what makes of what there is what there should be; returns the plan."""
    changes = plan(desired, read(running))
    change(running, *changes)
    return changes
