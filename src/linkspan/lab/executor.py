"""Carrying out changes: each by who can, in order, noted before it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final, TypeAlias

from linkspan.engine.base import Engine, Failed
from linkspan.engine.kernel.engine import KernelEngine
from linkspan.engine.kernel.guests import change_guest
from linkspan.engine.machine_ends import MACHINE
from linkspan.engine.site import Site
from linkspan.engine.stack import Stack
from linkspan.engine.wires import Wires
from linkspan.errors import Refusal
from linkspan.lab.settings import Settings
from linkspan.model.names import switch_side_names
from linkspan.model.rules import PassKey, RulesKey
from linkspan.model.state import (
    AddressKey,
    Bridge,
    BridgeKey,
    CommandKey,
    EntryKey,
    GuestKey,
    MachineKey,
    MountKey,
    NodeKey,
    Port,
    PortKey,
    RouteKey,
    ServiceKey,
    SettingKey,
    Shaping,
    SocketKey,
    State,
    Tap,
    Up,
    UpKey,
    Uplink,
    VethKey,
    Vxlan,
    WireguardKey,
)
from linkspan.model.topology import Scope
from linkspan.plan.change import Change
from linkspan.plan.difference import RANKS
from linkspan.services.commands import Commands
from linkspan.services.firewall import Firewall
from linkspan.services.machines import Machines
from linkspan.services.mounts import Mounts
from linkspan.services.passes import Passes
from linkspan.services.running import Services
from linkspan.services.wireguard import Wireguards

Progress: TypeAlias = Callable[[int, int, Change], None]
Way: TypeAlias = Callable[[Sequence[Change]], None]

_MOST_TOGETHER: Final = 64
"""Changes that are carried out side by side: few enough for progress to be seen."""


def names_of_ends(site: Site, states: Sequence[State]) -> dict[tuple[str, str], str]:
    """What the kernel bridges' ends of veths are called, by node and interface."""
    keys = [key for state in states for key in state]
    ports = {(key.node, key.interface) for key in keys if isinstance(key, PortKey)}
    bridges = {key.bridge for key in keys if isinstance(key, BridgeKey)}
    return switch_side_names(ports, bridges, site.lab if site.scope is Scope.HOST else "")


class Executor:
    """Carries out changes of one lab. Made anew for each plan, since engines remember what they
    have begun.
    """

    def __init__(self, site: Site, states: Sequence[State]) -> None:
        self._site = site
        self._stack = Stack(site)
        self._wires = Wires(site)
        self._wireguards = Wireguards(site)
        self._firewall = Firewall(site)
        self._passes = Passes(site)
        self._settings = Settings(site)
        facts = [fact for state in states for fact in state.items()]
        self._services = Services(site, dict(facts))
        bridges = {
            key.bridge: value
            for key, value in facts
            if isinstance(key, BridgeKey) and isinstance(value, Bridge)
        }
        machines = {
            (key.node, key.interface)
            for key, value in facts
            if isinstance(key, PortKey) and isinstance(value, Port) and value.kind == MACHINE
        }
        self._places = {name: bridge.node for name, bridge in bridges.items()}
        self._kernel = KernelEngine(site, self._places, names_of_ends(site, states), machines)
        self._engines: dict[str, Engine] = {"kernel": self._kernel}
        if any(getattr(value, "engine", "") == "user" for _, value in facts):
            from linkspan.engine.user.engine import UserEngine  # takes long to load

            self._engines["user"] = UserEngine(site)
        self._machines = Machines(site)
        self._mounts = Mounts(site)
        self._commands = Commands(site)
        self._bridges = {name: bridge.engine for name, bridge in bridges.items()}
        self._left: dict[PortKey, str] = {}
        """Ports that were removed, and the engine that they were of."""

    def run(
        self,
        changes: Sequence[Change],
        note: Callable[[Sequence[Change]], None],
        progress: Progress | None = None,
    ) -> None:
        """Carry out changes in order, those side by side that are alike; `note` is called with
        each such group before it is carried out.

        Raises Refusal naming the one that failed.
        """
        settled, done = True, 0
        self._machines.expect(changes)
        for way, group in self._groups(changes):
            if progress is not None:
                progress(done, len(changes), group[0])
            note(group)
            is_stack = RANKS[type(group[0].key)] > RANKS[EntryKey]
            try:
                if is_stack and not settled:
                    self._settle()
                settled = is_stack
                way(group)
            except Failed:
                raise
            except (OSError, Refusal) as error:
                raise Failed.of(group[0], error) from None
            done += len(group)
        self._settle()
        self._stack.take_carriers((node, bridge) for bridge, node in self._places.items())
        self._services.settle()
        self._machines.settle()
        self._commands.settle()

    def close(self) -> None:
        """Let go of what the engines hold."""
        for engine in self._engines.values():
            engine.close()

    def _settle(self) -> None:
        for engine in self._engines.values():
            engine.settle()

    def _hand_over(self, key: PortKey, engine: str, change: Change) -> None:
        """A port that goes from one engine to the other is gone there before it is made here."""
        if change.after is None:
            self._left[key] = engine
        elif self._left.get(key, engine) != engine:
            self._settle()
            self._left.clear()

    def _groups(self, changes: Sequence[Change]) -> Iterator[tuple[Way, Sequence[Change]]]:
        for way, run in groupby(changes, self._way):
            rest = list(run)
            most = 1 if way == self._alone else _MOST_TOGETHER
            if way == self._stack.configure:  # one request for each node, as long as it is a group
                most = len(rest)
            yield from ((way, rest[start : start + most]) for start in range(0, len(rest), most))

    def _way(self, change: Change) -> Way:
        """How a change is carried out: together with others like it, if many of them may come."""
        match change:
            case Change(key=NodeKey(), before=None):
                return self._stack.add_nodes
            case Change(key=PortKey(), before=None, after=Port(engine="kernel", kind="interface")):
                return self._add_ports
            case Change(key=UpKey(interface=name)) if self._bridges.get(name) == "user":
                return self._alone
            case Change(key=AddressKey() | RouteKey(), before=None) | Change(after=Up(up=True)):
                return self._stack.configure
            case _:
                return self._alone

    def _add_ports(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change.key, PortKey):
                self._hand_over(change.key, "kernel", change)
        self._kernel.add_ports(changes)

    def _alone(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self._carry_out(change)

    def _carry_out(self, change: Change) -> None:
        match change.key, change.before or change.after:
            case BridgeKey(), Bridge(engine=engine):
                self._engines[engine].carry_out(change)
            case _, (
                Port(engine=engine)
                | Uplink(engine=engine)
                | Vxlan(engine=engine)
                | Tap(engine=engine)
                | Shaping(engine=engine)
            ):
                if isinstance(change.key, PortKey):
                    self._hand_over(change.key, engine, change)
                self._engines[engine].carry_out(change)
            case GuestKey(), _:
                change_guest(self._site, change)
            case VethKey(), _:
                self._wires.carry_out(change)
            case MachineKey(), _:
                self._machines.carry_out(change)
            case SocketKey() | EntryKey() as key, _:
                self._engines[self._bridges[key.bridge]].carry_out(change)
            case MountKey(), _:
                self._mounts.carry_out(change)
            case CommandKey(), _:
                self._commands.carry_out(change)
            case WireguardKey(), _:
                self._wireguards.carry_out(change)
            case ServiceKey(), _:
                self._services.carry_out(change)
            case UpKey(interface=name), _ if self._bridges.get(name) == "user":
                self._stack.carry_out(change)
                self._engines["user"].carry_out(change)
            case PassKey(), _:
                self._passes.carry_out(change)
            case RulesKey(), _:
                self._firewall.carry_out(change)
            case SettingKey(), _:
                self._settings.carry_out(change)
            case _:
                self._stack.carry_out(change)
