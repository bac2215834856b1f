"""A lab's first process: it holds the lab's namespaces and keeps its services running.

Theory of operation. Everything that a sandbox lab consists of hangs on this one process. It is
process 1 of a PID namespace, so when it ends, however it ends, the kernel kills every process of
the lab; it holds the only references to the nodes' namespaces, so they go too, and their
interfaces with them. Nothing has to be cleaned up after a `kill -9` but a folder of files.

    up ──(control socket)──▶ init ──holds──▶ descriptors: namespaces, taps, sockets
                               └──runs────▶ services: one switch process a bridge, …

What it does is little, so that it has no reason to fail:

hold NAME       keep the descriptors that come with the request
hold-each       keep as many of them for each of several names
fetch NAME      give out duplicates of them (to enter a node, say)
drop NAME       close them
run NAME        start a service and start it again whenever it ends, unless it is to run
                `once`; the descriptors it names in `give` are inherited, so a switch that was
                killed finds its taps as they were, with what has queued up in them
                (`sandbox.services`)
configure       change what the next processes of services find, of several at once or of none
configuration   what the next process of a service finds
stop NAME       end a service
commit          the lab is complete: until then the lab ends with the builder's connection,
                which this process was given at its start
status          services, their processes, how often they were started
shutdown        end everything and, with `remove`, the lab's folder

In scope host it stays in the network namespace that it was started in, which is the machine's (or
the one that plays the machine). What the lab makes there does not end with this process, so it
leaves the folder, which says what there is, to whoever comes next, unless it is told to remove it.

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
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from linkspan.control.lines import Connection, RequestError, Value, listen
from linkspan.control.server import Server
from linkspan.sandbox import state
from linkspan.sandbox.closing import close_together
from linkspan.sandbox.namespaces import node_key, open_namespaces
from linkspan.sandbox.services import Services, log
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
    unmount,
    unshare,
)

SANDBOX: Final = "sandbox"
HOST: Final = "host"
"""The scope, and the name of the node that stands for the machine."""


class Init:
    """The state of the first process and its answers."""

    def __init__(self, folder: Path, lock: int, builder: socket.socket, removes: bool) -> None:
        self.folder = folder
        self.removes = removes
        self.lock = lock
        self.since = time.time()
        self.held: dict[str, list[int]] = {}
        self.services = Services(self.held, str(folder / state.LOG))
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
        self._close([name])
        self.held[name] = descriptors
        return {}

    def _hold_each(self, request: Value, descriptors: list[int]) -> Value:
        names = [str(name) for name in request["names"]]
        if not names or len(descriptors) % len(names):
            raise RequestError(f"{len(descriptors)} descriptors can't be shared by {len(names)}")
        self._close(names)
        share = len(descriptors) // len(names)
        for place, name in enumerate(names):
            self.held[name] = descriptors[place * share : (place + 1) * share]
        return {}

    def _fetch(self, request: Value, descriptors: list[int]) -> Value:
        if request["name"] not in self.held:
            raise RequestError(f"nothing is held under the name {request['name']!r}")
        return {"descriptors": self.held[request["name"]]}

    def _fetch_each(self, request: Value, descriptors: list[int]) -> Value:
        """One descriptor of each of several, by its place among those held under the name."""
        place = int(request["place"])
        return {"descriptors": [self.held[str(name)][place] for name in request["names"]]}

    def _drop(self, request: Value, descriptors: list[int]) -> Value:
        self._close([str(name) for name in request["names"]])
        return {}

    def _close(self, names: Iterable[str]) -> None:
        close_together([each for name in names for each in self.held.pop(name, [])])

    def _commit(self, request: Value, descriptors: list[int]) -> Value:
        self.committed = True
        return {}

    def _status(self, request: Value, descriptors: list[int]) -> Value:
        return {
            "lab": self.folder.name,
            "since": self.since,
            "committed": self.committed,
            "held": sorted(self.held),
            "services": self.services.status(),
        }

    def _shutdown(self, request: Value, descriptors: list[int]) -> Value:
        self.ending = True
        self.removes = self.removes or bool(request.get("remove"))
        return {}

    OPERATIONS: Final[dict[str, Callable[[Init, Value, list[int]], Value]]] = {
        "hold": _hold,
        "hold-each": _hold_each,
        "fetch": _fetch,
        "fetch-each": _fetch_each,
        "drop": _drop,
        "run": lambda self, request, _: self.services.run(request),
        "configure": lambda self, request, _: self.services.configure(request),
        "configuration": lambda self, request, _: self.services.configuration(request),
        "stop": lambda self, request, _: self.services.stop(request),
        "commit": _commit,
        "status": _status,
        "shutdown": _shutdown,
    }

    def disconnected(self, connection: Connection) -> None:
        """A builder that goes away before `commit` takes the half-built lab with it."""
        if connection is self.builder and not self.committed:
            self.ending = True

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
            for key, events in self.selector.select(self.services.start_due()):
                key.data(events)
            self.services.reap()

    def _asked_to_end(self, *_: object) -> None:
        self.ending = True

    def end(self) -> None:
        """Ask services to end, remove the folder; the kernel does the rest when we exit."""
        self.services.end_all()
        self._close(list(self.held))
        log("ended")
        if self.removes:
            _remove(self.folder, self.lock)


def _enter_namespaces(with_network: bool) -> None:
    """New user (for an ordinary user), PID, mount, UTS and, for a sandbox, network namespaces.

    user_namespaces(7): the maps can be written once, by the process itself if it maps only
    its own ids and gives up setgroups(2).
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        unshare(CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | (CLONE_NEWNET if with_network else 0))


def _prepare_mounts(folder: Path) -> None:
    """Mounts that nobody outside of the lab sees: processes of its own, and memory for the files of
    its nodes, which so end with the lab as everything else does."""
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    files = folder / state.NODE_FILES
    files.mkdir(mode=0o755, exist_ok=True)
    mount("linkspan", str(files), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755")


def _remove(folder: Path, lock: int) -> None:
    """Remove the lab's folder, of which a part may be a mount of ours."""
    with contextlib.suppress(OSError):
        unmount(str(folder / state.NODE_FILES))
    state.remove(folder, lock)


def main(arguments: list[str]) -> None:
    """`init FOLDER LOCK BUILDER SCOPE`: become the first process of the lab whose folder this is.

    LOCK is the descriptor of the taken lock, BUILDER that of the builder's connection, SCOPE is
    sandbox or host. The first line on the connection says that requests are served, or why the
    kernel refused.
    """
    folder, lock, scope = Path(arguments[0]), int(arguments[1]), arguments[3]
    builder = socket.socket(fileno=int(arguments[2]))
    for descriptor in (lock, builder.fileno()):
        os.set_inheritable(descriptor, False)
    os.chdir("/")
    raise_descriptor_limit()
    is_sandbox = scope == SANDBOX
    is_root = os.geteuid() == 0
    machine = [] if is_sandbox else open_namespaces()
    try:
        kinds = ("mnt", "pid", "net", "uts")
        _enter_namespaces(with_network=is_sandbox)
        if os.fork():
            os._exit(0)
        _prepare_mounts(folder)
        set_process_name(f"lab:{folder.name}")
        init = Init(folder, lock, builder, removes=is_sandbox)
        init.held["lab"] = open_namespaces(kinds if is_root else ("user", *kinds))
        if machine:
            init.held[node_key(HOST)] = machine
        builder.sendall(b'{"ok": true}\n')
    except OSError as error:
        with contextlib.suppress(OSError):
            builder.sendall(json.dumps({"ok": False, "error": str(error)}).encode() + b"\n")
        if is_sandbox:
            _remove(folder, lock)
        os._exit(1)
    try:
        init.live()
    finally:
        init.end()


if __name__ == "__main__":
    main(sys.argv[1:])
