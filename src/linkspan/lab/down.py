"""Taking a lab down: ask its init process to end, and see that it did."""

from __future__ import annotations

from linkspan.lab.find import Place
from linkspan.sandbox import holder


def down(place: Place) -> None:
    """End a lab, or remove what a crash left of it. Raises Refusal when that is impossible."""
    holder.end(place.folder)
