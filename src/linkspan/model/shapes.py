"""Texts with a shape: names, MAC addresses, IP addresses.

Each shape is a function from the text of a file to its canonical form; it raises `UnfitError` with
what is wrong. `SHAPES` is the table that the loader looks them up in, by the name that a type of
`model.topology` carries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from linkspan.model.address_shapes import (
    address,
    address_range,
    gateway,
    host,
    ipv4,
    multicast,
    network,
    port_address,
    router,
)
from linkspan.model.container import CONTAINER_SHAPES
from linkspan.model.mac_shapes import group_address, mac, station
from linkspan.model.name_shapes import (
    domain,
    file_name,
    interface_name,
    lab_name,
    line,
    memory,
    node_name,
    reference,
)
from linkspan.model.publish import publish
from linkspan.model.setting_shapes import setting_name, setting_text
from linkspan.model.shaping import bandwidth
from linkspan.model.wireguard_shapes import endpoint, key, path

SHAPES: Final[dict[str, Callable[[str], str]]] = {
    "lab": lab_name,
    "node": node_name,
    "interface": interface_name,
    "mac": mac,
    "station": station,
    "group-address": group_address,
    "address": address,
    "port-address": port_address,
    "ipv4": ipv4,
    "router": router,
    "range": address_range,
    "domain": domain,
    "gateway": gateway,
    "reference": reference,
    "host": host,
    "multicast": multicast,
    "key": key,
    "endpoint": endpoint,
    "path": path,
    "setting": setting_name,
    "setting-text": setting_text,
    "network": network,
    "publish": publish,
    "file": file_name,
    "line": line,
    "memory": memory,
    "bandwidth": bandwidth,
    **CONTAINER_SHAPES,
}
