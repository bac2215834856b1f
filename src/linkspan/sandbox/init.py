"""A lab's first process: it holds the lab's namespaces and keeps its services running.

Theory of operation. Everything that a sandbox lab consists of hangs on this one process. It is
process 1 of a PID namespace, so when it ends, however it ends, the kernel kills every process of
the lab; it holds the only references to the nodes' namespaces, so they go too, and their
interfaces with them. Nothing has to be cleaned up after a `kill -9` but a folder of files.

    up ──(control socket)──▶ init ──holds──▶ descriptors: namespaces, taps, sockets
                               └──runs────▶ services: one switch process a bridge, …

What it does is little, so that it has no reason to fail:

hold NAME       keep the descriptors that come with the request
fetch NAME      give out duplicates of them (to enter a node, say)
drop NAME       close them
run NAME        start a service and start it again whenever it ends; the descriptors it names in
                `give` are inherited, so a switch that was killed finds its taps as they were,
                with what has queued up in them
stop NAME       end a service
commit          the lab is complete: until then the lab ends with the builder's connection,
                which this process was given at its start
status          services, their processes, how often they were started
shutdown        end everything and remove the lab's folder

This process imports no library, so that it starts fast and stays small.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from linkspan.control.lines import Connection, RequestError, Value, listen, send_line
from linkspan.control.server import Server
from linkspan.sandbox import state
from linkspan.sandbox.syscalls import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    mount,
    raise_descriptor_limit,
    set_process_name,
    unshare,
)

FRESH_SECONDS: Final = 2.0
"""A service that lived shorter than this is started again with a growing delay."""

LONGEST_DELAY: Final = 5.0
"""Seconds between two starts of a service that ends at once."""


@dataclass
class Service:
    """A process that is to run as long as the lab does."""

    name: str
    arguments: list[str]
    give: list[str]
    process: int = 0
    starts: int = 0
    started: float = 0.0
    due: float | None = None
    delay: float = 0.0
    configuration: dict[str, Any] = field(default_factory=dict)


class Init:
    """The state of the first process and its answers."""

    def __init__(self, folder: Path, lock: int, builder: socket.socket) -> None:
        self.folder = folder
        self.lock = lock
        self.since = time.time()
        self.held: dict[str, list[int]] = {}
        self.services: dict[str, Service] = {}
        self.committed = False
        self.ending = False
        self.selector = selectors.DefaultSelector()
        self.listening = listen(folder / state.INIT_SOCKET)
        self.server = Server(self.selector, self.listening, self.handle, self.disconnected)
        self.builder = self.server.adopt(builder)

    # requests

    def handle(self, connection: Connection, request: Value, descriptors: list[int]) -> Value:
        """Answer one request. Raises RequestError."""
        operation = self.OPERATIONS.get(request["op"])
        if operation is None:
            raise RequestError(f"unknown op; known: {', '.join(self.OPERATIONS)}")
        try:
            return operation(self, request, descriptors)
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise RequestError(f"{type(error).__name__}: {error}") from None

    def _hold(self, request: Value, descriptors: list[int]) -> Value:
        name = str(request["name"])
        self._close(name)
        self.held[name] = descriptors
        return {}

    def _fetch(self, request: Value, descriptors: list[int]) -> Value:
        if request["name"] not in self.held:
            raise RequestError(f"nothing is held under the name {request['name']!r}")
        return {"descriptors": self.held[request["name"]]}

    def _drop(self, request: Value, descriptors: list[int]) -> Value:
        self._close(str(request["name"]))
        return {}

    def _close(self, name: str) -> None:
        for descriptor in self.held.pop(name, []):
            os.close(descriptor)

    def _run(self, request: Value, descriptors: list[int]) -> Value:
        service = Service(
            name=str(request["name"]),
            arguments=[str(argument) for argument in request["arguments"]],
            give=[name for name in request.get("give", []) if name in self.held],
            configuration=dict(request.get("configuration", {})),
        )
        if service.name in self.services:
            raise RequestError(f"a service named {service.name!r} runs already")
        self.services[service.name] = service
        self._start(service)
        return {"pid": service.process}

    def _stop(self, request: Value, descriptors: list[int]) -> Value:
        service = self.services.pop(request["name"], None)
        if service is not None and service.process:
            os.kill(service.process, signal.SIGTERM)
        return {}

    def _commit(self, request: Value, descriptors: list[int]) -> Value:
        self.committed = True
        return {}

    def _status(self, request: Value, descriptors: list[int]) -> Value:
        return {
            "lab": self.folder.name,
            "since": self.since,
            "committed": self.committed,
            "held": sorted(self.held),
            "services": {
                service.name: {"pid": service.process, "starts": service.starts}
                for service in self.services.values()
            },
        }

    def _shutdown(self, request: Value, descriptors: list[int]) -> Value:
        self.ending = True
        return {}

    OPERATIONS: Final = {
        "hold": _hold,
        "fetch": _fetch,
        "drop": _drop,
        "run": _run,
        "stop": _stop,
        "commit": _commit,
        "status": _status,
        "shutdown": _shutdown,
    }

    def disconnected(self, connection: Connection) -> None:
        """A builder that goes away before `commit` takes the half-built lab with it."""
        if connection is self.builder and not self.committed:
            self.ending = True

    # services

    def _start(self, service: Service) -> None:
        given = {name: self.held[name] for name in service.give if name in self.held}
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
        service.started = time.monotonic()
        service.due = None
        log(f"{service.name}: process {process}, start {service.starts}")

    def _become(self, service: Service, configuration: int, inherited: set[int]) -> None:
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
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
            for service in self.services.values():
                if service.process == process:
                    self._ended(service, status)

    def _ended(self, service: Service, status: int) -> None:
        log(f"{service.name}: process {service.process} ended, {_how(status)}")
        service.process = 0
        lived = time.monotonic() - service.started
        service.delay = min(LONGEST_DELAY, service.delay * 2 + 0.1) if lived < FRESH_SECONDS else 0
        # The first quick end is started again at once: it may have been killed by hand.
        service.due = time.monotonic() + (service.delay if service.delay > 0.1 else 0.0)

    def start_due(self) -> float | None:
        """Start services whose time has come; seconds until the next one, None if none waits."""
        now = time.monotonic()
        waits: list[float] = []
        for service in self.services.values():
            if service.due is None:
                continue
            if service.due <= now:
                self._start(service)
            else:
                waits.append(service.due - now)
        return min(waits, default=None)

    # life

    def live(self) -> None:
        """Serve until the end is asked for."""
        waker, woken = socket.socketpair()
        for end in (waker, woken):
            end.setblocking(False)
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._asked_to_end)
        signal.signal(signal.SIGINT, self._asked_to_end)
        self.selector.register(waker, selectors.EVENT_READ, lambda _: waker.recv(4096))
        while not self.ending:
            for key, events in self.selector.select(self.start_due()):
                key.data(events)
            self.reap()

    def _asked_to_end(self, *_: object) -> None:
        self.ending = True

    def end(self) -> None:
        """Ask services to end, remove the folder; the kernel does the rest when we exit."""
        for service in self.services.values():
            if service.process:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(service.process, signal.SIGTERM)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            try:
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    time.sleep(0.002)
            except ChildProcessError:
                break
        log("ended")
        state.remove(self.folder, self.lock)


def log(text: str) -> None:
    """A line in the lab's log, which is this process's standard error."""
    print(time.strftime("%Y-%m-%dT%H:%M:%S"), text, file=sys.stderr, flush=True)


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"killed by signal {os.WTERMSIG(status)}"
    return f"exit status {os.WEXITSTATUS(status)}"


def _enter_namespaces() -> None:
    """New user (for an ordinary user), PID, mount, network and UTS namespaces.

    user_namespaces(7): the maps can be written once, by the process itself if it maps only
    its own ids and gives up setgroups(2).
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        unshare(CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS)


def _prepare_mounts() -> None:
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def main(arguments: list[str]) -> None:
    """`init FOLDER LOCK BUILDER`: become the first process of the lab whose folder this is.

    LOCK is the descriptor of the taken lock, BUILDER that of the builder's connection. The first
    line on it says that requests are served, or why the kernel refused.
    """
    folder, lock = Path(arguments[0]), int(arguments[1])
    builder = socket.socket(fileno=int(arguments[2]))
    for descriptor in (lock, builder.fileno()):
        os.set_inheritable(descriptor, False)
    os.chdir("/")
    raise_descriptor_limit()
    try:
        kinds = (
            ["mnt", "pid", "net", "uts"]
            if os.geteuid() == 0
            else ["user", "mnt", "pid", "net", "uts"]
        )
        _enter_namespaces()
        if os.fork():
            os._exit(0)
        _prepare_mounts()
        set_process_name(f"lab:{folder.name}")
        init = Init(folder, lock, builder)
        init.held["lab"] = [
            os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds
        ]
        send_line(builder, b'{"ok": true}\n', [])
    except OSError as error:
        with contextlib.suppress(OSError):
            send_line(builder, json.dumps({"ok": False, "error": str(error)}).encode() + b"\n", [])
        state.remove(folder, lock)
        os._exit(1)
    try:
        init.live()
    finally:
        init.end()


if __name__ == "__main__":
    main(sys.argv[1:])
