"""What a text is refused with that does not have its shape."""

from __future__ import annotations


class UnfitError(ValueError):
    """A text does not have the shape: what is wrong, what was expected, the next step."""

    def __init__(self, what: str, expected: str = "", next_step: str = "") -> None:
        self.what, self.expected, self.next_step = what, expected, next_step
        super().__init__(what)
