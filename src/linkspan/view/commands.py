"""The commands of nodes, and the folders of the machine that nodes see."""

from __future__ import annotations

import shlex

from linkspan.model.snapshot import LabSnapshot
from linkspan.view.table import Cell, clip, table

_WIDEST = 40


def command_tables(lab: LabSnapshot) -> tuple[str, str]:
    """Both tables, each empty when there is nothing to tell."""
    return commands_table(lab), mounts_table(lab)


def commands_table(lab: LabSnapshot) -> str:
    """One line a command; empty when the lab has none."""
    rows: list[list[Cell]] = [
        [
            node.name,
            clip(shlex.join(node.command.words), _WIDEST),
            node.command.state,
            node.command.restarts,
            node.command.last_end or None,
            f"linkspan logs {lab.name}/{node.name}",
        ]
        for node in lab.nodes
        if node.command is not None
    ]
    headings = ["node", "command", "state", "restarts", "ended last", "output"]
    return table(headings, rows) if rows else ""


def mounts_table(lab: LabSnapshot) -> str:
    """One line a mount; empty when the lab has none."""
    rows: list[list[Cell]] = [
        [node.name, mount.path, mount.source, "read-only" if mount.read_only else "read-write"]
        for node in lab.nodes
        for mount in node.mounts
    ]
    return table(["node", "path", "source", "mode"], rows) if rows else ""
