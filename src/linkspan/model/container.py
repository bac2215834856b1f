"""What the file says of a node that has a namespace, beside its ports: a command, what that and
`linkspan exec` find in their environment, folders of the machine, whether it forwards packets.

A mount's short form is a text, `HOSTPATH:PATH` or `HOSTPATH:PATH:ro`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Annotated, Final

from msgspec import Meta

from linkspan.model.base import Value
from linkspan.model.machine import FileName, MachineFields
from linkspan.model.unfit import UnfitError

MOUNT_PATTERN: Final = "^[^:]+:/[^:]*(:ro)?$"
"""For the JSON Schema; what is wrong in particular is said by `parse_mount`."""

_VARIABLE: Final = re.compile("[A-Za-z_][A-Za-z0-9_]*")

CommandWord = Annotated[str, Meta(extra={"shape": "command-word"})]
VariableName = Annotated[str, Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$", extra={"shape": "variable"})]
VariableText = Annotated[str, Meta(extra={"shape": "variable-text"})]
NodePath = Annotated[str, Meta(pattern="^/", extra={"shape": "node-path"})]


class Mount(Value, frozen=True, kw_only=True):
    """A folder or file of the machine that a node sees; `HOSTPATH:PATH[:ro]` is its short form."""

    source: Annotated[
        FileName,
        Meta(description="The folder or file of this machine; relative to the folder of the file."),
    ]
    path: Annotated[
        NodePath,
        Meta(
            description="Where the node has it: over a folder, or a file, that the machine has "
            "there, too, such as /mnt or /srv."
        ),
    ]
    read_only: Annotated[
        bool, Meta(description="Whether it can't be written to in the node; `:ro` in the text.")
    ] = False


class ContainerFields(MachineFields, frozen=True, kw_only=True):
    """The fields of a node that has namespaces of its own."""

    command: Annotated[
        tuple[int | CommandWord, ...],
        Meta(
            extra={"words": True},
            description="A program that runs in the node as long as the lab does, and is started "
            "again whenever it ends. A list of words; a text is split like a shell's, but no shell "
            "runs it. `linkspan logs NODE` has what it writes.",
        ),
    ] = ()
    env: Annotated[
        dict[VariableName, int | VariableText],
        Meta(
            description="Environment variables of `command` and of what `linkspan exec` runs. No "
            "place for secrets: plans show them."
        ),
    ] = {}
    forward: Annotated[
        bool,
        Meta(
            description="Whether the node is a router, of IPv4 and IPv6: it passes packets on that "
            "are not for itself."
        ),
    ] = False
    mounts: Annotated[
        tuple[Mount, ...],
        Meta(description="Folders and files of this machine that the node sees elsewhere."),
    ] = ()


OWN_FIELDS: Final = tuple(ContainerFields.__annotations__)
"""Those that a virtual machine has not."""


def parse_mount(text: str) -> Mount:
    """`HOSTPATH:PATH` or `HOSTPATH:PATH:ro`. Raises UnfitError."""
    source, *rest = text.split(":")
    if not source or not rest or len(rest) > 2 or rest[1:] not in ([], ["ro"], ["rw"]):
        raise UnfitError(
            "is no mount",
            "HOSTPATH:PATH or HOSTPATH:PATH:ro, such as ./www:/srv:ro",
            "write the folder of this machine, a colon, and where the node is to have it; "
            "a path with a colon in it needs a mapping, `{source: …, path: …}`",
        )
    return Mount(source=source, path=node_path(rest[0]), read_only=rest[1:] == ["ro"])


def split_words(text: str) -> tuple[str, ...]:
    """The words of a command that is one text. Raises UnfitError."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UnfitError(
            f"can't be split into words: {str(error).lower()}",
            "a program and its arguments",
            "close the quotes, or write a list of words",
        ) from None


def command_word(text: str) -> str:
    """A word of a command, which may be empty."""
    return _without_zero(text, "is no word of a command")


def variable(text: str) -> str:
    """The name of an environment variable (POSIX, 8.1)."""
    if not _VARIABLE.fullmatch(text):
        raise UnfitError(
            "is no name of an environment variable",
            "letters, digits and underscores, not beginning with a digit",
            "choose another name",
        )
    return text


def variable_text(text: str) -> str:
    """The value of an environment variable."""
    return _without_zero(text, "is no value of an environment variable")


def node_path(text: str) -> str:
    """An absolute path in a node, in canonical form."""
    steps = [step for step in text.split("/") if step not in ("", ".")]
    if not text.startswith("/") or ".." in steps or not text.isprintable():
        raise UnfitError("is no path in a node", "an absolute path, such as /srv", "correct it")
    if not steps or steps[0] == "proc":
        raise UnfitError(
            "can't be covered by a mount",
            "a path below the root folder and not in /proc",
            "choose another path, such as /mnt",
        )
    return "/" + "/".join(steps)


def _without_zero(text: str, what: str) -> str:
    if "\0" in text:
        raise UnfitError(what, "a text without zero bytes", "remove them")
    return text


CONTAINER_SHAPES: Final[dict[str, Callable[[str], str]]] = {
    "command-word": command_word,
    "variable": variable,
    "variable-text": variable_text,
    "node-path": node_path,
}
