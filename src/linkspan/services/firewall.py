"""A lab's rules in its nodes: written, read again, removed.

Which rules a table holds is known by its digest, and whether all of them are still there by the
kernel's count of each chain's rules; what does not fit is read as rules that hold nothing, so the
next plan writes them anew. A rule that somebody replaced one for one is not noticed.

Connections go on as they were translated when they began (net/netfilter/nf_nat_core.c), so those
of a forward that is gone are forgotten once its rules are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from linkspan.engine.reading.dump import Dumps, attributes, network, text
from linkspan.engine.reading.firewall import (
    GETCHAIN,
    GETTABLE,
    NETLINK_NETFILTER,
    NOT_THERE,
    may_be_asked,
)
from linkspan.engine.site import Site
from linkspan.model.rules import Rules, RulesKey
from linkspan.plan.change import Change
from linkspan.sandbox.namespaces import inside
from linkspan.services.conntrack import forget
from linkspan.services.nftables import run_commands
from linkspan.services.ruleset import DIGEST_PREFIX, chains, digest, table, table_name

_INET = 1
_TABLE, _NAME, _USE = 1, 3, 6
"""NFTA_CHAIN_TABLE, _NAME and _USE (include/uapi/linux/netfilter/nf_tables.h)."""


class Firewall:
    """Carries out changes of rules."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def carry_out(self, change: Change) -> None:
        """Carry out a change of a RulesKey. Raises Refusal, Missing or OSError."""
        assert isinstance(change.key, RulesKey)
        before = change.before if isinstance(change.before, Rules) else Rules()
        after = change.after if isinstance(change.after, Rules) else None
        with inside(self._site.network(change.key.node)):
            run_commands(table(self._site.lab, after))
            forget(before.forwards, after.forwards if after else ())


def read_rules(
    site: Site, nodes: Iterable[str], candidates: Iterable[Rules]
) -> Iterator[tuple[RulesKey, Rules]]:
    """The lab's rules in those of the nodes that have them; rules other than the candidates are
    not known again. Raises OSError.
    """
    known = {digest(rules): rules for rules in candidates}
    for node in nodes:
        with inside(site.network(node)):
            found = read_chains(table_name(site.lab))
        if found is not None:
            yield RulesKey(node), _known_again(found, known)


def _known_again(found: dict[str, int], known: dict[str, Rules]) -> Rules:
    marks = [name for name in found if name.startswith(DIGEST_PREFIX)]
    rules = known.get(marks[0], Rules()) if len(marks) == 1 else Rules()
    expected = {name: len(content) for name, content in chains(rules).items()}
    return rules if found == {**expected, **dict.fromkeys(marks, 0)} else Rules()


def read_chains(name: str) -> dict[str, int] | None:
    """The chains of a table of the family inet in the namespace of the calling thread, with the
    number of uses that the kernel counts: rules, and jumps to it. None when there is no such table.
    """
    if not may_be_asked():
        return None
    try:
        with Dumps(NETLINK_NETFILTER) as dumps:
            tables = dumps.entries(GETTABLE, bytes([_INET, 0, 0, 0]))
            if name not in {text(attributes(data, 4).get(_TABLE, b"")) for data in tables}:
                return None
            listed = dumps.entries(GETCHAIN, bytes([_INET, 0, 0, 0]))
    except OSError as error:
        if error.errno in NOT_THERE:
            return None
        raise
    found: dict[str, int] = {}
    for data in listed:
        attrs = attributes(data, 4)
        if text(attrs.get(_TABLE, b"")) == name:
            found[text(attrs.get(_NAME, b""))] = network(attrs.get(_USE, b""))
    return found
