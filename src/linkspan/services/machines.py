"""Virtual machines of a lab: started, shut down, and read from what the lab's init process knows.

QEMU is a service that init runs once. How it ended says what came of the machine: with status 0 the
guest switched it off, and it stays off until somebody asks for it with `up`; any other end is a
failure, and the machine is read as one that is not there, so that a plan starts it again. In both
cases init takes the carrier from its taps.

Starting is done when QEMU answers. Whether and when a guest boots is not waited for: nobody can
know without asking the guest.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from linkspan.control.client import Client
from linkspan.engine.machine_ends import end_key
from linkspan.engine.site import Site
from linkspan.errors import Missing, Refusal
from linkspan.model.state import AnyKey, AnyValue, Machine, MachineKey, PortKey
from linkspan.plan.change import Change
from linkspan.sandbox.output import output_file, since
from linkspan.services.acceleration import accelerator
from linkspan.services.guest_console import begin, plain
from linkspan.services.qemu import console_name, control_name, find_program
from linkspan.services.qmp import Qmp
from linkspan.services.start_machine import MachineConfiguration

START_SECONDS: Final = 20.0
"""What QEMU gets to answer; it does in a fraction of one on a machine that is not overloaded."""

OFF: Final = "exit status 0"
"""How QEMU ends when its guest powers itself off, or somebody tells it to quit."""

_SERVICE: Final = "machine:"
_COMMAND: Final = (sys.executable, "-P", "-m", "linkspan.services.start_machine")
_LOG_LINES: Final = 10


def service_name(node: str) -> str:
    """The name of a machine's QEMU among the lab's services."""
    return _SERVICE + node


class Machines:
    """Carries out changes of the machines of one lab."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._starting: list[tuple[str, int]] = []
        """Nodes, and how long their logs were before."""
        self._leaving: dict[str, int] = {}
        """Nodes that will be shut down, and how many seconds each is given."""
        self._told: set[str] = set()
        """Nodes whose guests were told to shut down."""

    def expect(self, changes: Sequence[Change]) -> None:
        """Know what will be carried out: machines that go are shut down at the same time, with the
        first of them, since each may take its time.
        """
        self._leaving = {
            change.key.node: change.before.shutdown
            for change in changes
            if isinstance(change.key, MachineKey)
            and isinstance(change.before, Machine)
            and _shuts_down(change)
        }

    def carry_out(self, change: Change) -> None:
        """Start a machine or shut one down; one that starts answers when `settle` returns.

        Raises Refusal, or Missing when there is no QEMU.
        """
        assert isinstance(change.key, MachineKey)
        node, before, after = change.key.node, change.before, change.after
        if (
            isinstance(after, Machine)
            and isinstance(before, Machine)
            and after.power == before.power
        ):
            self._configure(node, after)
            return
        if isinstance(before, Machine) and _shuts_down(change) and node not in self._told:
            together = {**self._leaving, node: before.shutdown}
            shut_down(self._site.folder, self._site.init, together)
            self._told |= together.keys()
        self._site.init.call("stop", name=service_name(node))
        if isinstance(after, Machine) and after.power:
            self._start(node, after)
        else:
            for name in (control_name(node), console_name(node)):
                (self._site.folder / name).unlink(missing_ok=True)
        if after is None:
            output_file(self._site.folder, node).unlink(missing_ok=True)

    def _start(self, node: str, machine: Machine) -> None:
        log = output_file(self._site.folder, node)
        log.parent.mkdir(exist_ok=True)
        self._starting.append((node, begin(log)))
        service = self._service(node, machine)
        self._site.init.call(
            "run",
            name=service_name(node),
            arguments=_COMMAND,
            once=True,
            output=str(log),
            **service,
        )

    def _service(self, node: str, machine: Machine) -> dict[str, Any]:
        program = find_program()
        ends = {name: end_key(PortKey(node, name)) for name, _, _ in machine.ports}
        configuration = MachineConfiguration(
            lab=self._site.lab,
            node=node,
            folder=str(self._site.folder),
            program=program,
            accelerator=accelerator(program, self._site.folder),
            machine=machine,
            ends=ends,
        )
        return {
            "give": list(ends.values()),
            "configuration": msgspec.to_builtins(configuration),
        }

    def _configure(self, node: str, machine: Machine) -> None:
        services = {service_name(node): self._service(node, machine)}
        self._site.init.call("configure", services=services)

    def settle(self) -> None:
        """Every machine that was started answers when this returns. Raises Refusal with what QEMU
        said when it does not.
        """
        starting, self._starting = self._starting, []
        deadline = time.monotonic() + START_SECONDS
        for node, logged in starting:
            self._await(node, logged, deadline)

    def _await(self, node: str, logged: int, deadline: float) -> None:
        while True:
            ended = self._site.init.call("status")["services"][service_name(node)]["ended"]
            if ended:
                raise Refusal(f"{node}: QEMU ended at once, {ended}{self._said(node, logged)}")
            try:
                with Qmp(self._site.folder / control_name(node)):
                    return
            except (Missing, Refusal) as error:
                if time.monotonic() > deadline:
                    raise Refusal(
                        f"{node}: QEMU does not answer: {error}{self._said(node, logged)}"
                    ) from None
            time.sleep(0.02)

    def _said(self, node: str, logged: int) -> str:
        """What QEMU and the guest said last, since the log was so many bytes long; what to do."""
        text = plain("\n".join(since(output_file(self._site.folder, node), logged)))
        said = [line for line in text.splitlines() if line.strip()]
        lines = "".join(f"\n  {line}" for line in said[-_LOG_LINES:])
        return (
            f"{lines}\n  next: correct the image, or what the file says of {node}, and bring the"
            " lab up again"
        )


def _shuts_down(change: Change) -> bool:
    before, after = change.before, change.after
    stays = isinstance(after, Machine) and after.power
    return isinstance(before, Machine) and before.power and not stays


def read_machines(init: Client) -> Iterator[tuple[AnyKey, AnyValue]]:
    """The machines of a lab that run, and those that were switched off by their guests."""
    for node, status in machine_services(init).items():
        if status["pid"] or status["ended"] == OFF:
            machine = configuration_of(init, node).machine
            yield MachineKey(node), replace(machine, power=bool(status["pid"]))


def machine_services(init: Client) -> dict[str, Mapping[str, Any]]:
    """What init says of each machine's QEMU, by node: pid, starts, ended."""
    services: dict[str, Mapping[str, Any]] = init.call("status")["services"]
    return {
        name.removeprefix(_SERVICE): status
        for name, status in services.items()
        if name.startswith(_SERVICE)
    }


def configuration_of(init: Client, node: str) -> MachineConfiguration:
    """What a machine was started with."""
    answer = init.call("configuration", name=service_name(node))
    return msgspec.convert(answer["configuration"], MachineConfiguration)


def shut_down(folder: Path, init: Client, machines: Mapping[str, int]) -> list[str]:
    """Press the power buttons of machines, and wait for each as many seconds as it is given;
    returns those that still run then, or did not answer.
    """
    begun = time.monotonic()
    waiting = []
    for node in machines:
        try:
            with Qmp(folder / control_name(node)) as qmp:
                qmp.call("system_powerdown")
            waiting.append(node)
        except (Missing, Refusal):
            continue
    left = [node for node in machines if node not in waiting]
    while waiting:
        running = machine_services(init)
        waiting = [node for node in waiting if running.get(node, {}).get("pid")]
        late = [node for node in waiting if time.monotonic() - begun >= machines[node]]
        left += late
        waiting = [node for node in waiting if node not in late]
        if waiting:
            time.sleep(0.05)
    return left
