"""A machine as it is, for a person: its bridges drawn, then a table for each kind of thing."""

from __future__ import annotations

from linkspan.model.host_snapshot import HostSnapshot
from linkspan.view import host_tables
from linkspan.view.drawing import fold, to_ascii
from linkspan.view.host_picture import host_pictures
from linkspan.view.host_words import Machine
from linkspan.view.table import printable


def host_text(snapshot: HostSnapshot, columns: int = 100, ascii: bool = False) -> str:
    """The whole text; pictures keep to `columns`, `ascii` is for terminals without UTF-8."""
    machine = Machine(snapshot)
    pictures = host_pictures(machine, columns)
    blocks = [
        host_tables.title(machine),
        *pictures,
        host_tables.ports_table(machine),
        host_tables.interfaces_table(machine),
        host_tables.routes_table(machine),
        host_tables.firewall_table(machine),
        host_tables.namespaces_table(machine),
        host_tables.labs_table(machine),
        "\n".join(_unread(snapshot, columns)),
    ]
    text = "\n\n".join(block for block in blocks if block)
    return to_ascii(text) if ascii else text


def _unread(snapshot: HostSnapshot, columns: int) -> list[str]:
    unread = [*snapshot.host.unread, *snapshot.unread]
    return fold([printable(f"not read: {each}").rstrip() for each in unread], columns)
