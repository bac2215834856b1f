"""What the line between a node and its bridge is to be like: slow, late, lossy.

A wire is such a line itself, and a shaped port is like one at the end of a longer line. Both
directions are alike: what the node sends and what it receives. So a ping through one takes twice
its delay.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from linkspan.model.fact import Key
from linkspan.model.fact import Value as FactValue
from linkspan.model.port_options import PortOptions
from linkspan.model.unfit import UnfitError

_BANDWIDTH: Final = re.compile("([1-9][0-9]{0,5})([kMG])")
_UNITS: Final = {"k": 10**3, "M": 10**6, "G": 10**9}
LEAST_BITS: Final = 8000
MOST_BITS: Final = 100 * 10**9
"""Bits a second."""

BandwidthText = Annotated[
    str,
    Meta(
        pattern="^[1-9][0-9]{0,5}[kMG]$",
        extra={"shape": "bandwidth"},
        examples=["10M", "512k", "1G"],
    ),
]


def bandwidth(text: str) -> str:
    """A number of bits a second with its unit, the largest in which it is whole."""
    found = _BANDWIDTH.fullmatch(text)
    bits = int(found[1]) * _UNITS[found[2]] if found else 0
    if not LEAST_BITS <= bits <= MOST_BITS:
        raise UnfitError(
            "is no bandwidth",
            "bits a second, from 8k to 100G: a whole number and k, M or G (1000 each)",
            "write for instance 10M",
        )
    return bandwidth_of(bits)


def bandwidth_of(bits: int) -> str:
    """A number of bits a second as the file has it."""
    unit = next((unit for unit in "GMk" if bits % _UNITS[unit] == 0), "k")
    return f"{bits // _UNITS[unit]}{unit}"


class Shape(msgspec.Struct, frozen=True):
    """How a line is, in each direction."""

    bandwidth: str | None = None
    """As in the file."""
    delay: float = 0.0
    """Seconds."""
    loss: float = 0.0
    """Percent."""

    @property
    def bits(self) -> int | None:
        """The bandwidth in bits a second."""
        if self.bandwidth is None:
            return None
        return int(self.bandwidth[:-1]) * _UNITS[self.bandwidth[-1]]

    @property
    def words(self) -> str:
        """For people: `10M bit/s, 0.02 s late, 1 % lost`."""
        parts = (
            f"{self.bandwidth}bit/s" if self.bandwidth else "",
            f"{self.delay:g} s late" if self.delay else "",
            f"{self.loss:g} % lost" if self.loss else "",
        )
        return ", ".join(filter(None, parts))


LEAST_BACKLOG: Final = 128 << 10
"""Bytes that may wait to be sent on the slowest line: two frames of the largest size."""

BACKLOG_SECONDS: Final = 0.1
"""What a faster line takes that it has not sent yet."""


def backlog_bytes(shape: Shape) -> int:
    """Bytes that may wait to be sent, where there is a bandwidth."""
    return max(LEAST_BACKLOG, round(BACKLOG_SECONDS * (shape.bits or 0) / 8))


Bandwidth = Annotated[
    BandwidthText | None,
    Meta(
        description="Most bits a second, in each direction; the rest waits, up to 0.1 s or "
        "128 KiB, and is dropped beyond that."
    ),
]
Delay = Annotated[
    float,
    Meta(
        ge=0,
        le=60,
        description="Seconds that each frame is under way, in each direction: a ping takes "
        "twice as long.",
    ),
]
Loss = Annotated[
    float,
    Meta(ge=0, le=100, description="Percent of the frames that are lost, in each direction."),
]


def in_steps(bandwidth: str | None, delay: float, loss: float) -> Shape:
    """How a line is to be, in steps that a kernel's units have."""
    return Shape(bandwidth, round(delay, 6), round(loss, 4))


class ShapedOptions(PortOptions, frozen=True, kw_only=True):
    """The options of a port whose line can be shaped."""

    bandwidth: Bandwidth = None
    delay: Delay = 0.0
    loss: Loss = 0.0

    @property
    def shape(self) -> Shape:
        """How the line is to be."""
        return in_steps(self.bandwidth, self.delay, self.loss)


class ShapingKey(Key, frozen=True):
    """How slow, late and lossy the line between a node's interface and its bridge is."""

    node: str
    interface: str


class Shaping(FactValue, frozen=True):
    engine: str
    """Who does it, that of the port."""
    bandwidth: str | None = None
    delay: float = 0.0
    loss: float = 0.0

    @property
    def shape(self) -> Shape:
        """The same without who does it."""
        return Shape(self.bandwidth, self.delay, self.loss)


def shaping(engine: str, shape: Shape) -> Shaping:
    """A shape as a fact."""
    return Shaping(engine=engine, **msgspec.structs.asdict(shape))
