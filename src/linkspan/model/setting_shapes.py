"""Sysctls of a network namespace as a file has them: names with dots, values in one line."""

from __future__ import annotations

import re
from typing import Final

from linkspan.model.unfit import UnfitError

_SETTING_STEP = re.compile("[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")

_SLASHES_AND_DOTS: Final = {ord("."): "/", ord("/"): "."}
_EVERY_INTERFACE: Final = ("all", "default")


def setting_name(text: str) -> str:
    """A sysctl of a network namespace, such as `net.ipv4.ip_forward`, with dots.

    As in sysctl(8), a slash stands for a dot in a name that is written with dots, and the other
    way round. Settings of a single interface are refused: they go and come with it.
    """
    first = next((sign for sign in text if sign in "./"), ".")
    if first == "/":
        text = text.translate(_SLASHES_AND_DOTS)
    steps = text.split(".")
    if steps[0] != "net" or len(steps) < 3 or not all(map(_SETTING_STEP.fullmatch, steps)):
        raise UnfitError(
            "is no setting of a node's network",
            "a name below net, such as net.ipv4.ip_forward",
            "correct the name",
        )
    if steps[2] in ("conf", "neigh") and len(steps) > 3 and steps[3] not in _EVERY_INTERFACE:
        raise UnfitError(
            "is a setting of a single interface",
            f"one of all of them, such as net.{steps[1]}.{steps[2]}.all.…, or of their default",
            "write all or default instead of the interface",
        )
    return text


def setting_path(name: str) -> str:
    """The path of a setting below /proc/sys: `net/ipv4/ip_forward`."""
    return name.translate(_SLASHES_AND_DOTS)


def setting_text(text: str) -> str:
    """The value of a sysctl: words in one line."""
    words = text.split()
    if not words or "\n" in text.strip() or not text.strip().isprintable():
        raise UnfitError("is no value of a setting", "a word or a number", "correct the value")
    return " ".join(words)
