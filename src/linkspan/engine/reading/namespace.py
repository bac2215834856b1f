"""One network namespace as it is: the one in which the sockets that are asked were opened."""

from __future__ import annotations

from linkspan.engine.reading.dump import Dumps
from linkspan.engine.reading.links import read_interfaces
from linkspan.engine.reading.neighbours import read_fdb, read_neighbours
from linkspan.engine.reading.stack import read_addresses, read_routes
from linkspan.model.host_snapshot import NamespaceSnapshot


def read_namespace(dumps: Dumps) -> NamespaceSnapshot:
    """Everything that rtnetlink says of the namespace in which `dumps` was opened.

    Raises Refusal or OSError when the kernel does not answer.
    """
    interfaces = read_interfaces(dumps)
    names = {each.index: each.name for each in interfaces}
    return NamespaceSnapshot(
        interfaces=tuple(interfaces),
        addresses=tuple(read_addresses(dumps, names)),
        routes=tuple(read_routes(dumps, names)),
        neighbours=tuple(read_neighbours(dumps, names)),
        fdb=tuple(read_fdb(dumps, names)),
    )
