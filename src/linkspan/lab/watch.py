"""Keeping a lab as its file says: what other hands change is repaired as it happens.

A process inside the lab listens to the kernel's notices about interfaces, addresses and routes in
every node (rtnetlink(7), multicast groups) and writes a byte when they have come and it is quiet
again; then everything is read and planned as by any other `up`. What gives no notice (an option of
our own switch, say) is found by looking every few seconds. The listener ends with the lab: what is
there then says whether the lab was taken down or has to be made again.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from linkspan.control.descriptors import close_all
from linkspan.engine.site import Site
from linkspan.errors import LinkspanError
from linkspan.lab.find import Place
from linkspan.lab.life import scope_of
from linkspan.lab.terms import Terms
from linkspan.lab.up import Up, up
from linkspan.sandbox import holder
from linkspan.sandbox.namespaces import fork_inside, inside

QUIET: Final = 0.05
"""Seconds without a notice after which what came is looked at."""

INTERVAL: Final = 3.0
"""Seconds after which everything is looked at, notice or not."""

_LINK, _IPV4_ADDRESS, _IPV4_ROUTE, _IPV6_ADDRESS, _IPV6_ROUTE = 0x1, 0x10, 0x40, 0x100, 0x400
_NOTICES: Final = _LINK | _IPV4_ADDRESS | _IPV4_ROUTE | _IPV6_ADDRESS | _IPV6_ROUTE
"""RTMGRP_* (include/uapi/linux/rtnetlink.h)."""


def keep(
    file: Path,
    report: Callable[[Up], None],
    complain: Callable[[str], None],
    terms: Terms | None = None,
) -> None:
    """Bring a lab up and repair it until it is taken down. `report` is called after the first `up`
    and after each later one that had something to do; `complain` with what went wrong in a later
    one. `terms` secure the first one's change of uplinks.

    Raises LinkspanError when the first `up` fails.
    """
    done = up(file, terms=terms)
    report(done)
    while done.place.folder.exists():
        try:
            with _listening(done.place) as notices:
                is_alive = True
                while is_alive:  # once before the first notice: what came before we listened
                    done = up(file, terms=Terms(leave_off=True))
                    if done.plan:
                        report(done)
                    is_alive = _wait(notices)
        except LinkspanError as error:
            if done.place.folder.exists():
                complain(str(error))
                time.sleep(INTERVAL)


def _wait(notices: int) -> bool:
    """Wait for a notice, or until it is time to look anyway; False when the lab has ended."""
    poller = select.poll()
    poller.register(notices, select.POLLIN)
    return not poller.poll(INTERVAL * 1000) or os.read(notices, 4096) != b""


@contextmanager
def _listening(place: Place) -> Iterator[int]:
    """A pipe from which a byte comes for each burst of notices; it ends with the lab.

    Raises LinkspanError when the lab can't be entered.
    """
    read, write = os.pipe()
    with holder.connect(place.folder) as init:
        _, lab = init.call_for_descriptors("fetch", name="lab")
        site = Site(place.name, place.folder, init, scope_of(place.folder))
        process = fork_inside(lab, lambda: _listen(site, write))
        os.close(write)
        site.close()
        close_all(lab)
    try:
        yield read
    finally:
        os.close(read)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def _listen(site: Site, notices: int) -> int:
    poller = select.poll()
    sockets = {}
    for node in site.nodes():
        with inside(site.network(node)):
            listening = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            listening.bind((0, _NOTICES))
        sockets[listening.fileno()] = listening
        poller.register(listening, select.POLLIN)
    while True:
        ready = poller.poll()
        deadline = time.monotonic() + 10 * QUIET
        while ready and time.monotonic() < deadline:
            for descriptor, _ in ready:
                with contextlib.suppress(OSError):  # ENOBUFS: more came than there was room for
                    sockets[descriptor].recv(1 << 16)
            ready = poller.poll(QUIET * 1000)
        os.write(notices, b".")
