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
from typing import Final

from linkspan.engine.netlink import CREATE_EXCLUSIVELY, CREATE_OR_REPLACE, Request
from linkspan.engine.packed import Packed, attribute, nest, short, whole, words

NEWQDISC, DELQDISC, _NEWTFILTER, _DELTFILTER = 36, 37, 44, 45
_TC_H_CLSACT, _TC_H_INGRESS = 0xFFFFFFF1, 0xFFFFFFF2
_CLSACT_HANDLE: Final = 0xFFFF0000
_DIRECT_ACTION: Final = 1
"""TCA_BPF_FLAG_ACT_DIRECT."""
_ETH_P_ALL = 3

OUR_HANDLE: Final = 0x6C73
"""Of our filter at an interface."""

_RETURN, _TC_ACT_SHOT = 0x06, 2
"""BPF_RET | BPF_K, and what it returns."""


TCMSG: Final = struct.Struct("=BxxxiIII")
"""struct tcmsg: family, interface, handle, parent, info."""
_TCA_KIND, _TCA_OPTIONS = 1, 2
_BPF_OPS_LEN, _BPF_OPS, _BPF_FD, _BPF_NAME, _BPF_FLAGS = 4, 5, 6, 7, 8
"""TCA_BPF_* (include/uapi/linux/pkt_cls.h)."""


def add_clsact(index: int) -> Request:
    """Give an interface the qdisc that holds programs; the kernel refuses when it has one."""
    header = TCMSG.pack(0, index, _CLSACT_HANDLE, _TC_H_CLSACT, 0)
    body = header + words(_TCA_KIND, "clsact")
    return Request("add a clsact qdisc", Packed(NEWQDISC, CREATE_EXCLUSIVELY, body))


def delete_clsact(index: int) -> Request:
    """Take that qdisc away, with every program in it."""
    header = TCMSG.pack(0, index, _CLSACT_HANDLE, _TC_H_CLSACT, 0)
    return Request("delete the clsact qdisc", Packed(DELQDISC, 0, header))


def put_program(index: int, program: int, name: str) -> Request:
    """Run a program (by descriptor) on every frame that comes in, in the place of the one before
    if there is one."""
    return _filter(index, name, whole(_BPF_FD, program))


def put_drop(index: int, name: str) -> Request:
    """Drop every frame that comes in, behind what packet sockets see (net/core/dev.c)."""
    one = struct.pack("=HBBI", _RETURN, 0, 0, _TC_ACT_SHOT)
    return _filter(index, name, short(_BPF_OPS_LEN, 1), attribute(_BPF_OPS, one))


def _filter(index: int, name: str, *program: bytes) -> Request:
    options = (*program, words(_BPF_NAME, name), whole(_BPF_FLAGS, _DIRECT_ACTION))
    body = _place(index) + words(_TCA_KIND, "bpf") + nest(_TCA_OPTIONS, *options)
    message = Packed(_NEWTFILTER, CREATE_OR_REPLACE, body)
    return Request(f"attach the program {name}", message)


def delete_program(index: int) -> Request:
    """Take our program away."""
    body = _place(index) + words(_TCA_KIND, "bpf")
    return Request("detach our program", Packed(_DELTFILTER, 0, body))


def _place(index: int) -> bytes:
    info = 1 << 16 | socket.htons(_ETH_P_ALL)
    return TCMSG.pack(0, index, OUR_HANDLE, _TC_H_INGRESS, info)
