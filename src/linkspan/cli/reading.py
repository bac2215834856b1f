"""The commands that change nothing: `show`, `ports`, `fdb`, `leases`, `ping`, `logs`."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from linkspan.cli.common import JSON, LAB, print_json
from linkspan.cli.logs import logs


@click.command(short_help="Show a lab, or this machine as it is.")
@LAB
@JSON
def show(lab: str | None, as_json: bool) -> None:
    """Show a picture of a lab, then its ports, addresses and counters. Without LAB, show the
    machine as it is, whoever made it: bridges, interfaces, routes, namespaces, and which labs
    there are."""
    if lab is None:
        _show_host(as_json)
        return
    from linkspan.view import machines, networks, picture, tables

    snapshot = _observe(lab)
    if as_json:
        print_json(snapshot)
        return
    from linkspan.view.commands import command_tables
    from linkspan.view.uplinks import pending_as_text
    from linkspan.view.wireguard import wireguard_table

    parts = [
        picture(snapshot, columns=_columns(), ascii=not _speaks_utf8()),
        networks.networks_table(snapshot),
        networks.published_table(snapshot),
        tables.ports_table(snapshot),
        machines.machines_table(snapshot),
        machines.machine_ports_table(snapshot),
        *command_tables(snapshot),
        tables.addresses_table(snapshot),
        wireguard_table(snapshot),
        tables.drops_table(snapshot),
        pending_as_text(snapshot.pending) if snapshot.pending is not None else "",
    ]
    click.echo("\n\n".join(part for part in parts if part))


def _show_host(as_json: bool) -> None:
    from linkspan.lab.host import observe_host
    from linkspan.view.host import host_text

    snapshot = observe_host()
    if as_json:
        print_json(snapshot)
    else:
        click.echo(host_text(snapshot, columns=_columns(), ascii=not _speaks_utf8()))


def _observe(lab: str | None) -> Any:
    from linkspan.lab.find import find_running
    from linkspan.lab.observe import observe

    return observe(find_running(lab))


def _columns() -> int:
    import shutil

    return max(60, shutil.get_terminal_size((100, 24)).columns)


def _speaks_utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


@click.command(short_help="List the ports of a lab, their options and counters.")
@LAB
@JSON
def ports(lab: str | None, as_json: bool) -> None:
    """List the ports of a lab's bridges with their options and counters."""
    from linkspan.view.tables import drops_table, ports_table

    snapshot = _observe(lab)
    if as_json:
        print_json({bridge.name: bridge.ports for bridge in snapshot.bridges})
        return
    click.echo("\n\n".join(filter(None, [ports_table(snapshot), drops_table(snapshot)])))


@click.command()
@LAB
@JSON
def fdb(lab: str | None, as_json: bool) -> None:
    """List the forwarding databases of a lab's bridges."""
    from linkspan.view.tables import fdb_table

    snapshot = _observe(lab)
    if as_json:
        print_json({bridge.name: bridge.fdb for bridge in snapshot.bridges})
        return
    click.echo(fdb_table(snapshot))


@click.command()
@LAB
@JSON
def leases(lab: str | None, as_json: bool) -> None:
    """List the addresses that a lab's bridges have lent by DHCP."""
    import time

    from linkspan.lab.find import find_running
    from linkspan.lab.leases import leases as read_leases
    from linkspan.view.leases import leases_table

    found = read_leases(find_running(lab))
    if as_json:
        print_json(found)
    else:
        click.echo(leases_table(found, time.time()))


@click.command(short_help="Probe who can reach whom, all pairs.")
@LAB
@click.option(
    "--timeout",
    type=click.FloatRange(0.05, 60),
    default=1.0,
    show_default=True,
    help="Seconds to wait for each reply.",
)
@JSON
def ping(lab: str | None, timeout: float, as_json: bool) -> None:
    """Probe who can reach whom, all pairs; exits with 1 when somebody can't."""
    from linkspan.lab.find import find_running
    from linkspan.lab.probe import ping as probe
    from linkspan.view.matrix import ping_matrix

    results = probe(find_running(lab), timeout)
    if as_json:
        print_json(results)
    else:
        click.echo(ping_matrix(results, columns=_columns()))
    if any(reach.result != "reached" for reach in results):
        sys.exit(1)


COMMANDS: Final = (show, ports, fdb, leases, ping, logs)
