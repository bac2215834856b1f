"""Which firewalls there are in a namespace: nftables's base chains, iptables's own tables.

Reading must not change the machine: a kernel that has nf_tables as a module which is not loaded
would load it to answer, so it isn't asked, and has no tables of that kind.

Sources: include/uapi/linux/netfilter/{nf_tables,nfnetlink}.h; for the names of hooks,
include/uapi/linux/{netfilter,netfilter_arp}.h.
"""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path
from typing import Final

from linkspan.engine.reading.dump import Dumps, attribute_list, attributes, network, text
from linkspan.model.host_snapshot import BaseChain, NftTable

NETLINK_NETFILTER: Final = 12
GETTABLE, GETCHAIN = 10 << 8 | 1, 10 << 8 | 4
_ALL_FAMILIES: Final = struct.pack("=BBH", 0, 0, 0)
_CHAIN_HOOK, _HOOK_DEV, _HOOK_DEVS = 4, 3, 4
"""NFTA_CHAIN_HOOK, NFTA_HOOK_DEV and NFTA_HOOK_DEVS."""

NOT_THERE: Final = (errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT)
"""How a kernel without nf_tables answers."""

_FAMILIES: Final = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_HOOKS: Final = ("prerouting", "input", "forward", "output", "postrouting", "ingress")
_OTHER_HOOKS: Final = {"arp": ("input", "output", "forward"), "netdev": ("ingress", "egress")}
_LEGACY: Final = (
    ("ip", "ip_tables_names"),
    ("ip6", "ip6_tables_names"),
    ("arp", "arp_tables_names"),
)


def may_be_asked() -> bool:
    """Whether asking for nftables's tables would load no module."""
    if Path("/sys/module/nf_tables").exists():
        return True
    try:
        modules = Path(f"/lib/modules/{os.uname().release}/modules.dep").read_text()
    except OSError:
        return True
    return "/nf_tables.ko" not in modules


def read_nft_tables() -> tuple[NftTable, ...]:
    """The tables of nftables in the namespace of the calling thread. Raises OSError, such as
    PermissionError without CAP_NET_ADMIN.
    """
    try:
        with Dumps(NETLINK_NETFILTER) as dumps:
            tables = dumps.entries(GETTABLE, _ALL_FAMILIES)
            chains = dumps.entries(GETCHAIN, _ALL_FAMILIES) if tables else []
    except OSError as error:
        if error.errno in NOT_THERE:
            return ()
        raise
    found: dict[tuple[int, str], list[BaseChain]] = {
        (data[0], text(attributes(data, 4).get(1, b""))): [] for data in tables
    }
    for data in chains:
        attrs = attributes(data, 4)
        table = (data[0], text(attrs.get(1, b"")))
        if 4 in attrs and table in found:
            found[table].append(_base_chain(_family(data[0]), attrs))
    return tuple(
        NftTable(family=_family(family), name=name, chains=tuple(chains))
        for (family, name), chains in found.items()
    )


def read_devices() -> dict[tuple[str, str, str], tuple[str, ...]]:
    """The interfaces of base chains that stand at some, by family, table and chain, in the
    namespace of the calling thread. Raises OSError.
    """
    found = {}
    with Dumps(NETLINK_NETFILTER) as dumps:
        for data in dumps.entries(GETCHAIN, _ALL_FAMILIES):
            attrs = attributes(data, 4)
            hook = attributes(attrs.get(_CHAIN_HOOK, b""))
            names = [hook[_HOOK_DEV]] if _HOOK_DEV in hook else []
            names += [name for _, name in attribute_list(hook.get(_HOOK_DEVS, b""))]
            if names:
                place = (_family(data[0]), text(attrs.get(1, b"")), text(attrs.get(3, b"")))
                found[place] = tuple(dict.fromkeys(map(text, names)))
    return found


def _family(number: int) -> str:
    return _FAMILIES.get(number, str(number))


def _base_chain(family: str, attrs: dict[int, bytes]) -> BaseChain:
    hook = attributes(attrs[4])
    number = network(hook.get(1, b""))
    hooks = _OTHER_HOOKS.get(family, _HOOKS)
    return BaseChain(
        name=text(attrs.get(3, b"")),
        type=text(attrs.get(7, b"")),
        hook=hooks[number] if number < len(hooks) else str(number),
        priority=int.from_bytes(hook.get(2, b""), "big", signed=True),
        policy="accept" if network(attrs.get(5, b"")) else "drop",
    )


def read_legacy_tables() -> tuple[str, ...]:
    """The tables of iptables's own, older kernel side in the namespace of the calling thread, as
    `ip filter`. Raises OSError.
    """
    found: list[str] = []
    for family, name in _LEGACY:
        try:
            names = Path(f"/proc/thread-self/net/{name}").read_text().split()
        except FileNotFoundError:
            continue
        found += [f"{family} {table}" for table in sorted(names)]
    return tuple(found)
