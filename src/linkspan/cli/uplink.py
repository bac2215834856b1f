"""The commands about the machine's own network cards: `uplink`, `confirm`, `recover`."""

from __future__ import annotations

from typing import Final

import click

from linkspan.cli.common import CHECK, CONFIRM_WITHIN, JSON, LAB, check_address, print_json


@click.command(short_help="Put a network card on a bridge, or take it off.")
@click.argument("bridge")
@click.argument("nic", required=False)
@click.option("--lab", help="The lab that the bridge belongs to, or is to belong to.")
@click.option("--release", "is_release", is_flag=True, help="Give the card back what it had.")
@CONFIRM_WITHIN
@CHECK
@JSON
def uplink(
    bridge: str,
    nic: str | None,
    lab: str | None,
    is_release: bool,
    confirm_within: float,
    watched: str | None,
    as_json: bool,
) -> None:
    """Make the network card NIC a port of BRIDGE, which gets its addresses and routes; the other
    way round with --release. Taken back unless `linkspan confirm` comes in time.

    Without a lab that has the bridge, one comes to be that is called after it.
    """
    from linkspan.lab.terms import Terms
    from linkspan.lab.up import Up
    from linkspan.lab.uplink import release
    from linkspan.lab.uplink import uplink as put_on
    from linkspan.view.uplinks import secured_as_text

    if (nic is None) != is_release:
        raise click.UsageError("give the network card, or --release and no card")
    if nic is not None:
        terms = Terms(confirm_within, check_address(watched))
        done: object = put_on(bridge, nic, lab, terms)
    else:
        done = release(bridge, lab)
    if not isinstance(done, Up):
        if as_json:
            print_json({"bridge": bridge, "released": True, "down": True})
        else:
            click.echo(f"{bridge} is gone, and its network card has what it had before")
    elif as_json:
        print_json({"lab": done.lab, "changed": bool(done.plan), "uplink": done.secured})
    else:
        click.echo(secured_as_text(done.lab, done.secured) or f"{bridge}: nothing changed")
        if nic is not None and done.plan:
            click.echo(f"to keep it in a file: `uplink: {nic}` at the bridge {bridge}")


@click.command()
@LAB
@JSON
def confirm(lab: str | None, as_json: bool) -> None:
    """Keep the change that waits to be confirmed."""
    from linkspan.lab.confirm import confirm as keep
    from linkspan.lab.find import find_lab

    place = find_lab(lab)
    journal = keep(place)
    if as_json:
        print_json({"lab": place.name, "command": journal.command})
    else:
        click.echo(f"{place.name}: confirmed ({journal.command})")


@click.command(short_help="Go back to what was before a change.")
@LAB
@JSON
def recover(lab: str | None, as_json: bool) -> None:
    """Go back to what was before a change that was broken off, or is not confirmed."""
    from linkspan.lab.find import find_lab
    from linkspan.lab.recover import nothing_to_recover
    from linkspan.lab.recover import recover as go_back

    place = find_lab(lab)
    if not go_back(place):
        raise nothing_to_recover(place)
    if as_json:
        print_json({"lab": place.name, "exists": place.folder.exists()})
    else:
        click.echo(f"{place.name}: all is as it was before the change")


COMMANDS: Final = (uplink, confirm, recover)
