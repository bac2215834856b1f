"""What a running lab has, in other tools' languages."""

from __future__ import annotations

from linkspan.errors import Fault, Mistake
from linkspan.interop import libvirt_network
from linkspan.interop.wg_quick import write
from linkspan.lab.find import Place
from linkspan.lab.observe import require_topology
from linkspan.lab.records import Records
from linkspan.model.flaw import names_of
from linkspan.model.state import Bridge, BridgeKey
from linkspan.model.topology import Scope
from linkspan.model.wireguard_peers import mtu_of, peers
from linkspan.services.wireguard_keys import file_of


def wg_quick(place: Place, node: str, name: str) -> str:
    """A WireGuard interface as a file of wg-quick. Its private key is in the lab's folder, as long
    as the lab is there. Raises Mistake when there is none of that name.
    """
    topology = require_topology(place)
    for _, link in topology.wireguards():
        if (link.node, link.name) == (node, name):
            key_file = file_of(place.folder, str(link.public_key))
            found = list(peers(topology, link))
            return write(link, found, mtu_of(topology, link), str(key_file))
    known = [f"{link.node}:{link.name}" for _, link in topology.wireguards()]
    raise Mistake(
        Fault(
            f"{node} has no WireGuard interface {name}",
            expected=names_of("one of the lab", known),
            next_step="write NODE:NAME as `linkspan show` has it",
        )
    )


def libvirt(place: Place, bridge: str) -> str:
    """A bridge as a network of libvirt's. Raises Mistake when there is none of that name, or none
    that libvirt could put a guest on.
    """
    topology = require_topology(place)
    if bridge not in topology.bridges:
        raise Mistake(
            Fault(
                f"the lab {place.name} has no bridge named {bridge!r}",
                expected=names_of("one of", topology.bridges),
                next_step=f"linkspan show {place.name} lists them",
            )
        )
    match Records(place.folder).applied().get(BridgeKey(bridge)):
        case Bridge(engine="user") if topology.scope is Scope.HOST:
            raise Mistake(
                Fault(
                    f"bridge {bridge} is switched by engine user, and libvirt can put guests only"
                    " on a bridge of the kernel (SIOCBRADDIF)",
                    next_step="write `engine: kernel`",
                )
            )
    return libvirt_network.write(topology, bridge)
