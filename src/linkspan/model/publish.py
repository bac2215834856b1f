"""Port forwards as a file writes them: `8080:web:80`, `[::]:8443:web:443/tcp`, `53:db:53/udp`.

    [ADDRESS:]PORTS:TARGET:PORTS[/tcp|/udp]

ADDRESS is one of the host's, `0.0.0.0` all of IPv4 and `[::]` all of IPv6; without one it is all of
both. PORTS is a port or a range such as 8000-8010, as long on both sides. TARGET is a node or an
address on the bridge's network.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from linkspan.model.unfit import UnfitError

PublishText = Annotated[
    str,
    Meta(
        min_length=1,
        extra={"shape": "publish"},
        examples=["8080:web:80", "[::]:8443:web:443/tcp"],
    ),
]

MOST_SHIFTED: Final = 1024
"""Ports of a range that is not the same on both sides: each is a rule of its own."""

_FORM: Final = re.compile(
    r"(?:(?P<listen>\[[^\]]*\]|\d+\.\d+\.\d+\.\d+):)?(?P<ports>\d+(?:-\d+)?)"
    r":(?P<target>\[[^\]]*\]|[^:\[\]/]+):(?P<to>\d+(?:-\d+)?)(?:/(?P<protocol>[a-z]+))?"
)
_EXAMPLES: Final = "PORT:NODE:PORT such as 8080:web:80, [::]:8443:web:443/tcp or 53:db:53/udp"
_TARGET_NAME: Final = re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class Publish(msgspec.Struct, frozen=True):
    """A forward: what comes for `listen` and a port from `first` to `last` goes to the target's
    port as far behind `to`.
    """

    listen: str | None
    first: int
    last: int
    target: str
    """A node's name or an address."""
    to: int
    protocol: str

    def __str__(self) -> str:
        listen = "" if self.listen is None else f"{_bracketed(self.listen)}:"
        size = self.last - self.first
        ports, to = _range(self.first, size), _range(self.to, size)
        return f"{listen}{ports}:{_bracketed(self.target)}:{to}/{self.protocol}"

    @property
    def address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The target as an address; None when it is a node's name."""
        try:
            return ipaddress.ip_address(self.target)
        except ValueError:
            return None

    @property
    def listens_to_all(self) -> bool:
        """Whether all of the host's addresses (of a family) are meant."""
        return self.listen is None or ipaddress.ip_address(self.listen).is_unspecified

    @property
    def listen_version(self) -> int | None:
        """4 or 6 where only one of them is listened to."""
        return None if self.listen is None else ipaddress.ip_address(self.listen).version


def publish(text: str) -> str:
    """A port forward, in canonical form."""
    return str(parse_publish(text))


def parse_publish(text: str) -> Publish:
    """Read a port forward. Raises UnfitError."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise UnfitError("is not a port forward", _EXAMPLES, "write PORT:NODE:PORT")
    protocol = found["protocol"] or "tcp"
    if protocol not in ("tcp", "udp"):
        raise UnfitError(
            "has no protocol that can be forwarded", "tcp or udp", "write /tcp or /udp"
        )
    first, last = _ports(found["ports"])
    to, to_last = _ports(found["to"])
    if last - first != to_last - to:
        raise UnfitError(
            f"has {last - first + 1} ports on the left and {to_last - to + 1} on the right",
            "ranges that are as long as each other",
            "correct one of them",
        )
    if first != to and last - first >= MOST_SHIFTED:
        raise UnfitError(
            f"has {last - first + 1} ports that become others",
            f"at most {MOST_SHIFTED}, or the same numbers on both sides",
            "split the range, or forward the ports under their own numbers",
        )
    listen = found["listen"]
    return Publish(
        None if listen is None else _address(listen), first, last, _target(found["target"]), to,
        protocol,
    )  # fmt: skip


def _ports(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    if max(len(low), len(high)) > 5:
        raise UnfitError("has a port that is no port", "a number from 1 to 65535", "correct it")
    first, last = int(low), int(high or low)
    if not (0 < first <= last <= 65535):
        raise UnfitError(
            f"has no ports {text[:20]}",
            "numbers from 1 to 65535, the lower one first",
            "correct it",
        )
    return first, last


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise UnfitError(
            f"names {text[:50]}, which is not an IP address", _EXAMPLES, "correct the address"
        ) from None


def _target(text: str) -> str:
    if text.startswith("[") or text.replace(".", "").isdecimal():
        return _address(text)
    if not _TARGET_NAME.fullmatch(text):
        raise UnfitError(
            f"names {text[:50]}, which is not a name for a node", _EXAMPLES, "write a node's name"
        )
    return text


def _bracketed(text: str) -> str:
    return f"[{text}]" if ":" in text else text


def _range(first: int, size: int) -> str:
    return f"{first}-{first + size}" if size else str(first)
