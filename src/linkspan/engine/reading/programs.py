"""Whether an interface has the qdisc that holds programs at its ingress.

Source: struct tcmsg, include/uapi/linux/rtnetlink.h.
"""

from __future__ import annotations

import struct
from typing import Final

from linkspan.engine.reading.dump import Dumps

_GETQDISC: Final = 38
_HEADER: Final = struct.Struct("=BxxxiIII")
_CLSACT: Final = 0xFFFFFFF1
"""TC_H_CLSACT, the parent of clsact and of its older form, ingress."""


def has_programs(dumps: Dumps, index: int) -> bool:
    """Whether the interface of that number has clsact or ingress. Raises Refusal, OSError."""
    found = map(_HEADER.unpack_from, dumps.entries(_GETQDISC, _HEADER.pack(0, 0, 0, 0, 0)))
    return any((where, parent) == (index, _CLSACT) for _, where, _, parent, _ in found)
