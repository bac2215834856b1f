"""`linkspan export`: what a lab has, in other tools' languages."""

from __future__ import annotations

import click


@click.group()
def export() -> None:
    """Write what a lab has as a file of another tool."""


@export.command(name="wg-quick", short_help="A WireGuard interface for wg-quick.")
@click.argument("interface", metavar="[LAB/]NODE:NAME")
def wg_quick(interface: str) -> None:
    """A WireGuard interface for wg-quick. The private key is not shown, but its file named."""
    from linkspan.lab import export as exports
    from linkspan.lab.find import find_node

    text, _, name = interface.partition(":")
    place, node = find_node(text)
    click.echo(exports.wg_quick(place, node, name or "wg0"), nl=False)


@export.command(name="libvirt", short_help="A bridge as a network for `virsh net-define`.")
@click.argument("bridge", metavar="[LAB/]BRIDGE")
def libvirt(bridge: str) -> None:
    """A bridge as a network for `virsh net-define`: one of scope host as it is, with libvirt's
    guests on it; one of a sandbox as a network that libvirt is to make."""
    from linkspan.lab import export as exports
    from linkspan.lab.find import find_running

    lab, _, name = bridge.rpartition("/")
    click.echo(exports.libvirt(find_running(lab or None, name), name), nl=False)
