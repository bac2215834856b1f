"""`linkspan export`: what a lab has, in other tools' languages."""

from __future__ import annotations

import click


@click.group()
def export() -> None:
    """Write what a lab has as a file of another tool."""


@export.command(name="wg-quick")
@click.argument("interface", metavar="[LAB/]NODE:NAME")
def wg_quick(interface: str) -> None:
    """A WireGuard interface for wg-quick. The private key is not shown, but its file named."""
    from linkspan.lab import export as exports
    from linkspan.lab.find import find_node

    text, _, name = interface.partition(":")
    place, node = find_node(text)
    click.echo(exports.wg_quick(place, node, name or "wg0"), nl=False)
