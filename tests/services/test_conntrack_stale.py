"""Which tracked connections a change of published ports makes stale."""

from __future__ import annotations

import pytest

from linkspan.model.rules import PortForward
from linkspan.services.conntrack import Connection, is_stale

WEB = PortForward(
    bridge="br0", protocol="tcp", listen="0.0.0.0", first=80, last=89, target="10.0.0.2", to=80
)
DNS = PortForward(
    bridge="br0", protocol="udp", listen="192.0.2.1", first=53, last=53, target="10.0.0.3", to=53
)


def connection(
    protocol: int = 6,
    destination: str = "192.0.2.1",
    port: int = 80,
    answered_by: str = "10.0.0.2",
    is_translated: bool = True,
) -> Connection:
    return Connection(
        protocol=protocol,
        destination=destination,
        port=port,
        answered_by=answered_by,
        is_translated=is_translated,
        body=b"",
    )


@pytest.mark.parametrize(
    "other",
    [
        connection(protocol=17),
        connection(port=90),
        connection(answered_by="10.0.0.9"),
        connection(destination="2001:db8::1"),
        connection(is_translated=False),
    ],
)
def test_only_connections_of_the_forward_that_is_gone_are_stale(other: Connection) -> None:
    assert is_stale(connection(port=89), [WEB], [])
    assert not is_stale(other, [WEB], [])


def test_what_was_sent_to_a_port_before_it_was_published_is_stale() -> None:
    before = connection(protocol=17, port=53, answered_by="192.0.2.1", is_translated=False)
    assert is_stale(before, [], [DNS])
    assert not is_stale(before, [DNS], [])
    elsewhere = connection(protocol=17, port=53, destination="192.0.2.9", is_translated=False)
    assert not is_stale(elsewhere, [], [DNS])
