"""One network namespace as it is.

`read_namespace` reads what rtnetlink says, and raises when the kernel does not answer;
`read_for_plan` does the same for what a plan looks at, in half the time;
`read_all_of_it` adds what only somebody with privilege may see, and leaves out, saying so, what
can't be read: the picture of a machine must not fail because of one corner of it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, TypeVar

from msgspec.structs import replace

from linkspan.engine.reading.dump import Dumps
from linkspan.engine.reading.firewall import read_legacy_tables, read_nft_tables
from linkspan.engine.reading.groups import read_groups
from linkspan.engine.reading.links import read_interfaces
from linkspan.engine.reading.neighbours import read_fdb, read_neighbours
from linkspan.engine.reading.stack import read_addresses, read_routes
from linkspan.model.host_snapshot import NamespaceSnapshot, NftTable

Found = TypeVar("Found")
NOT_UNDERSTOOD: Final = (struct.error, ValueError, LookupError, StopIteration)
"""What taking an answer apart ends in when it is not what the kernel's headers say."""

_NO_TABLES: tuple[NftTable, ...] = ()
_NO_NAMES: tuple[str, ...] = ()


def read_namespace(dumps: Dumps) -> NamespaceSnapshot:
    """Everything that rtnetlink says of the namespace in which `dumps` was opened.

    Raises OSError when the kernel does not answer.
    """
    interfaces = read_interfaces(dumps)
    names = {each.index: each.name for each in interfaces}
    has_bridges = any(each.bridge_state is not None for each in interfaces)
    groups, routers = read_groups(dumps, names) if has_bridges else ([], [])
    return NamespaceSnapshot(
        interfaces=tuple(interfaces),
        addresses=tuple(read_addresses(dumps, names)),
        routes=tuple(read_routes(dumps, names)),
        neighbours=tuple(read_neighbours(dumps, names)),
        fdb=tuple(read_fdb(dumps, names)),
        groups=tuple(groups),
        multicast_routers=tuple(routers),
    )


def read_for_plan(dumps: Dumps) -> NamespaceSnapshot:
    """What a plan looks at, of the namespace in which `dumps` was opened: interfaces, addresses,
    routes, and the FDB of bridges. Raises OSError when the kernel does not answer.
    """
    interfaces = read_interfaces(dumps, with_counters=False)
    names = {each.index: each.name for each in interfaces}
    has_bridges = any(each.bridge_state is not None for each in interfaces)
    return NamespaceSnapshot(
        interfaces=tuple(interfaces),
        addresses=tuple(read_addresses(dumps, names)),
        routes=tuple(read_routes(dumps, names)),
        fdb=tuple(read_fdb(dumps, names)) if has_bridges else (),
    )


def read_all_of_it(with_nft: bool) -> NamespaceSnapshot:
    """As `read_namespace`, of the calling thread's namespace, and its firewalls.

    What could not be read is named in `unread`.
    """
    unread: list[str] = []

    def attempt(what: str, work: Callable[[], Found], otherwise: Found) -> Found:
        try:
            return work()
        except OSError as error:
            unread.append(f"{what}: {error.strerror or error}")
            return otherwise
        except NOT_UNDERSTOOD as error:
            unread.append(f"{what}: the kernel's answer is not understood ({error!r})")
            return otherwise

    def read() -> NamespaceSnapshot:
        with Dumps() as dumps:
            return read_namespace(dumps)

    found = attempt("interfaces", read, NamespaceSnapshot())
    return replace(
        found,
        nft_tables=attempt("nftables", read_nft_tables, _NO_TABLES) if with_nft else (),
        legacy_tables=attempt("iptables", read_legacy_tables, _NO_NAMES),
        unread=tuple(unread),
    )
