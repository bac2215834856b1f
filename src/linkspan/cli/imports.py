"""`linkspan import`: what other tools made, as a file of linkspan's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from linkspan.interop.draft import Imported

_OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; standard output when left out.",
)


@click.group(name="import")
def import_() -> None:
    """Write what other tools made as a file of linkspan's."""


@import_.command(name="host", short_help="Write the bridges of this machine.")
@_OUTPUT
def import_host(output: Path | None) -> None:
    """Write the bridges of this machine, and the namespaces on them, as a file; comments say what
    it could not say."""
    from linkspan.interop.host import import_host as write
    from linkspan.lab.host import observe_host

    _give(write(observe_host(), str(output or "-")), output)


@import_.command(name="libvirt", short_help="Write a network of libvirt's.")
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@_OUTPUT
def import_libvirt(file: Path, output: Path | None) -> None:
    """Write a network of libvirt's, as `virsh net-dumpxml` prints it into FILE (`-` is standard
    input), as a file; comments say what it could not say."""
    from linkspan.interop.libvirt import import_network

    _give(import_network(_read_file(file), str(file)), output)


def _give(imported: Imported, output: Path | None) -> None:
    from linkspan.view.table import plural

    if output is None:
        click.echo(imported.text, nl=False)
        return
    _write_file(output, imported.text)
    what = plural(len(imported.topology.bridges), "bridge")
    what += f", {plural(len(imported.topology.nodes), 'node')}"
    if imported.remarks:
        what += f"; comments say what it could not say ({len(imported.remarks)})"
    click.echo(f"{output}: {what}")


def _read_file(path: Path) -> bytes:
    from linkspan.errors import Fault, Mistake
    from linkspan.model.xml_reader import LARGEST

    try:
        with click.open_file(str(path), "rb") as file:
            data: bytes = file.read(LARGEST + 1)
            return data
    except OSError as error:
        fault = Fault(f"{path}: cannot be read: {error.strerror}", next_step="check the path")
        raise Mistake(fault) from None


def _write_file(path: Path, text: str) -> None:
    from linkspan.errors import Fault, Mistake

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        fault = Fault(f"{path}: cannot be written: {error.strerror}", next_step="check the path")
        raise Mistake(fault) from None
