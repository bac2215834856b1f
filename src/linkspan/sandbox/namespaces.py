"""Namespaces as descriptors: which ones a node has, and going into them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NoReturn

from linkspan.sandbox.syscalls import CLONE_NEWNET, end_with_parent, setns

NODE_KINDS: Final = ("mnt", "net", "uts")
"""A node's namespaces, in the order in which its descriptors are kept."""


def node_key(node: str) -> str:
    """The name under which a lab's init process holds a node's namespaces."""
    return f"node:{node}"


def open_namespaces(kinds: Sequence[str] = NODE_KINDS) -> list[int]:
    """Descriptors of the calling thread's namespaces."""
    return [os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]


def enter(descriptors: Sequence[int]) -> None:
    """Enter namespaces one after the other; a user namespace comes first. Raises OSError."""
    for descriptor in descriptors:
        setns(descriptor)


@contextmanager
def inside(network: int) -> Iterator[None]:
    """Stand in another network namespace for the length of a `with` block. Raises OSError."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(network, CLONE_NEWNET)
        yield
    finally:
        setns(here, CLONE_NEWNET)
        os.close(here)


def fork_inside(descriptors: Sequence[int], work: Callable[[], int]) -> int:
    """Fork a process that enters the namespaces, is a member of the PID namespace among them, and
    does `work`; returns its pid. `work` returns the exit status and never comes back here. It is
    killed when the calling process ends.
    """
    process = os.fork()
    if process == 0:
        _leave_with(lambda: _enter_and_work(descriptors, work))
    return process


def _enter_and_work(descriptors: Sequence[int], work: Callable[[], int]) -> int:
    enter(descriptors)
    end_with_parent()
    member = os.fork()  # setns(2): only children are put into the PID namespace
    if member == 0:
        end_with_parent()
        _leave_with(work)
    _, status = os.waitpid(member, 0)
    return os.waitstatus_to_exitcode(status)


def _leave_with(work: Callable[[], int]) -> NoReturn:
    status = 70
    try:
        status = work()
    finally:
        os._exit(status if status >= 0 else 128 - status)
