"""Processes that run as long as a lab does: started, given their descriptors, started again.

A service is a command and a configuration. It finds both the configuration and the descriptors
that it was promised (`give`) inherited, so it opens nothing and needs no privilege; the process
that takes its place after a kill finds the very same. What it is to find may change while it runs
(`configure`): that is for the next process, the running one is told by whoever changes it.

Used by the lab's first process alone, which is why no library is imported here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from linkspan.control.lines import RequestError, Value
from linkspan.sandbox import output
from linkspan.sandbox.syscalls import set_carrier

FRESH_SECONDS: Final = 2.0
"""A service that lived shorter than this is started again with a growing delay."""

LONGEST_DELAY: Final = 5.0
"""Seconds between two starts of a service that ends at once."""

STOP_SECONDS: Final = 1.0
"""What a service gets to end by itself before it is killed."""


@dataclass
class Service:
    """A process that is to run as long as the lab does."""

    name: str
    arguments: list[str]
    give: list[str]
    configuration: dict[str, Any]
    output: str = ""
    """The file that it writes to; of one that has such a file, all processes end with the first."""
    once: bool = False
    """Whether it is left alone when it ends: a virtual machine's guest may have switched it off."""
    ended: str = ""
    """How the last process ended."""
    process: int = 0
    starts: int = 0
    started: float = 0.0
    due: float | None = None
    delay: float = 0.0

    def end_rest(self) -> None:
        """End what a service with a file of its own started, and left."""
        if self.output:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process, signal.SIGKILL)


class Services:
    """All services of one lab. `held` are the descriptors that the lab's first process holds, `log`
    is the file that it and most services write to.
    """

    def __init__(self, held: Mapping[str, Sequence[int]], log: str) -> None:
        self._held = held
        self._log = log
        self._services: dict[str, Service] = {}
        self._trimmed = 0.0

    # requests

    def run(self, request: Value) -> Value:
        """Start a service. Raises RequestError when there is one of its name."""
        name = str(request["name"])
        if name in self._services:
            raise RequestError(f"a service named {name!r} runs already")
        service = Service(
            name,
            [str(argument) for argument in request["arguments"]],
            _names(request.get("give", [])),
            dict(request.get("configuration", {})),
            output=str(request.get("output", "")),
            once=bool(request.get("once")),
        )
        self._services[name] = service
        self._start(service)
        return {"pid": service.process}

    def configure(self, request: Value) -> Value:
        """Change what the next processes of some services find, of all of them or of none."""
        changes = {
            self._find(name): (_names(change["give"]), dict(change["configuration"]))
            for name, change in dict(request["services"]).items()
        }
        for name, (give, configuration) in changes.items():
            self._services[name].give = give
            self._services[name].configuration = configuration
        return {}

    def configuration(self, request: Value) -> Value:
        """What the next process of a service finds."""
        service = self._services[self._find(request["name"])]
        return {"give": service.give, "configuration": service.configuration}

    def stop(self, request: Value) -> Value:
        """End a service, if there is one of that name; it has ended when this returns."""
        service = self._services.pop(request["name"], None)
        if service is not None and service.process:
            _end(service.process)
            service.end_rest()
            self._plug(service, on=False)
        return {}

    def _find(self, name: str) -> str:
        if name not in self._services:
            raise RequestError(f"no service is named {name!r}")
        return name

    def status(self) -> Value:
        """Process and number of starts of each service, and how the last one ended."""
        return {
            service.name: {
                "pid": service.process,
                "starts": service.starts,
                "ended": service.ended,
            }
            for service in self._services.values()
        }

    # life

    def _start(self, service: Service) -> None:
        given = {name: self._held[name] for name in service.give if name in self._held}
        configuration = os.memfd_create("configuration", 0)
        os.write(
            configuration, json.dumps({**service.configuration, "descriptors": given}).encode()
        )
        os.lseek(configuration, 0, os.SEEK_SET)
        inherited = {configuration, *(fd for group in given.values() for fd in group)}
        process = os.fork()
        if process == 0:
            self._become(service, configuration, inherited)
        os.close(configuration)
        service.process = process
        service.starts += 1
        self._plug(service, on=True)
        service.started = time.monotonic()
        service.due = None
        log(f"{service.name}: process {process}, start {service.starts}")

    def _become(self, service: Service, configuration: int, inherited: set[int]) -> None:
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            if service.output:
                os.setsid()
                output.take(service.output)
            for descriptor in inherited:
                os.set_inheritable(descriptor, True)
            os.execv(service.arguments[0], [*service.arguments, str(configuration)])
        except OSError as error:
            log(f"{service.name}: cannot start {service.arguments[0]}: {error}")
        os._exit(127)

    def reap(self) -> None:
        """Collect ended processes; a service's is started again."""
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if process == 0:
                return
            for service in self._services.values():
                if service.process == process:
                    self._ended(service, status)

    def _ended(self, service: Service, status: int) -> None:
        log(f"{service.name}: process {service.process} ended, {_how(status)}")
        service.end_rest()
        service.process = 0
        service.ended = _how(status)
        if service.once:
            self._plug(service, on=False)
            return
        lived = time.monotonic() - service.started
        service.delay = min(LONGEST_DELAY, service.delay * 2 + 0.1) if lived < FRESH_SECONDS else 0
        # The first quick end is started again at once: it may have been killed by hand.
        service.due = time.monotonic() + (service.delay if service.delay > 0.1 else 0.0)

    def _plug(self, service: Service, on: bool) -> None:
        """Let the taps of a machine have a carrier or none, as a cable has none when what is at its
        end is off; the bridge then forgets who was there.
        """
        if service.once:
            for name in service.give:
                for descriptor in self._held.get(name, ()):
                    with contextlib.suppress(OSError):  # it is no tap
                        set_carrier(descriptor, on)

    def start_due(self) -> float:
        """Start services whose time has come; seconds until there is something to do again."""
        now = time.monotonic()
        waits = [self._trim(now)]
        for service in self._services.values():
            if service.due is None:
                continue
            if service.due <= now:
                self._start(service)
            else:
                waits.append(service.due - now)
        return min(waits)

    def _trim(self, now: float) -> float:
        """Keep files that services write to from growing; seconds until that is due again."""
        if self._trimmed + output.SECONDS <= now:
            self._trimmed = now
            output.trim(self._log)
            for service in self._services.values():
                if service.output:
                    output.trim(service.output)
        return self._trimmed + output.SECONDS - now

    def end_all(self) -> None:
        """Ask every service to end, and wait a moment for them."""
        for service in self._services.values():
            if service.process:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(service.process, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            try:
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    time.sleep(0.002)
            except ChildProcessError:
                break


def _names(value: Sequence[Any]) -> list[str]:
    return [str(name) for name in value]


def _end(process: int) -> None:
    os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while os.waitpid(process, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return
        time.sleep(0.002)


def log(text: str) -> None:
    """A line in the lab's log, which is this process's standard error."""
    print(time.strftime("%Y-%m-%dT%H:%M:%S"), text, file=sys.stderr, flush=True)


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"killed by signal {os.WTERMSIG(status)}"
    return f"exit status {os.WEXITSTATUS(status)}"
