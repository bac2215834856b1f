"""Leases as a table."""

from __future__ import annotations

from linkspan.model.snapshot import LeaseSnapshot
from linkspan.view.leases import leases_table


def lease(address: str, expires: float | None, node: str | None = None) -> LeaseSnapshot:
    return LeaseSnapshot(
        bridge="br0", address=address, mac=None, name=node, expires=expires, node=node
    )


def test_leases_say_how_long_they_go_on() -> None:
    found = [
        lease("10.0.0.2", 1000.0 + 45, "web"),
        lease("10.0.0.3", 1000.0 + 3600),
        lease("10.0.0.4", 1000.0 + 86400),
        lease("10.0.0.5", None),
        lease("10.0.0.6", 999.0),
    ]
    assert leases_table(found, now=1000.0) == (
        "bridge  address   MAC  name    expires  node\n"
        "br0     10.0.0.2  -    web     in 45 s  web\n"
        "br0     10.0.0.3  -    -     in 60 min  -\n"
        "br0     10.0.0.4  -    -       in 24 h  -\n"
        "br0     10.0.0.5  -    -         never  -\n"
        "br0     10.0.0.6  -    -       expired  -"
    )


def test_no_lease_is_said_in_a_sentence() -> None:
    assert leases_table([], now=0.0) == "No bridge has lent an address."
