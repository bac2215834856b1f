"""What became of uplinks, and what waits to be confirmed, in words."""

from __future__ import annotations

from linkspan.model.nic import Secured
from linkspan.model.snapshot import Pending


def pending_as_text(pending: Pending) -> str:
    """A change that is not finished, and what becomes of it."""
    match pending:
        case Pending(seconds_left=None, is_guarded=True):
            what = "is under way, or is being taken back"
        case Pending(seconds_left=None):
            what = "is under way, or was broken off"
        case Pending(seconds_left=int() as left, is_guarded=True):
            what = f"is taken back in {left} s if nobody confirms it"
        case _:
            what = (
                f"waits to be confirmed, {pending.seconds_left} s more; its guard has gone, so"
                " nobody takes it back before the next linkspan command"
            )
    return f"{pending.command}: {what}"


def secured_as_text(lab: str, secured: Secured) -> str:
    """What a change did to uplinks, and what to do next; empty when it did nothing to them."""
    lines = [f"note: {text}" for text in secured.warnings]
    for moved in secured.moved:
        addresses = ", ".join(moved.addresses) or "no address"
        if moved.bridge is None:
            lines.append(f"{moved.interface} is no uplink any more: it has {addresses}")
        else:
            lines.append(f"{moved.bridge} has {addresses} now, {moved.interface} is its port")
    if secured.confirm_by is None:
        return "\n".join(lines)
    lines += [f"{name} answers, and is asked until then" for name in secured.watched]
    lines += [
        f"{name} did not answer before either, so nobody watches whether it does"
        for name in secured.silent
    ]
    if secured.is_guarded:
        seconds = f"{secured.confirm_within:g} s"
        lines.append(f"all of this is taken back in {seconds}, unless: linkspan confirm {lab}")
    else:
        lines.append(
            f"the guard of this change has gone, so nobody takes it back: linkspan confirm {lab}"
            f" keeps it, linkspan recover {lab} takes it back"
        )
    return "\n".join(lines)
