"""A lab's init process as other commands see it: start it, talk to it, wait for its end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from linkspan.control.lines import Client
from linkspan.errors import Missing, Refusal
from linkspan.sandbox import state


def connect(folder: Path) -> Client:
    """Connect to the init process of a living lab. Raises Missing when there is none."""
    return Client(folder / state.INIT_SOCKET)


def start(folder: Path, lock: int) -> Client:
    """Start a lab's init process, which inherits the lock; returns the builder's connection.

    Raises Missing when the kernel does not give us namespaces.
    """
    read, write = os.pipe()
    log = os.open(folder / state.LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with open(read) as answer:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "linkspan.sandbox.init", folder, str(lock), str(write)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock, write),
            start_new_session=True,
        )
        os.close(write)
        os.close(log)
        line = answer.readline().strip()
    process.wait()
    if line != "ok":
        raise Missing(
            f"no namespaces for the lab: {line.removeprefix('no: ') or 'init did not start'}\n"
            f"  next: run as root, or allow user namespaces"
            f" (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces)"
        )
    return connect(folder)


def wait_for_end(folder: Path, seconds: float) -> bool:
    """Wait until no process holds the lab's lock; False when one still does after `seconds`."""
    deadline = time.monotonic() + seconds
    while state.is_alive(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def end(folder: Path) -> None:
    """End a lab: ask its init process, and kill it when it does not answer; remove the folder.

    Raises Refusal when a process that isn't ours to kill holds the lock.
    """
    if state.is_alive(folder):
        _ask_to_end(folder)
        if not wait_for_end(folder, 5.0):
            _kill_holders(folder)
            if not wait_for_end(folder, 5.0):
                raise Refusal(f"a process still holds {folder / state.LOCK} and can't be ended")
    state.remove(folder)


def _ask_to_end(folder: Path) -> None:
    try:
        with Client(folder / state.INIT_SOCKET, timeout=5.0) as client:
            client.call("shutdown")
    except (Missing, Refusal):
        return


def _kill_holders(folder: Path) -> None:
    """Kill the processes that have the lab's lock open, which only its init process has."""
    lock = (folder / state.LOCK).stat()
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        try:
            opened = [entry.stat() for entry in (process / "fd").iterdir()]
        except OSError:
            continue
        if any(os.path.samestat(found, lock) for found in opened):
            os.kill(int(process.name), 9)
