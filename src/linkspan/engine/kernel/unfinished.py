"""What a killed command left half made: interfaces without the mark that says whose they are.

An interface can't be made and marked in one step, and a veth has two ends to be marked. Reading
takes nothing for ours that carries no mark, so before a change goes on from one that was broken
off, what the journal says was about to be made, and is there with its kind and MAC but not marked
on every end, is removed. Nobody can have begun to use it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from linkspan.engine.kernel.links import look
from linkspan.engine.kernel.ownership import Recipe, remove_unfinished
from linkspan.engine.netlink import delete_link
from linkspan.engine.site import Site
from linkspan.model.names import Mark, port_name
from linkspan.model.state import Bridge, BridgeKey, Port, PortKey, State


def remove_half_made(
    site: Site, nodes: Collection[str], begun: State, names: Mapping[tuple[str, str], str]
) -> None:
    """Remove what is half made of the kernel bridges and ports that a state has, in the nodes that
    there are. `names` says how the bridge's end of each node's interface is called.

    Raises Refusal or OSError.
    """
    places: dict[str, str] = {}
    for key, value in begun.items():
        match key, value:
            case BridgeKey(bridge=name), Bridge(engine="kernel", node=node, mac=mac):
                places[name] = node
                if node in nodes:
                    recipe = Recipe(Mark(site.lab, name), "bridge", mac)
                    remove_unfinished(site.netlink(node), name, recipe)
    for key, value in begun.items():
        if isinstance(key, PortKey) and isinstance(value, Port) and value.engine == "kernel":
            ends = (
                (key.node, key.interface),
                (places.get(value.bridge), names[key.node, key.interface]),
            )
            _remove_half_marked(site, key, value, [end for end in ends if end[0] in nodes])


def _remove_half_marked(
    site: Site, key: PortKey, port: Port, ends: Iterable[tuple[str | None, str]]
) -> None:
    mark = str(Mark(site.lab, port_name(key.node, key.interface)))
    found = [
        (site.netlink(node), link)
        for node, name in ends
        if node is not None and (link := look(site.netlink(node), name)) is not None
    ]
    is_ours = any(link.alias == mark for _, link in found) or any(
        (link.kind, link.mac, link.alias) == ("veth", port.mac, None) for _, link in found
    )
    if is_ours and any(link.alias is None for _, link in found):
        netlink, link = found[0]
        netlink.run([delete_link(link.name)])
