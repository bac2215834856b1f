"""Names as a file has them: of labs, nodes, interfaces, domains, files; and other short texts."""

from __future__ import annotations

import re
from typing import Final

from linkspan.model.unfit import UnfitError
from linkspan.types import INTERFACE_NAME_BYTES
from linkspan.types import is_valid_interface_name as kernel_takes

_LAB = re.compile("[a-z0-9][a-z0-9-]{0,30}")
_NODE = re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_MEMORY = re.compile("[1-9][0-9]{0,6}[MG]")

_RESERVED_INTERFACES: Final = {
    "lo": "is the loopback interface, which every node has",
    "all": "is refused by the kernel (sysctl_dev_name_is_allowed, include/linux/inetdevice.h)",
    "default": "is refused by the kernel (sysctl_dev_name_is_allowed, include/linux/inetdevice.h)",
}


def lab_name(text: str) -> str:
    """Name of a lab: part of paths and of ownership marks."""
    if not _LAB.fullmatch(text):
        raise UnfitError(
            "is not a name for a lab",
            "lower-case letters, digits and hyphens, at most 31, not beginning with a hyphen",
            "choose another name",
        )
    return text


def node_name(text: str) -> str:
    """Name of a node: also its host name, hence a label of RFC 1123 in lower case."""
    if not _NODE.fullmatch(text):
        raise UnfitError(
            "is not a name for a node",
            "lower-case letters, digits and inner hyphens, at most 63 (a host name)",
            "choose another name",
        )
    return text


def interface_name(text: str) -> str:
    """Name of an interface or a bridge, as the kernel takes it (`dev_valid_name`)."""
    size = len(text.encode())
    if size > INTERFACE_NAME_BYTES:
        raise UnfitError(
            f"is too long for an interface: {size} bytes",
            f"at most {INTERFACE_NAME_BYTES} bytes",
            "choose a shorter name",
        )
    if text in _RESERVED_INTERFACES:
        raise UnfitError(_RESERVED_INTERFACES[text], "another name", "choose another name")
    # The kernel reads a percent sign as a format (dev_alloc_name): eth%d becomes eth0.
    if not kernel_takes(text) or "%" in text or not text.isprintable():
        raise UnfitError(
            "is not a name for an interface",
            "a text without spaces, slash, colon and percent sign",
            "choose another name",
        )
    return text


def domain(text: str) -> str:
    """A domain: labels of RFC 1123 in lower case, with dots between them."""
    if len(text) > 253 or not all(_NODE.fullmatch(part) for part in text.split(".")):
        raise UnfitError(
            "is not a domain",
            "lower-case letters, digits and inner hyphens, with dots between the labels",
            "choose another domain, such as lab",
        )
    return text


def reference(text: str) -> str:
    """A name that stands elsewhere in the file; whether it does, the whole file says."""
    if not text:
        raise UnfitError("is empty", "a name", "write the name of what is meant")
    return text


def file_name(text: str) -> str:
    """The name of a file of this machine; whether it is there shows when it is needed."""
    if not text:
        raise UnfitError("is empty", "a path such as images/guest.qcow2", "name the file")
    if not text.isprintable():
        raise UnfitError(
            "is not the name of a file", "a path such as images/guest.qcow2", "correct the path"
        )
    return text


def line(text: str) -> str:
    """One line of text, which may be empty."""
    if not text.isprintable():
        raise UnfitError(
            "is not one line of text", "a text without control characters", "remove them"
        )
    return text


def memory(text: str) -> str:
    """An amount of memory: a whole number of MiB or GiB."""
    if not _MEMORY.fullmatch(text):
        raise UnfitError(
            "is not an amount of memory",
            "a whole number and M or G, such as 256M or 2G",
            "write for instance 256M",
        )
    return text
