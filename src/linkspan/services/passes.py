"""Rules of ours in Docker's chain for others, DOCKER-USER, which let a bridge pass.

Two for each bridge, one in each direction, known by a comment; Docker leaves that chain as it is.
They are written and deleted singly, since the table is not ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from linkspan.engine.reading.firewall import may_be_asked
from linkspan.engine.site import Site
from linkspan.model.rules import Pass, PassKey
from linkspan.model.state import State
from linkspan.model.topology import HOST
from linkspan.plan.change import Change
from linkspan.sandbox.namespaces import inside
from linkspan.services.firewalls import DOCKER_USER
from linkspan.services.nft_rules import tables
from linkspan.services.nftables import list_ruleset, run_commands

_DIRECTIONS: Final = ("iifname", "oifname")


def mark(lab: str) -> str:
    """How the comments of a lab's rules begin."""
    return f"linkspan:{lab}:"


class Passes:
    """Carries out changes of a PassKey."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def carry_out(self, change: Change) -> None:
        """Let a bridge pass, or not any more. Raises Refusal, Missing or OSError."""
        key = change.key
        assert isinstance(key, PassKey)
        with inside(self._site.network(key.node)):
            there = _rules(self._site.lab).get(key, {})
            commands = [
                {"delete": {"rule": {**_place(key), "handle": rule["handle"]}}}
                for rule in there.values()
            ]
            if change.after is not None:
                commands += [
                    {"insert": {"rule": _rule(self._site.lab, key, each)}} for each in _DIRECTIONS
                ]
            if commands:
                run_commands({"nftables": commands})


def read_passes(site: Site, known: State) -> Iterator[tuple[PassKey, Pass]]:
    """The bridges that are let pass; looked for when somebody knows of some. Raises Refusal,
    OSError or Missing.
    """
    if not any(isinstance(key, PassKey) for key in known):
        return
    with inside(site.network(HOST)):
        found = _rules(site.lab)
    for key, rules in found.items():
        if set(rules) == set(_DIRECTIONS):
            yield key, Pass()


def _rules(lab: str) -> dict[PassKey, dict[str, Any]]:
    """Our rules by direction, by where they are and what for."""
    found: dict[PassKey, dict[str, Any]] = {}
    for table in tables(list_ruleset(), mark(lab)) if may_be_asked() else ():
        for comment, rule in table.marked.get(DOCKER_USER, {}).items():
            bridge, _, direction = comment.removeprefix(mark(lab)).rpartition(":")
            key = PassKey(HOST, table.family, table.name, bridge)
            found.setdefault(key, {})[direction] = rule
    return found


def _place(key: PassKey) -> dict[str, str]:
    return {"family": key.family, "table": key.table, "chain": DOCKER_USER}


def _rule(lab: str, key: PassKey, direction: str) -> dict[str, Any]:
    meta = {"meta": {"key": direction}}
    return {
        **_place(key),
        "comment": f"{mark(lab)}{key.bridge}:{direction}",
        "expr": [
            {"match": {"op": "==", "left": meta, "right": key.bridge}},
            {"counter": {"packets": 0, "bytes": 0}},
            {"accept": None},
        ],
    }
