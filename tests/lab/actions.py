"""What a command says that it did, or would do."""

from __future__ import annotations

from tests.machine import Machine


def actions(machine: Machine, command: str, text: str) -> list[str]:
    """The actions of `up` or `plan` with a file, without their reasons."""
    lines = machine.linkspan(command, machine.file(text)).stdout.splitlines()
    return [line.partition("  (")[0] for line in lines if line[:2] in ("+ ", "- ", "~ ")]
