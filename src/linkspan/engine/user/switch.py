"""One bridge of the user engine as the engine handles it: what its process has, and is to have.

Two things hold what a bridge is: the running process, and the configuration that the lab's init
process keeps for the next one. A change goes into the configuration first, so that a process that
is killed at that moment comes back as it should be, and then to the running one, as one batch of
requests (`send`). Both may be done twice: a process that was started in between has it already.

    carry out …      configuration in hand changes, requests queue up
    (configure)      init gets the configurations of all bridges that changed, in one step
    send             the running process gets what came; `depart` tells it what has gone
    clean            what init held for that is dropped

A bridge that has no process yet only collects, until `start`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from linkspan.bridge.port import PortOptions
from linkspan.control.client import Client, Unanswered
from linkspan.control.descriptors import close_all
from linkspan.control.lines import listen
from linkspan.engine.user.configuration import (
    PortConfiguration,
    SwitchConfiguration,
    cache_key,
    control_key,
    memory_key,
    program_key,
    service_name,
    upcall_key,
)
from linkspan.engine.user.kernel_maps import MAPS
from linkspan.engine.user.load import LoadedCache, ServedDevices
from linkspan.engine.user.memory import make_memory
from linkspan.errors import Refusal
from linkspan.model.topology import MOST_PORTS
from linkspan.sandbox import state
from linkspan.types import HOST_PORT

_COMMAND: Final = (sys.executable, "-P", "-m", "linkspan.engine.user.process")
_ATTEMPTS: Final = 5
"""Of a request to a process that ends before it answers."""
_LOG_LINES: Final = 12


class Switch:
    """One bridge. Made with the configuration that it has, or that it is to start with."""

    def __init__(
        self, folder: Path, init: Client, configuration: SwitchConfiguration, runs: bool
    ) -> None:
        self.configuration = configuration
        self.runs = runs
        self.is_changed = False
        """Whether init does not know the configuration yet."""
        self.is_new = False
        """Whether the process was started and has not answered yet."""
        self.devices: ServedDevices | None = None
        """What the in-kernel cache serves, if there is one."""
        self.departing: list[PortConfiguration] = []
        """Ports that the process is to let go of."""
        self._folder = folder
        self._init = init
        self._client: Client | None = None
        self._requests: list[dict[str, Any]] = []
        self._given: list[int] = []
        self._dropping: list[str] = []
        self._opened: list[int] = []

    @property
    def name(self) -> str:
        return self.configuration.name

    # the in-kernel cache

    def load_cache(self, upcall_name: str) -> str:
        """Make the in-kernel cache of a bridge that has not started; returns its state. It is a
        gain, not a need: without it the engine works as well, and says why."""
        try:
            loaded = LoadedCache(upcall_name)
        except (OSError, Refusal) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            return f"off: {why}"
        loaded.give(self._init, self.name)
        self.find_cache(upcall_name)
        return "on"

    def find_cache(self, upcall_name: str) -> None:
        """Take the in-kernel cache in hand that init holds."""
        _, maps = self._init.call_for_descriptors("fetch", name=cache_key(self.name))
        _, (numbers, program) = self._init.call_for_descriptors(
            "fetch", name=program_key(self.name)
        )
        self._opened += [*maps, numbers, program]
        self.devices = ServedDevices(maps[MAPS.index("ports")], numbers, program, upcall_name)

    # ports

    def port(self, name: str) -> PortConfiguration | None:
        """The port of that name."""
        return next((port for port in self.configuration.ports if port.name == name), None)

    def require_port(self, name: str) -> PortConfiguration:
        """The port of that name. Raises Refusal when there is none."""
        if (port := self.port(name)) is None:
            raise Refusal(f"{self.name} has no port {name}")
        return port

    def free_number(self) -> int:
        """The lowest number that no port has. Raises Refusal when there is none."""
        taken = {port.number for port in self.configuration.ports}
        for number in range(HOST_PORT + 1, MOST_PORTS + 1):
            if number not in taken:
                return number
        raise Refusal(f"{self.name} has {MOST_PORTS} ports, and can't have more")

    def add(self, port: PortConfiguration, descriptor: int | None = None) -> None:
        """A port comes; its descriptor passes to the switch."""
        if descriptor is not None:
            self._init.call("hold", [descriptor], name=port.key(self.name))
        self._change(ports=[*self.configuration.ports, port])
        if self.runs:
            self._requests.append({"op": "port-add", "port": msgspec.to_builtins(port)})
            if descriptor is not None:
                self._given.append(descriptor)
        elif descriptor is not None:
            os.close(descriptor)

    def confirm(self, port: PortConfiguration) -> None:
        """Have the process attach a port of the configuration, if it has not."""
        self._requests.append({"op": "port-add", "port": msgspec.to_builtins(port)})
        if port.ifindex is None:
            self._given.append(self.fetch(port))

    def fetch(self, port: PortConfiguration) -> int:
        """A duplicate of a port's descriptor, which is the caller's."""
        _, (descriptor,) = self._init.call_for_descriptors("fetch", name=port.key(self.name))
        return int(descriptor)

    def remove(self, port: PortConfiguration) -> None:
        """A port goes."""
        self._change(ports=[each for each in self.configuration.ports if each != port])
        self._dropping += [port.key(self.name), port.nic_key(self.name)]
        if self.runs:
            self.departing.append(port)
        else:
            self.clean()

    def set_port(self, before: PortConfiguration, **values: Any) -> PortConfiguration:
        """Fields of a port become others; what the process has to know is asked of it beside."""
        after = replace(before, **values)
        ports = [after if port == before else port for port in self.configuration.ports]
        self._change(ports=ports)
        return after

    def set_options(
        self, port: PortConfiguration, options: PortOptions, known: PortOptions | None = None
    ) -> None:
        """A port gets other options; `known` are those that it was found to have."""
        if options != port.options or options != (known or options):
            self.set_port(port, options=options)
            if self.runs:
                self.ask("options", port=port.name, options=msgspec.structs.asdict(options))

    # the bridge

    def change(self, **values: Any) -> None:
        """Fields of the configuration become others, and the process is told."""
        self._change(**values)
        told = ("mac", "up", "ageing_time", "fdb_max_learned", "group_fwd_mask")
        options = {name: value for name, value in values.items() if name in told}
        if options and self.runs:
            self.ask("bridge", options=options)

    def ask(self, operation: str, **fields: Any) -> None:
        """Have the process carry out a request, with others, when `send` is called."""
        self._requests.append({"op": operation, **fields})

    def _change(self, **values: Any) -> None:
        self.configuration = replace(self.configuration, **values)
        self.is_changed = True

    # carrying it out

    @property
    def has_work(self) -> bool:
        """Whether anything waits to be carried out."""
        return bool(
            self.is_new or self.is_changed or self._requests or self.departing or self._dropping
        )

    def service(self) -> dict[str, Any]:
        """What init is to give the next process."""
        keys = (control_key, memory_key, cache_key, upcall_key)
        return {
            "give": [
                *(key(self.name) for key in keys),
                *(port.key(self.name) for port in self.configuration.ports),
            ],
            "configuration": msgspec.to_builtins(self.configuration),
        }

    def start(self) -> None:
        """Start the process; whether it runs shows when it answers."""
        self.make_room()
        with listen(state.bridge_socket(self._folder, self.name)) as listening:
            self._init.call("hold", [listening.fileno()], name=control_key(self.name))
        memory = make_memory()
        self._init.call("hold", [memory], name=memory_key(self.name))
        os.close(memory)
        name = service_name(self.name)
        self._init.call("run", name=name, arguments=_COMMAND, **self.service())
        self.runs, self.is_changed, self.is_new = True, False, True

    def make_room(self) -> None:
        """Let the upcall hold what all ports may have in it."""
        if self.devices is not None:
            self.devices.make_room(len(self.configuration.ports))

    def send(self) -> None:
        """Tell the process what has come or changed. It is in force when this returns; without
        anything to tell, the process has answered."""
        try:
            self._batch(self._requests, self._given)
            self.is_new = False
        finally:
            close_all(self._given)
            self._requests, self._given = [], []

    def depart(self) -> None:
        """Tell the process what has gone."""
        if not self.departing:
            return
        for port in self.departing:
            if port.ifindex is not None and self.devices is not None:
                self.devices.end_upcalls(port.ifindex)
        names = [port.name for port in self.departing]
        self._batch([{"op": "port-delete", "ports": names}], [])
        self.departing = []

    def clean(self) -> None:
        """Drop what init held for ports that have gone, unless others have their numbers."""
        present = {port.key(self.name) for port in self.configuration.ports}
        if gone := [key for key in self._dropping if key not in present]:
            self._init.call("drop", names=gone)
        self._dropping = []

    def _batch(self, requests: Sequence[dict[str, Any]], given: Sequence[int]) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                if self._client is None:
                    self._client = Client(state.bridge_socket(self._folder, self.name))
                self._client.call("batch", given, requests=requests)
                return
            except Unanswered as error:
                self._hang_up()
                if "timed out" in str(error) or attempt + 1 == _ATTEMPTS:
                    raise Refusal(self._silence(error)) from None

    def _silence(self, error: Unanswered) -> str:
        lines = (self._folder / state.LOG).read_text(errors="replace").splitlines()
        return "\n".join(
            [f"the switch of {self.name} does not answer: {error}", *lines[-_LOG_LINES:]]
        )

    def end(self) -> None:
        """End the process, and drop all that init holds for the bridge."""
        self._init.call("stop", name=service_name(self.name))
        self._hang_up()
        with contextlib.suppress(FileNotFoundError):
            state.bridge_socket(self._folder, self.name).unlink()
        keys = (control_key, memory_key, cache_key, upcall_key, program_key)
        self._init.call("drop", names=[key(self.name) for key in keys])
        for port in self.configuration.ports:
            self._dropping += [port.key(self.name), port.nic_key(self.name)]
        self.configuration = replace(self.configuration, ports=[])
        self.clean()
        self.close()

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def close(self) -> None:
        """Let go of our descriptors."""
        self._hang_up()
        close_all(self._given)
        close_all(self._opened)
        self._given, self._opened = [], []
