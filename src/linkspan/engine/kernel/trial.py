"""Trying something in a network namespace that nobody else has.

A kernel says nowhere what it was built with, so it is tried: by a forked process in a new
namespace, which ends with the process. Without the privilege to make a network namespace the
process makes a user namespace first, as a lab of an ordinary user does.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from linkspan.engine.netlink import Netlink
from linkspan.errors import Refusal
from linkspan.sandbox.syscalls import CLONE_NEWNET, CLONE_NEWUSER, unshare

_DONE, _REFUSED = b"+", b"-"


def in_new_namespace(work: Callable[[Netlink], bytes]) -> bytes:
    """What `work` returns in a network namespace of its own. Raises Refusal, also when there can't
    be such a namespace.
    """
    near, far = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(far, _DONE + _work_there(work))
        except (Refusal, OSError) as error:
            os.write(far, _REFUSED + str(error).encode())
        finally:
            os._exit(0)
    os.close(far)
    with os.fdopen(near, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    if said[:1] != _DONE:
        raise Refusal(said[1:].decode() or "the trial broke off")
    return said[1:]


def _work_there(work: Callable[[Netlink], bytes]) -> bytes:
    try:
        _unshare_network()
    except OSError as error:
        raise Refusal(f"no network namespace can be made: {error.strerror}") from None
    try:
        with Netlink() as netlink:
            return work(netlink)
    except OSError as error:
        raise Refusal(f"rtnetlink does not answer: {error.strerror}") from None


def _unshare_network() -> None:
    try:
        unshare(CLONE_NEWNET)
    except PermissionError:
        unshare(CLONE_NEWUSER | CLONE_NEWNET)
