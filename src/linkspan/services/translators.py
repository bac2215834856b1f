"""Whether somebody else on the machine translates what it forwards: Docker, libvirt, an
administrator.

Whoever does needs forwarding, but does not say so to anybody: it found forwarding on, and will not
switch it on again before it is started anew. So a lab that was the first to need it must not switch
it off under those that came later.

Source: include/uapi/linux/netfilter_ipv4/ip_tables.h; libnftables-json(5).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from linkspan.engine.reading.firewall import may_be_asked, read_legacy_tables
from linkspan.engine.reading.legacy import read_legacy
from linkspan.errors import Missing
from linkspan.services.nftables import list_ruleset

_FAMILIES: Final = {4: ("ip", "inet"), 6: ("ip6", "inet")}
_STATEMENTS: Final = ("masquerade", "snat")
_TARGETS: Final = ("MASQUERADE", "SNAT")
_OURS: Final = "linkspan-"


def others_translate(version: int) -> bool:
    """Whether rules that are no lab's translate sources of an IP version, in the namespace of the
    calling thread. Raises OSError or Refusal.
    """
    families = _FAMILIES[version]
    tables = set(read_legacy_tables())
    for family in families:
        if f"{family} nat" in tables:
            entries = read_legacy(family, "nat").entries
            if any(target.encode() in entries for target in _TARGETS):
                return True
    listed = []
    with contextlib.suppress(Missing):
        listed = list_ruleset() if may_be_asked() else []
    rules = [each["rule"] for each in listed if "rule" in each]
    return any(
        rule["family"] in families
        and not rule["table"].startswith(_OURS)
        and _translates(rule["expr"])
        for rule in rules
    )


def _translates(statements: Iterable[Mapping[str, Any]]) -> bool:
    for statement in statements:
        if any(name in statement for name in _STATEMENTS):
            return True
        if (statement.get("xt") or {}).get("name") in _TARGETS:
            return True
    return False
