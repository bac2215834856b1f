"""Leases as a table."""

from __future__ import annotations

from collections.abc import Sequence

from linkspan.model.snapshot import LeaseSnapshot
from linkspan.view.table import Cell, Quantity, table


def leases_table(leases: Sequence[LeaseSnapshot], now: float) -> str:
    """One line a lease; `now` is in seconds since 1970-01-01 UTC."""
    rows: list[list[Cell]] = [
        [
            lease.bridge,
            lease.address,
            lease.mac,
            lease.name,
            _left(lease.expires, now),
            lease.node,
        ]
        for lease in leases
    ]
    headings = ["bridge", "address", "MAC", "name", "expires", "node"]
    return table(headings, rows) if rows else "No bridge has lent an address."


def _left(expires: float | None, now: float) -> Quantity:
    """How long a lease goes on: `never`, `in 59 min`, `in 12 s`, `expired`."""
    if expires is None:
        return Quantity("never")
    left = expires - now
    if left <= 0:
        return Quantity("expired")
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if left >= 2 * size:
            return Quantity(f"in {left / size:.0f} {unit}")
    return Quantity(f"in {left:.0f} s")
