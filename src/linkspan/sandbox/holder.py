"""A lab's init process as other commands see it: start it, talk to it, wait for its end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from linkspan.control.client import Client
from linkspan.control.client import connect as connect_socket
from linkspan.errors import Missing, Refusal
from linkspan.sandbox import state

PATIENCE: Final = 5.0
"""Seconds that a process gets to end, or to show up, before it is killed."""


def connect(folder: Path) -> Client:
    """Connect to the init process of a living lab. Raises Missing when there is none."""
    return Client(folder / state.INIT_SOCKET)


def start(folder: Path, lock: int, scope: str) -> Client:
    """Start a lab's init process, which inherits the lock; returns the builder's connection.
    `scope` is sandbox or host.

    The connection is there before the process, so that the lab ends with it from the first moment.
    Raises Missing when the kernel does not give us namespaces.
    """
    ours, theirs = socket.socketpair()
    log = os.open(folder / state.LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with theirs:
        try:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "linkspan.sandbox.init"),
                    *(str(folder), str(lock), str(theirs.fileno()), scope),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock, theirs.fileno()),
                start_new_session=True,
            )
        finally:
            os.close(log)
    client = Client(folder / state.INIT_SOCKET, connected=ours)
    try:
        process.wait()
        answer, _ = client.read()
    except OSError:
        text = (folder / state.LOG).read_text(errors="replace").strip()
        answer = {"ok": False, "error": f"the lab's init process did not start: {text}"}
    if not answer["ok"]:
        client.close()
        raise Missing(
            f"the kernel gives us no namespaces for the lab: {answer['error']}\n"
            f"  next: run as root, or allow user namespaces"
            f" (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces)"
        )
    return client


def end(folder: Path) -> None:
    """End a lab: ask its init process, and kill it when it does not answer; remove the folder.

    Raises Refusal when a process that isn't ours to kill holds the lock.
    """
    deadline = time.monotonic() + PATIENCE
    killed = False
    while not state.clear(folder):
        process = open_process(folder)
        if process is not None:
            _end_process(folder, process)
            state.clear(folder)
            return
        # Somebody brings the lab up and has not started its init process yet, or that has been
        # killed and its last children are about to follow.
        if time.monotonic() > deadline:
            if killed:
                raise Refusal(f"a process still holds {folder / state.LOCK} and can't be ended")
            _kill_holders(folder)
            killed, deadline = True, time.monotonic() + PATIENCE
        time.sleep(0.005)


def open_process(folder: Path) -> int | None:
    """A pidfd of a lab's init process, which listens on its control socket (SO_PEERCRED, unix(7));
    None when nobody does.
    """
    try:
        with connect_socket(folder / state.INIT_SOCKET, PATIENCE) as sock:
            credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return os.pidfd_open(struct.unpack("=iII", credentials)[0])
    except (Missing, OSError):
        return None


def _end_process(folder: Path, process: int) -> None:
    """End an init process and wait until it has; the kernel has ended its children by then
    (`zap_pid_ns_processes`, kernel/pid_namespace.c).
    """
    try:
        if not (_is_asked_to_end(folder) and _has_ended(process)):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, signal.SIGKILL)
            if not _has_ended(process):
                raise Refusal(f"the init process of {folder} can't be ended")
    finally:
        os.close(process)


def _is_asked_to_end(folder: Path) -> bool:
    """Whether an init process understood that it is to end."""
    try:
        with Client(folder / state.INIT_SOCKET, PATIENCE) as client:
            client.call("shutdown", remove=True)
    except (Missing, Refusal):
        return False
    return True


def _has_ended(process: int) -> bool:
    """Whether a process ends within `PATIENCE`."""
    poller = select.poll()
    poller.register(process, select.POLLIN)
    return bool(poller.poll(PATIENCE * 1000))


def _kill_holders(folder: Path) -> None:
    """Kill the processes that have the lab's lock open: its init process, or its builder."""
    lock = (folder / state.LOCK).stat()
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        try:
            opened = [entry.stat() for entry in (process / "fd").iterdir()]
        except OSError:
            continue
        if any(os.path.samestat(found, lock) for found in opened):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(process.name), signal.SIGKILL)
