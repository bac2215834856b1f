"""WireGuard interfaces as a table: a line for each peer."""

from __future__ import annotations

from linkspan.model.snapshot import LabSnapshot
from linkspan.view.table import Cell, byte_count, seconds, table


def wireguard_table(lab: LabSnapshot) -> str:
    """Peers with their last handshake and what went to and fro; empty when there are none."""
    rows: list[list[Cell]] = []
    for node in lab.nodes:
        for interface in node.interfaces:
            device = interface.wireguard
            if device is None:
                continue
            if not device.peers:
                rows.append([node.name, interface.name, device.listen, *[None] * 6])
            rows += [
                [
                    node.name,
                    interface.name,
                    device.listen,
                    peer.public_key,
                    peer.endpoint,
                    ", ".join(peer.allowed_ips) or None,
                    None if peer.handshake_age is None else seconds(peer.handshake_age),
                    byte_count(peer.bytes_in),
                    byte_count(peer.bytes_out),
                ]
                for peer in device.peers
            ]
    headings = ["node", "interface", "port", "peer", "endpoint", "allowed IPs", "handshake"]
    return table([*headings, "bytes in", "bytes out"], rows) if rows else ""
