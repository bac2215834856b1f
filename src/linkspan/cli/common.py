"""What the commands have in common."""

from __future__ import annotations

from typing import Any

import click

JSON = click.option("--json", "as_json", is_flag=True, help="Print the values as JSON.")
LAB = click.argument("lab", required=False)

CONFIRM_WITHIN = click.option(
    "--confirm-within",
    type=click.FloatRange(1, 3600),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Time to confirm a change of the machine's network cards; else it is taken back.",
)
CHECK = click.option(
    "--check",
    "watched",
    metavar="ADDRESS",
    help="Take the change back when this address answers no more; else the gateway is asked.",
)


def print_json(value: Any) -> None:
    """Print values as JSON."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def check_address(text: str | None) -> str | None:
    """An IP address that was given on the command line. Raises Mistake."""
    import ipaddress

    from linkspan.errors import Fault, Mistake

    try:
        return None if text is None else str(ipaddress.ip_address(text))
    except ValueError:
        fault = Fault(
            f"--check: {text!r} is no address",
            expected="an IPv4 or IPv6 address, such as 192.168.57.1",
            next_step="write the address of somebody who answers a ping",
        )
        raise Mistake(fault) from None
