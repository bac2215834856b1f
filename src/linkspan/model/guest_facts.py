"""What there is of machines that others run, and that have ports on bridges of ours."""

from __future__ import annotations

from linkspan.model.fact import Key, Value


class GuestKey(Key, frozen=True):
    """A tap that libvirt made for a guest of its own, and says to be a port of a bridge of ours."""

    node: str
    interface: str


class Guest(Value, frozen=True):
    bridge: str
    guest: str
    """The domain's name."""
    isolated: bool = False
    """Whether libvirt wants it apart from other isolated ports."""
