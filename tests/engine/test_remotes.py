"""Where a VXLAN port of our own sends a frame: what it learned of far hosts, and forgets again."""

from __future__ import annotations

from linkspan.engine.user.remotes import AGEING_SECONDS, MOST_REMEMBERED, Remotes

EVERYONE = [("192.0.2.1", 4789), ("192.0.2.2", 4789)]
MAC = bytes.fromhex("020000000001")


def remotes(learns: bool = True) -> Remotes:
    return Remotes(EVERYONE, 4789, learns)


def test_the_unknown_goes_to_everyone() -> None:
    assert remotes().towards(MAC, 0.0) == tuple(EVERYONE)


def test_the_known_goes_where_it_was_heard_from_also_to_a_host_that_is_not_listed() -> None:
    found = remotes()
    found.learn(MAC, "192.0.2.9", 0.0)
    assert found.towards(MAC, 1.0) == (("192.0.2.9", 4789),)
    found.learn(MAC, "192.0.2.2", 1.0)
    assert found.towards(MAC, 1.0) == (("192.0.2.2", 4789),)


def test_the_known_is_forgotten_when_it_is_not_heard_of() -> None:
    found = remotes()
    found.learn(MAC, "192.0.2.2", 0.0)
    assert found.towards(MAC, AGEING_SECONDS) == (("192.0.2.2", 4789),)
    assert found.towards(MAC, AGEING_SECONDS + 1) == tuple(EVERYONE)


def test_group_addresses_are_never_learned_and_nothing_is_without_learning() -> None:
    found = remotes()
    found.learn(b"\xff" * 6, "192.0.2.2", 0.0)
    assert found.towards(b"\xff" * 6, 0.0) == tuple(EVERYONE)
    static = remotes(learns=False)
    static.learn(MAC, "192.0.2.2", 0.0)
    assert static.towards(MAC, 0.0) == tuple(EVERYONE)


def test_a_flood_of_sources_does_not_push_out_what_is_known() -> None:
    found = remotes()
    found.learn(MAC, "192.0.2.2", 0.0)
    for number in range(MOST_REMEMBERED + 5):
        found.learn(b"\x02\x01" + number.to_bytes(4, "big"), "192.0.2.1", 1.0)
    assert found.towards(MAC, 2.0) == (("192.0.2.2", 4789),)
    late = b"\x02\x02" + bytes(4)
    found.learn(late, "192.0.2.1", 2.0)
    assert found.towards(late, 2.0) == tuple(EVERYONE)
    found.learn(late, "192.0.2.1", AGEING_SECONDS + 1.5)
    assert found.towards(late, AGEING_SECONDS + 2) == (("192.0.2.1", 4789),)
