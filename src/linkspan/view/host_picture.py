"""The bridges of a machine, drawn as the pictures of labs are."""

from __future__ import annotations

from linkspan.model.interface_snapshot import Interface
from linkspan.view.captions import Hanging
from linkspan.view.host_words import (
    HOST,
    Machine,
    bridges_of,
    kind_notes,
    learned,
    options_text,
    port_state,
    ports_of,
)
from linkspan.view.picture import SwitchWords, draw_switch
from linkspan.view.table import plural, printable
from linkspan.view.tables import interface_state

_SPACES = "   "
_ENDS = {"physical": "network card", "tap": "unknown program", "vxlan": "tunnel"}
"""What stands at the end of a port whose far end is nothing that we can name, by its kind."""


def host_pictures(machine: Machine, columns: int) -> list[str]:
    """One drawing for each bridge of the host."""
    return [
        "\n".join(line.rstrip() for line in _draw(machine, bridge, columns))
        for bridge in bridges_of(machine.host)
    ]


def _draw(machine: Machine, bridge: Interface, columns: int) -> list[str]:
    ports = ports_of(machine.host, bridge)
    words = SwitchWords(
        list(map(printable, _bridge_lines(machine, bridge, len(ports)))),
        list(map(printable, _stack_lines(machine, bridge))),
        _own_wire(bridge),
    )
    return draw_switch(words, [_hanging(machine, port) for port in ports], columns)


def _bridge_lines(machine: Machine, bridge: Interface, ports: int) -> list[str]:
    count = learned(machine.host.fdb, bridge)
    first = [bridge.name, "kernel bridge", bridge.mac or "", "up" if bridge.up else "DOWN"]
    second = [plural(ports, "port"), f"FDB {plural(count, 'learned entry', 'learned entries')}"]
    if bridge.mark is not None:
        second.append(f"of lab {bridge.mark.lab}")
    lines = [_SPACES.join(first), _SPACES.join(second)]
    options = options_text(bridge.bridge_options or {})
    lines += [", ".join(options)] if options else []
    state = bridge.bridge_state
    if state is not None and "stp" in (bridge.bridge_options or {}):
        lines.append(
            f"root bridge {state.root_id} behind port {state.root_port}"
            if state.root_port
            else "root bridge of its network"
        )
    return lines


def _stack_lines(machine: Machine, bridge: Interface) -> list[str]:
    addresses = machine.addresses(machine.host.id, bridge.index)
    lines = [f"{HOST}: network stack"]
    lines += [f"{bridge.name}  {addresses[0]}"] if addresses else [f"{bridge.name}  no address"]
    lines += [f"{'':<{len(bridge.name)}}  {address}" for address in addresses[1:]]
    return lines if addresses else [*lines, "(layer 2 only)"]


def _own_wire(bridge: Interface) -> tuple[list[str], bool]:
    state = interface_state(bridge)
    notes = [] if state == "up" else [state]
    return [printable(", ".join(["the bridge's own port", *notes]))], state != "up"


def _hanging(machine: Machine, port: Interface) -> Hanging:
    found = machine.peer(port) if port.kind == "veth" else None
    number = port.port_state.number if port.port_state else 0
    own_state = interface_state(port)
    is_forwarding = port_state(port) == "forwarding"
    notes = [] if is_forwarding else [port_state(port)]
    notes += [*options_text(port.port_options or {}), *kind_notes(port)]
    address = mac = name = ""
    if found is not None:
        namespace, far = found
        addresses = machine.addresses(namespace.id, far.index)
        end, name, mac = machine.label(namespace), far.name, far.mac or ""
        state = "up" if interface_state(far) == own_state == "up" else interface_state(far)
        lines = [end, name if state == "up" else f"{name} ({state})"]
        lines += [*(addresses or ["no address"]), mac]
        address = ", ".join(addresses) or "no address"
    else:
        end = machine.far_end(port) or _ENDS.get(port.kind, port.kind)
        lines = [end, *([port.mac] if port.kind == "physical" and port.mac else [])]
        state = own_state
    if own_state != "up":
        notes.append(own_state)
    row = (f"{number:>3}", end, name, address, mac, ", ".join([port.name, port.kind, *notes]))
    return Hanging(
        labels=tuple(map(printable, (f"{number} {port.name}", ", ".join([port.kind, *notes])))),
        lines=tuple(map(printable, lines)),
        row=tuple(map(printable, row)),
        is_cut=not is_forwarding or own_state != "up" or state != "up",
    )
