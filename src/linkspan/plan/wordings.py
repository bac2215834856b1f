"""How each kind of thing is spoken of: a table with a row for each.

A row has a template for what is added and one for what is removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from linkspan.model.rules import PassKey, RulesKey
from linkspan.model.state import (
    AddressKey,
    BridgeKey,
    CommandKey,
    EntryKey,
    GuestKey,
    MachineKey,
    MountKey,
    NodeKey,
    PortKey,
    RouteKey,
    ServiceKey,
    SettingKey,
    ShapingKey,
    SocketKey,
    TapKey,
    UpKey,
    UplinkKey,
    VethKey,
    VxlanKey,
    WireguardKey,
)


@dataclass(frozen=True, slots=True)
class Wording:
    """How one kind of thing is spoken of; braces hold fields of its key and its value."""

    thing: str
    add: str
    remove: str


WORDINGS: Final[dict[type[msgspec.Struct], Wording]] = {
    NodeKey: Wording("{node}", "make the {title}", "remove the {title}"),
    SettingKey: Wording(
        "{name} of {node}",
        "set {name} of {node} to {text}",
        "set {name} of {node} to what it was before",
    ),
    RulesKey: Wording(
        "rules of {node}", "write the rules of {node}: {content}", "delete the rules of {node}"
    ),
    PassKey: Wording(
        "{bridge} in table {family} {table}",
        "let {bridge} pass Docker's firewall: accept it in DOCKER-USER of table {family} {table}",
        "take what lets {bridge} pass out of DOCKER-USER of table {family} {table}",
    ),
    MountKey: Wording(
        "{path} in {node}",
        "mount {source} over {path} in {node}{mode}",
        "unmount {path} in {node}",
    ),
    CommandKey: Wording(
        "the command of {node}",
        "start {line} in {node}",
        "end {line} in {node}",
    ),
    BridgeKey: Wording(
        "{bridge}",
        "make the bridge {bridge} on {node}, {engine} engine",
        "remove the bridge {bridge} from {node}",
    ),
    PortKey: Wording(
        "{interface} of {node}",
        "make {interface} in {node}, a port of {on}",
        "remove {interface} from {places}",
    ),
    ShapingKey: Wording(
        "the limits of {interface} of {node}",
        "limit {interface} of {node}: {limits}",
        "lift the limits of {interface} of {node}",
    ),
    SocketKey: Wording(
        "socket {name} of {bridge}",
        "make the {kind} socket {name}, a port of {bridge}",
        "remove the {kind} socket {name} from {bridge}",
    ),
    TapKey: Wording(
        "tap {name} of {bridge}",
        "make the tap {name}, a port of {bridge}",
        "remove the tap {name} from {bridge}",
    ),
    UplinkKey: Wording(
        "{interface} of {node}",
        "make {interface} of {node} a port of {bridge}",
        "release {interface} of {node} from {bridge}",
    ),
    GuestKey: Wording(
        "{interface} of the guest {guest}",
        "put {interface} of libvirt's guest {guest} back on {bridge}",
        "take {interface} of libvirt's guest {guest} off {bridge}",
    ),
    VethKey: Wording(
        "{interface} of {node}",
        "make {interface} in {node}, wired to {far}{limits}",
        "remove {interface} from {node}, which was wired to {far}",
    ),
    VxlanKey: Wording(
        "the tunnel {name} of {bridge}",
        "make the tunnel {name}, a port of {bridge}: VXLAN {vni} to {far}",
        "remove the tunnel {name} from {bridge}",
    ),
    MachineKey: Wording(
        "{node}",
        "start the virtual machine {node}",
        "shut down the virtual machine {node}",
    ),
    WireguardKey: Wording(
        "{interface} of {node}",
        "make the WireGuard interface {interface} in {node}, with {far}",
        "remove the WireGuard interface {interface} from {node}",
    ),
    EntryKey: Wording(
        "entry {mac} of {bridge}",
        "add {mac} at {port} to the FDB of {bridge}",
        "delete {mac} at {port} from the FDB of {bridge}",
    ),
    AddressKey: Wording(
        "{address} on {interface} of {node}",
        "add {address} to {interface} of {node}",
        "delete {address} from {interface} of {node}",
    ),
    UpKey: Wording(
        "{interface} of {node}",
        "set {interface} of {node} {state}",
        "leave {interface} of {node} as it is",
    ),
    RouteKey: Wording(
        "route {destination} of {node}",
        "route {destination} of {node} {way}",
        "delete the route {destination} of {node} {way}",
    ),
    ServiceKey: Wording(
        "{program} of {interface} of {node}",
        "start {program} for {interface} of {node}",
        "stop {program} for {interface} of {node}",
    ),
}
