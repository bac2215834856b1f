"""The console of a virtual machine: this terminal on the guest's serial line.

The terminal is raw, so that Ctrl-C, Ctrl-Z and arrows are the guest's; Ctrl-] leaves, as in telnet
and in virsh. What the guest said before is in its log (`lab/logs.py`). QEMU serves one listener at
a time and lets others wait without a word, so the one who listens holds a name (unix(7), abstract
namespace), which others find taken.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import sys
import termios
import tty
from collections.abc import Iterator
from typing import Final

from linkspan.control.client import connect
from linkspan.errors import Fault, Mistake
from linkspan.lab.find import Place
from linkspan.sandbox import holder
from linkspan.services.machines import machine_services
from linkspan.services.qemu import console_name

LEAVE: Final = b"\x1d"
"""Ctrl-]."""

_BYTES: Final = 1 << 16


def console(place: Place, node: str) -> None:
    """Connect standard input and output with the console of a machine, until Ctrl-], the end of
    input that is no terminal, or the end of the machine.

    Raises Mistake when the node is no machine, is off, or has a listener already.
    """
    _require_running(place, node)
    with _only_one(place, node), connect(place.folder / console_name(node), 5.0) as line:
        line.setblocking(False)
        with _raw():
            if os.isatty(0):
                print(
                    f"{place.name}/{node}: Ctrl-] leaves", end="\r\n", file=sys.stderr, flush=True
                )
            _relay(line)
    if os.isatty(0):
        print(file=sys.stderr)


def _require_running(place: Place, node: str) -> None:
    topology = place.topology()
    if topology is None or not topology.is_machine(node):
        raise Mistake(
            Fault(
                f"{node} is no virtual machine and has no console",
                next_step=f"linkspan exec {place.name}/{node} gives a shell in it",
            )
        )
    with holder.connect(place.folder) as init:
        status = machine_services(init).get(node)
    if status is None or not status["pid"]:
        raise Mistake(
            Fault(
                f"{node} does not run",
                found=f"QEMU ended, {status['ended']}" if status else "no QEMU",
                next_step=f"linkspan logs {place.name}/{node} has its last words, linkspan up FILE"
                " starts it",
            )
        )


@contextlib.contextmanager
def _only_one(place: Place, node: str) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as name:
        try:
            name.bind(f"\0{place.folder}/{console_name(node)}.taken"[:108])
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise Mistake(
                Fault(
                    f"somebody else is at the console of {node}",
                    next_step="leave it there with Ctrl-]",
                )
            ) from None
        yield


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """The terminal, if there is one, in raw mode for the length of a `with` block (termios(3))."""
    if not os.isatty(0):
        yield
        return
    before = termios.tcgetattr(0)
    tty.setraw(0, termios.TCSAFLUSH)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSAFLUSH, before)


def _relay(line: socket.socket) -> None:
    poller = select.poll()
    poller.register(0, select.POLLIN)
    poller.register(line, select.POLLIN)
    unsent = b""
    while True:
        poller.modify(line, select.POLLIN | (select.POLLOUT if unsent else 0))
        for descriptor, events in poller.poll():
            if descriptor == 0:
                typed = os.read(0, _BYTES)
                text, left, _ = typed.partition(LEAVE)
                unsent += text
                if left or not typed:
                    with contextlib.suppress(OSError):
                        line.send(unsent)
                    return
            elif events & ~select.POLLOUT:
                try:
                    said = line.recv(_BYTES)
                except OSError:
                    return
                if not said:
                    return
                _write(said)
        if unsent:
            with contextlib.suppress(BlockingIOError):
                unsent = unsent[line.send(unsent) :]


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]
