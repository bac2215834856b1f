"""The services of bridges' networks: who gets out, who lends addresses, what is published."""

from __future__ import annotations

from linkspan.model.network_snapshot import DhcpSnapshot, DnsSnapshot, PublishedSnapshot
from linkspan.model.snapshot import LabSnapshot
from linkspan.view.table import Cell, Quantity, plural, table


def networks_table(lab: LabSnapshot) -> str:
    """A bridge with services in a line, or in as many as it has ranges; empty without any."""
    rows: list[list[Cell]] = []
    for bridge in lab.bridges:
        network = bridge.network
        if network is None:
            continue
        ranges = network.dhcp.ranges if network.dhcp else []
        has_server = network.dhcp is not None or network.dns is not None
        rows.append(
            [
                bridge.name,
                network.forward,
                ranges[0] if ranges else None,
                *_lent(network.dhcp),
                _names(network.dns),
                _server(network.server) if has_server else None,
            ]
        )
        rows += [["", "", each, "", "", "", "", ""] for each in ranges[1:]]
    headings = ["network", "forward", "lends", "lent", "IPv4 free", "MTU", "names", "dnsmasq"]
    return table(headings, rows) if rows else ""


def published_table(lab: LabSnapshot) -> str:
    """One line a published range of ports; empty when there is none."""
    rows: list[list[Cell]] = [
        [bridge.name, each.protocol, _socket(each.listen, each.first, each), each.node, _to(each)]
        for bridge in lab.bridges
        if bridge.network is not None
        for each in bridge.network.published
    ]
    headings = ["network", "published", "at", "node", "leads to"]
    return table(headings, rows) if rows else ""


def _lent(dhcp: DhcpSnapshot | None) -> list[Cell]:
    if dhcp is None:
        return [None, None, None]
    free: Cell = Quantity("none left") if dhcp.free == 0 else dhcp.free
    return [dhcp.lent, free, Quantity(dhcp.mtu)]


def _names(dns: DnsSnapshot | None) -> str | None:
    if dns is None:
        return None
    asks = f", asks {', '.join(dns.asks)}" if dns.asks else ""
    upstream = f", others {', '.join(dns.upstream)}" if dns.upstream else ""
    return f"{dns.domain}{asks}{upstream}"


def _server(restarts: int | None) -> str:
    if restarts is None:
        return "does not run"
    return f"restarted {plural(restarts, 'time')}" if restarts else "runs"


def _to(published: PublishedSnapshot) -> str:
    return _socket(published.target, published.to, published)


def _socket(address: str, first: int, published: PublishedSnapshot) -> str:
    where = f"[{address}]" if ":" in address else address
    size = published.last - published.first
    return f"{where}:{first}-{first + size}" if size else f"{where}:{first}"
