"""Who gets the frames that come in by an interface first: programs at its ingress.

A clsact qdisc holds them (tc-bpf(8), net/sched/sch_ingress.c). Ours is one filter of one handle,
so that putting a program in the place of another is one step, and taking ours away touches nobody
else's. What it returns is what becomes of the frame (direct action).

Dropping everything takes no bpf(2), and thus no privilege beyond the namespace's: a classic
program of one instruction does it (cls_bpf.c takes both).
"""

from __future__ import annotations

import socket
import struct
from typing import Any, Final

from pyroute2.netlink import nla, nlmsg
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from linkspan.engine.netlink import ACK, CREATE_EXCLUSIVELY, CREATE_OR_REPLACE, Request, message_of

_NEWQDISC, _DELQDISC, _NEWTFILTER, _DELTFILTER = 36, 37, 44, 45
_TC_H_CLSACT, _TC_H_INGRESS = 0xFFFFFFF1, 0xFFFFFFF2
_CLSACT_HANDLE: Final = 0xFFFF0000
_DIRECT_ACTION: Final = 1
"""TCA_BPF_FLAG_ACT_DIRECT."""
_ETH_P_ALL = 3

OUR_HANDLE: Final = 0x6C73
"""Of our filter at an interface."""

_RETURN, _TC_ACT_SHOT = 0x06, 2
"""BPF_RET | BPF_K, and what it returns."""


class _Message(nlmsg):  # type: ignore[misc]
    """struct tcmsg and attributes; pyroute2's own takes a classic program for a number."""

    fields = tcmsg.fields
    nla_map = (("TCA_UNSPEC", "none"), ("TCA_KIND", "asciiz"), ("TCA_OPTIONS", "bpf_options"))

    class bpf_options(nla):  # type: ignore[misc]  # noqa: N801
        """The attributes of cls_bpf (include/uapi/linux/pkt_cls.h)."""

        nla_map = (
            ("TCA_BPF_UNSPEC", "none"),
            ("TCA_BPF_ACT", "none"),
            ("TCA_BPF_POLICE", "none"),
            ("TCA_BPF_CLASSID", "uint32"),
            ("TCA_BPF_OPS_LEN", "uint16"),
            ("TCA_BPF_OPS", "cdata"),
            ("TCA_BPF_FD", "uint32"),
            ("TCA_BPF_NAME", "asciiz"),
            ("TCA_BPF_FLAGS", "uint32"),
        )


def add_clsact(index: int) -> Request:
    """Give an interface the qdisc that holds programs; the kernel refuses when it has one."""
    fields = {"index": index, "handle": _CLSACT_HANDLE, "parent": _TC_H_CLSACT}
    message = message_of(
        _Message, _NEWQDISC, ACK | CREATE_EXCLUSIVELY, fields, [("TCA_KIND", "clsact")]
    )
    return Request("add a clsact qdisc", message)


def delete_clsact(index: int) -> Request:
    """Take that qdisc away, with every program in it."""
    fields = {"index": index, "handle": _CLSACT_HANDLE, "parent": _TC_H_CLSACT}
    return Request("delete the clsact qdisc", message_of(_Message, _DELQDISC, ACK, fields, []))


def put_program(index: int, program: int, name: str) -> Request:
    """Run a program (by descriptor) on every frame that comes in, in the place of the one before
    if there is one."""
    return _filter(index, name, [("TCA_BPF_FD", program)])


def put_drop(index: int, name: str) -> Request:
    """Drop every frame that comes in, behind what packet sockets see (net/core/dev.c)."""
    one = struct.pack("=HBBI", _RETURN, 0, 0, _TC_ACT_SHOT)
    return _filter(index, name, [("TCA_BPF_OPS_LEN", 1), ("TCA_BPF_OPS", one)])


def _filter(index: int, name: str, program: list[tuple[str, Any]]) -> Request:
    attributes = [*program, ("TCA_BPF_NAME", name), ("TCA_BPF_FLAGS", _DIRECT_ACTION)]
    message = message_of(
        _Message,
        _NEWTFILTER,
        ACK | CREATE_OR_REPLACE,
        _place(index),
        [("TCA_KIND", "bpf"), ("TCA_OPTIONS", {"attrs": attributes})],
    )
    return Request(f"attach the program {name}", message)


def delete_program(index: int) -> Request:
    """Take our program away."""
    message = message_of(_Message, _DELTFILTER, ACK, _place(index), [("TCA_KIND", "bpf")])
    return Request("detach our program", message)


def _place(index: int) -> dict[str, int]:
    return {
        "index": index,
        "handle": OUR_HANDLE,
        "parent": _TC_H_INGRESS,
        "info": 1 << 16 | socket.htons(_ETH_P_ALL),
    }
