"""Carrying out changes: each by who can, in order, noted before it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from linkspan.engine.base import Engine
from linkspan.engine.kernel.engine import KernelEngine
from linkspan.engine.kernel.guests import change_guest
from linkspan.engine.machine_ends import MACHINE
from linkspan.engine.site import Site
from linkspan.engine.stack import Stack
from linkspan.engine.user.engine import UserEngine
from linkspan.engine.wires import Wires
from linkspan.errors import Refusal
from linkspan.lab.settings import Settings
from linkspan.model.names import switch_side_names
from linkspan.model.rules import PassKey, RulesKey
from linkspan.model.state import (
    Bridge,
    BridgeKey,
    CommandKey,
    EntryKey,
    GuestKey,
    MachineKey,
    MountKey,
    Port,
    PortKey,
    ServiceKey,
    SettingKey,
    Shaping,
    SocketKey,
    State,
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
        places = {name: bridge.node for name, bridge in bridges.items()}
        self._engines: dict[str, Engine] = {
            "kernel": KernelEngine(site, places, names_of_ends(site, states), machines),
            "user": UserEngine(site),
        }
        self._machines = Machines(site)
        self._mounts = Mounts(site)
        self._commands = Commands(site)
        self._bridges = {name: bridge.engine for name, bridge in bridges.items()}
        self._left: dict[PortKey, str] = {}
        """Ports that were removed, and the engine that they were of."""

    def run(
        self,
        changes: Sequence[Change],
        note: Callable[[Change], None],
        progress: Progress | None = None,
    ) -> None:
        """Carry out changes in order; `note` is called before each.

        Raises Refusal naming the one that failed.
        """
        settled = True
        for number, change in enumerate(changes):
            if progress is not None:
                progress(number, len(changes), change)
            note(change)
            is_stack = RANKS[type(change.key)] > RANKS[EntryKey]
            try:
                if is_stack and not settled:
                    self._settle()
                settled = is_stack
                self._carry_out(change)
            except (OSError, Refusal) as error:
                raise Refusal(f"cannot {change.explain()}: {error}") from None
        self._settle()
        self._services.settle()
        self._machines.settle()
        self._commands.settle()

    def close(self) -> None:
        """Let go of what the engines hold."""
        for engine in self._engines.values():
            engine.close()

    def _settle(self) -> None:
        self._stack.settle()
        for engine in self._engines.values():
            engine.settle()

    def _hand_over(self, key: PortKey, engine: str, change: Change) -> None:
        """A port that goes from one engine to the other is gone there before it is made here."""
        if change.after is None:
            self._left[key] = engine
        elif self._left.get(key, engine) != engine:
            self._settle()
            self._left.clear()

    def _carry_out(self, change: Change) -> None:
        match change.key, change.before or change.after:
            case BridgeKey(), Bridge(engine=engine):
                self._engines[engine].carry_out(change)
            case _, (
                Port(engine=engine)
                | Uplink(engine=engine)
                | Vxlan(engine=engine)
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
