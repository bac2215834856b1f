"""`linkspan logs`: what the command of a node wrote, or the guest of a machine said, and what comes
after that.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Final

import click

from linkspan.cli.common import JSON, print_json

_INTERRUPTED: Final = 130
"""The exit status of a command that Ctrl-C ends (128 and the signal's number)."""


@click.command(short_help="Print what a command wrote, or a guest said.")
@click.argument("node", metavar="NODE|LAB/NODE")
@click.option("-f", "--follow", is_flag=True, help="Go on until the lab ends, or Ctrl-C.")
@click.option(
    "-n",
    "--tail",
    "lines",
    type=click.IntRange(min=0),
    metavar="N",
    help="Begin with the last N lines, not with all that are kept.",
)
@JSON
def logs(node: str, follow: bool, lines: int | None, as_json: bool) -> None:
    """Print what the command of NODE wrote last, both standard output and standard error; of a
    virtual machine what its guest said on the console, and QEMU of itself. With --follow, --json
    prints one value for each line."""
    from linkspan.lab import logs as reading
    from linkspan.lab.find import find_node

    place, name = find_node(node)
    if follow:
        pieces = reading.follow(place, name, lines, _note)
        try:
            for piece in _as_json(name, pieces) if as_json else pieces:
                click.echo(piece, nl=False)
        except KeyboardInterrupt:
            sys.exit(_INTERRUPTED)
        return
    found = reading.written(place, name, lines)
    if as_json:
        print_json({"node": name, "lines": found})
    else:
        click.echo("".join(f"{line}\n" for line in found), nl=False)


def _as_json(node: str, pieces: Iterable[str]) -> Iterator[str]:
    import msgspec

    begun = ""
    for piece in pieces:
        *lines, begun = (begun + piece).split("\n")
        for line in lines:
            yield msgspec.json.encode({"node": node, "line": line}).decode() + "\n"
    if begun:
        yield msgspec.json.encode({"node": node, "line": begun}).decode() + "\n"


def _note(text: str) -> None:
    click.echo(f"linkspan: note: {text}", err=True)
