"""Slow, late and lossy ports of kernel bridges, and wires: a queueing discipline at both ends of
the veth.

A node's end holds up what the node sends, the bridge's or other node's end what it receives.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from msgspec.structs import asdict, replace

from linkspan.engine.netlink import Netlink
from linkspan.engine.queueing import drop_shapes, put_shape, read_shapes
from linkspan.engine.reading.dump import Dumps
from linkspan.engine.site import Site
from linkspan.errors import Refusal
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.names import Mark, port_name
from linkspan.model.shaping import Shape, Shaping, ShapingKey, shaping
from linkspan.model.state import AnyKey, AnyValue, State, Veth, VethKey
from linkspan.plan.current_bridges import is_bridges_end
from linkspan.sandbox.namespaces import inside


def set_line(netlink: Netlink, index: int, shape: Shape | None) -> None:
    """Limit what an interface sends, or lift that. Raises Refusal."""
    if shape is not None:
        netlink.run([put_shape(index, shape)])
        return
    for request in drop_shapes(index):
        with contextlib.suppress(Refusal):  # it is of the other kind, or has gone
            netlink.run([request])


def line_of(site: Site, node: str, index: int) -> Shape | None:
    """How an interface is limited. Raises OSError."""
    return _lines_of(site, node).get(index)


def _lines_of(site: Site, node: str) -> dict[int, Shape]:
    with inside(site.network(node)), Dumps() as dumps:
        return read_shapes(dumps)


def read_lines(
    site: Site, nodes: Mapping[str, NamespaceSnapshot], states: Iterable[State]
) -> Iterator[tuple[ShapingKey, Shaping]]:
    """The limits of ports of kernel bridges, of those that somebody declares. Ends that are limited
    in different ways are read as a line without limits, which nobody declares. Raises OSError.
    """
    wanted = dict.fromkeys(key for state in states for key in state if isinstance(key, ShapingKey))
    ends = _ends(site.lab, nodes) if wanted else {}
    lines = cache(lambda node: _lines_of(site, node))
    for key in wanted:
        near = ends.get(port_name(key.node, key.interface))
        far = nodes[key.node].interface(key.interface) if key.node in nodes else None
        if near is None or far is None:
            continue
        place, index = near
        found = {lines(place).get(index), lines(key.node).get(far.index)}
        if found != {None}:
            shape = found.pop() if len(found) == 1 else None
            yield key, shaping("kernel", shape or Shape())


def wire_lines(
    site: Site, nodes: Mapping[str, NamespaceSnapshot], states: Iterable[State]
) -> dict[VethKey, Shape]:
    """The limits of the ends of wires, of those that somebody declares. Raises OSError."""
    wanted = {
        key: value
        for state in states
        for key, value in state.items()
        if isinstance(key, VethKey) and isinstance(value, Veth) and value.shape != Shape()
    }
    lines = cache(lambda node: _lines_of(site, node))
    found = {}
    for key in wanted:
        interface = nodes[key.node].interface(key.interface) if key.node in nodes else None
        if interface is not None and (shape := lines(key.node).get(interface.index)):
            found[key] = shape
    return found


def with_lines(
    wires: Iterable[tuple[AnyKey, AnyValue]], lines: Mapping[VethKey, Shape]
) -> Iterator[tuple[AnyKey, AnyValue]]:
    """Ends of wires, with the limits that were read of them."""
    for key, value in wires:
        if isinstance(key, VethKey) and isinstance(value, Veth) and key in lines:
            yield key, replace(value, **asdict(lines[key]))
        else:
            yield key, value


def _ends(lab: str, nodes: Mapping[str, NamespaceSnapshot]) -> dict[str, tuple[str, int]]:
    """Node and index of the bridges' ends of veths, by the names of the ports."""
    return {
        each.mark.id: (node, each.index)
        for node, found in nodes.items()
        for each in found.interfaces
        if each.mark is not None
        and each.kind == "veth"
        and is_bridges_end(each)
        and each.mark == Mark(lab, each.mark.id)
    }
