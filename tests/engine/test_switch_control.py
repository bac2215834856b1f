"""The control socket of a switch process: what it answers, and that nothing sent there harms it."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.stations import BROADCAST, WAIT_SECONDS, StreamPeer, frame_of, station, wait_until
from tests.engine.switch_process import BRIDGE_MAC, Switch

from linkspan.control.client import Client
from linkspan.errors import Refusal

A, B, C = station(1), station(2), station(3)
END = frame_of(BROADCAST, station(0xE), b"end")


@contextmanager
def three(tmp_path: Path, **options: Any) -> Iterator[tuple[Switch, list[StreamPeer]]]:
    with Switch(tmp_path, options) as switch:
        switch.stream("a", "b", "c")
        switch.start()
        yield switch, [switch.stream_peer(name) for name in "abc"]
        assert switch.lives


def heard(
    sender: StreamPeer, frame: bytes, others: list[StreamPeer], end: bytes = END
) -> list[list[bytes]]:
    """What each of the others got of a frame; `end` must reach them all."""
    sender.send(frame, end)
    return [other.receive_until(end) for other in others]


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Switch]:
    """One switch for many bad requests: it must live on after each."""
    with Switch(tmp_path_factory.mktemp("switch")) as switch:
        switch.stream("a", "b")
        switch.start()
        yield switch
        assert switch.lives


def test_only_the_owner_may_open_the_socket(lasting: Switch) -> None:
    for name in ("control", "a"):
        assert stat.S_IMODE(lasting.path(name).stat().st_mode) == 0o600


def test_snapshot_shows_bridge_ports_and_entries(tmp_path: Path) -> None:
    with three(tmp_path, ageing_time=120.0, group_fwd_mask=8) as (switch, (a, b, _c)):
        a.send(frame_of(BROADCAST, A))
        assert b.receive() == frame_of(BROADCAST, A)
        found = switch.snapshot()
        assert (found.name, found.node, found.engine) == ("br0", "host", "user")
        assert (found.mac, found.up) == (BRIDGE_MAC, True)
        assert found.options["ageing_time"] == 120.0
        assert found.options["group_fwd_mask"] == 8
        assert [(p.name, p.number, p.kind, p.state) for p in found.ports] == [
            ("a", 1, "stream", "forwarding"),
            ("b", 2, "stream", "forwarding"),
            ("c", 3, "stream", "forwarding"),
        ]
        entries = {entry.mac: (entry.port, entry.kind) for entry in found.fdb}
        assert entries[A.hex(":")] == ("a", "learned")
        assert entries[BRIDGE_MAC][1] == "local"


def test_static_entry_directs_traffic_and_sticky_one_stays(tmp_path: Path) -> None:
    with three(tmp_path) as (switch, (a, b, c)):
        switch.call("fdb-add", mac=C.hex(":"), port="c")
        assert heard(a, frame_of(C, A), [b, c]) == [[], [frame_of(C, A)]]
        # A static one moves with traffic, as in Linux.
        heard(b, frame_of(BROADCAST, C), [a, c])
        assert switch.where(C) == "b"
        switch.call("fdb-add", mac=C.hex(":"), port="c", kind="sticky")
        heard(b, frame_of(BROADCAST, C), [a, c])
        assert switch.where(C) == "c"
        kinds = {entry.mac: entry.kind for entry in switch.snapshot().fdb}
        assert kinds[C.hex(":")] == "sticky"
        switch.call("fdb-delete", mac=C.hex(":"))
        assert switch.where(C) is None
        assert heard(a, frame_of(C, A), [b, c]) == [[frame_of(C, A)]] * 2


def test_flush_forgets_one_port_or_all_and_keeps_what_was_configured(tmp_path: Path) -> None:
    with three(tmp_path) as (switch, (a, b, c)):
        heard(a, frame_of(BROADCAST, A), [b, c], frame_of(BROADCAST, A, b"end"))
        heard(b, frame_of(BROADCAST, B), [a, c], frame_of(BROADCAST, B, b"end"))
        switch.call("fdb-add", mac=C.hex(":"), port="c")
        assert switch.call("fdb-flush", port="a")["removed"] >= 1
        assert (switch.where(A), switch.where(B), switch.where(C)) == (None, "b", "c")
        switch.call("fdb-flush")
        assert (switch.where(A), switch.where(B), switch.where(C)) == (None, None, "c")


def test_options_change_traffic_at_once_also_where_it_is_cached(tmp_path: Path) -> None:
    with three(tmp_path) as (switch, (a, b, c)):
        heard(b, frame_of(BROADCAST, B), [a, c])
        sent = frame_of(B, A, b"flow")
        for _ in range(3):
            assert heard(a, sent, [b, c]) == [[sent], []]
        for port in "ab":
            switch.call("options", port=port, options={"isolated": True})
        a.send(sent, END)
        assert c.receive_until(END) == []
        b_end = frame_of(BROADCAST, C, b"b end")
        c.send(b_end)
        assert b.receive_until(b_end) == []
        assert a.receive_until(b_end) == []
        assert switch.counters("a").drops["ISOLATED"] == 1
        for port in "ab":
            switch.call("options", port=port, options={"isolated": False})
        assert heard(a, sent, [b, c]) == [[sent], []]


def test_hairpin_sends_back_where_it_came_from(tmp_path: Path) -> None:
    with three(tmp_path) as (switch, (a, b, c)):
        heard(b, frame_of(BROADCAST, B), [a, c])
        switch.call("options", port="a", options={"hairpin": True})
        sent = frame_of(BROADCAST, A, b"back")
        a.send(sent)
        assert [peer.receive() for peer in (a, b, c)] == [sent] * 3
        switch.call("options", port="a", options={"hairpin": False})
        a.send(sent, sent)
        for peer in (b, c):
            assert [peer.receive(), peer.receive()] == [sent] * 2
        b.send(frame_of(A, B, b"next"))
        assert a.receive() == frame_of(A, B, b"next")


@pytest.mark.parametrize(
    ("option", "destination"),
    [
        ("unicast_flood", station(77)),
        ("multicast_flood", b"\x01\x00\x5e\x01\x02\x03"),
        ("broadcast_flood", BROADCAST),
    ],
)
def test_flood_classes_can_be_switched_off(tmp_path: Path, option: str, destination: bytes) -> None:
    with three(tmp_path) as (switch, (a, b, c)):
        sent = frame_of(destination, A, b"class")
        heard(c, frame_of(BROADCAST, C), [a, b])
        assert heard(a, sent, [c], sent) == [[]]
        assert c.receive() == sent
        assert [b.receive(), b.receive()] == [sent, sent]
        switch.call("options", port="b", options={option: False})
        a.send(sent)
        assert c.receive() == sent
        switch.call("fdb-add", mac=B.hex(":"), port="b")
        a.send(frame_of(B, A, b"known"))
        assert b.receive() == frame_of(B, A, b"known")


def test_learning_off_learns_nothing(tmp_path: Path) -> None:
    with three(tmp_path) as (switch, (a, b, c)):
        switch.call("options", port="a", options={"learning": False})
        heard(a, frame_of(BROADCAST, A), [b, c])
        assert switch.where(A) is None
        switch.call("options", port="a", options={"learning": True})
        heard(a, frame_of(BROADCAST, A), [b, c])
        assert switch.where(A) == "a"


def test_bridge_down_stops_and_up_goes_on(tmp_path: Path) -> None:
    with three(tmp_path) as (switch, (a, b, c)):
        heard(a, frame_of(BROADCAST, A), [b, c])
        switch.call("bridge", options={"up": False})
        assert switch.where(A) is None
        assert {port.state for port in switch.snapshot().ports} == {"disabled"}
        a.send(frame_of(BROADCAST, A))
        wait_until(lambda: switch.counters("a").drops.get("BRIDGE_DOWN"), "a drop")
        switch.call("bridge", options={"up": True})
        heard(a, frame_of(BROADCAST, A), [b, c])
        assert switch.where(A) == "a"


def test_lowered_ageing_time_holds_at_once(tmp_path: Path) -> None:
    with three(tmp_path) as (switch, (a, b, c)):
        heard(a, frame_of(BROADCAST, A), [b, c])
        with Client(switch.path("control"), timeout=WAIT_SECONDS) as client:
            client.call("events")
            switch.call("bridge", options={"ageing_time": 0.01})
            expired = {read_event(client, "expired")["mac"] for _ in range(2)}
            assert A.hex(":") in expired
        assert switch.where(A) is None


def read_event(client: Client, kind: str) -> dict[str, Any]:
    while True:
        event, _ = client.read()
        if event["event"] == kind:
            return event


def test_events_tell_what_was_learned_and_moved(tmp_path: Path) -> None:
    with three(tmp_path) as (switch, (a, b, c)):
        client = switch.client()
        client.call("events")
        heard(a, frame_of(BROADCAST, A), [b, c])
        learned = read_event(client, "learned")
        assert (learned["mac"], learned["port"], learned["vlan"]) == (A.hex(":"), "a", 0)
        heard(b, frame_of(BROADCAST, A), [a, c])
        moved = read_event(client, "moved")
        assert (moved["mac"], moved["old"], moved["new"]) == (A.hex(":"), "a", "b")
        heard(a, frame_of(BROADCAST, bytes.fromhex(BRIDGE_MAC.replace(":", ""))), [b, c])
        own = read_event(client, "ownaddress")
        assert (own["mac"], own["port"]) == (BRIDGE_MAC, "a")


def test_listener_that_never_reads_does_not_hold_up_a_storm(tmp_path: Path) -> None:
    with three(tmp_path) as (switch, (a, b, _c)):
        deaf = switch.client()
        deaf.call("events")
        for start in range(0, 90_000, 200):
            numbers = range(start, start + 200)
            a.send(*(frame_of(BROADCAST, station(0x100000 + number)) for number in numbers))
            assert b.receive_until(frame_of(BROADCAST, station(0x100000 + start + 199)))
        assert switch.snapshot().fdb
        with pytest.raises(OSError, match=r"closed|reset"):
            read_event(deaf, "the end, behind what was sent before it was cut off")


BAD_REQUESTS = [
    {"op": "unknown"},
    {"op": ""},
    {"op": "fdb-add"},
    {"op": "fdb-add", "mac": 5, "port": "a"},
    {"op": "fdb-add", "mac": "nonsense", "port": "a"},
    {"op": "fdb-add", "mac": "01:00:5e:00:00:01", "port": "a"},
    {"op": "fdb-add", "mac": "00:00:00:00:00:00", "port": "a"},
    {"op": "fdb-add", "mac": "52:54:00:00:00:01", "port": "absent"},
    {"op": "fdb-add", "mac": "52:54:00:00:00:01", "port": ["a"]},
    {"op": "fdb-add", "mac": "52:54:00:00:00:01", "port": {"a": 1}},
    {"op": "fdb-add", "mac": "52:54:00:00:00:01", "port": "a", "kind": "local"},
    {"op": "fdb-add", "mac": "52:54:00:00:00:01", "port": "a", "kind": ["static"]},
    {"op": "fdb-add", "mac": BRIDGE_MAC, "port": "a"},
    {"op": "fdb-add", "mac": "52:54:00:00:00:01", "port": "a", "more": 1},
    {"op": "fdb-add", "mac": "52:54:00:00:00:01", "port": "a", "self": 1},
    {"op": "fdb-delete", "mac": "52:54:00:99:99:99"},
    {"op": "fdb-delete", "mac": BRIDGE_MAC},
    {"op": "fdb-delete", "mac": None},
    {"op": "fdb-flush", "port": "absent"},
    {"op": "fdb-flush", "port": 1},
    {"op": "snapshot", "more": 1},
    {"op": "counters", "": None},
    {"op": "events", "more": 1},
    {"op": "options"},
    {"op": "options", "port": "a"},
    {"op": "options", "port": "a", "options": 5},
    {"op": "options", "port": "a", "options": None},
    {"op": "options", "port": "a", "options": [["isolated", True]]},
    {"op": "options", "port": "a", "options": {"isolated": "yes"}},
    {"op": "options", "port": "a", "options": {"isolated": 1}},
    {"op": "options", "port": "a", "options": {"no such": True}},
    {"op": "options", "port": "a", "options": {"mtu": -1}},
    {"op": "options", "port": "a", "options": {"mtu": 1.5}},
    {"op": "options", "port": "a", "options": {"group_fwd_mask": 2}},
    {"op": "options", "port": "a", "options": {"group_fwd_mask": 10**30}},
    {"op": "options", "port": "a", "options": {"isolated": True, "mtu": "x"}},
    {"op": "bridge"},
    {"op": "bridge", "options": []},
    {"op": "bridge", "options": {"ageing_time": -1}},
    {"op": "bridge", "options": {"ageing_time": "long"}},
    {"op": "bridge", "options": {"ageing_time": 10**400}},
    {"op": "bridge", "options": {"ageing_time": 1e300}},
    {"op": "bridge", "options": {"up": 1}},
    {"op": "bridge", "options": {"group_fwd_mask": 1}},
    {"op": "bridge", "options": {"group_fwd_mask": -8}},
    {"op": "bridge", "options": {"group_fwd_mask": 2**70}},
    {"op": "bridge", "options": {"ageing_time": 5, "group_fwd_mask": 7}},
    {"op": "bridge", "options": {"up": False, "no such": 1}},
]


@pytest.mark.parametrize("request_", BAD_REQUESTS, ids=json.dumps)
def test_bad_request_gets_an_error_line_and_changes_nothing(
    lasting: Switch, request_: dict[str, Any]
) -> None:
    before = lasting.snapshot()
    with Client(lasting.path("control"), timeout=WAIT_SECONDS) as client:
        fields = {name: value for name, value in request_.items() if name not in ("op", "self")}
        if "self" in request_:
            answer = raw(lasting, json.dumps(request_).encode() + b"\n")
            assert b'"ok": false' in answer
        else:
            with pytest.raises(Refusal) as caught:
                client.call(request_["op"], **fields)
            assert "Error" not in str(caught.value)
            assert client.call("counters")["ports"]
    after = lasting.snapshot()
    assert after.options == before.options
    assert after.ports == before.ports
    assert [entry.mac for entry in after.fdb] == [entry.mac for entry in before.fdb]
    assert after.up == before.up


def raw(switch: Switch, data: bytes) -> bytes:
    """What comes back for bytes, until the other side closes or has answered every line."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(WAIT_SECONDS)
        sock.connect(str(switch.path("control")))
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            while part := sock.recv(1 << 16):
                answer += part
        except (BrokenPipeError, ConnectionResetError):
            return b""
        return answer


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n" * 3,
        b"nonsense\n",
        b"[]\n",
        bytes(range(256)) * 100 + b"\n",
        b'{"op": "snapshot"',
        b"x" * (2 << 20) + b"\n",
        b'{"op": "' + b"x" * (2 << 20) + b'"}\n',
        b"[" * 900_000 + b"\n",
    ],
    ids=["nothing", "empty", "text", "list", "binary", "half", "2 MB", "2 MB op", "deep"],
)
def test_bytes_that_are_no_request_harm_nothing(lasting: Switch, data: bytes) -> None:
    answer = raw(lasting, data)
    assert b'"ok": true' not in answer
    assert lasting.call("counters")["ports"].keys() == {"a", "b"}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(
        ["snapshot", "counters", "fdb-add", "fdb-delete", "fdb-flush", "options", "bridge"]
    ),
    st.dictionaries(
        st.sampled_from(["mac", "port", "kind", "options", "self", "x"]),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(max_size=20),
            st.sampled_from(["a", "52:54:00:00:00:01", "static"]),
            st.lists(st.integers(), max_size=3),
            st.dictionaries(
                st.sampled_from(["isolated", "mtu", "up", "ageing_time", "group_fwd_mask"]),
                st.one_of(st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
                max_size=3,
            ),
        ),
        max_size=4,
    ),
)
def test_any_fields_get_one_answer(lasting: Switch, op: str, fields: dict[str, Any]) -> None:
    line = json.dumps({"op": op, **fields}).encode() + b"\n"
    (answer,) = raw(lasting, line).splitlines()
    assert json.loads(answer)["ok"] in (True, False)
    assert lasting.lives


def test_descriptors_sent_unasked_are_closed(lasting: Switch) -> None:
    assert lasting.process is not None
    table = Path(f"/proc/{lasting.process.pid}/fd")
    before = len(list(table.iterdir()))
    read, write = os.pipe()
    with Client(lasting.path("control"), timeout=WAIT_SECONDS) as client:
        client.call("counters", [write] * 300)
        client.call("events", [write])
        with pytest.raises(Refusal):
            client.call("unknown", [write] * 3)
        with pytest.raises(Refusal):
            client.call("fdb-add", [write], mac=1, port=2)
        os.close(write)
        assert os.read(read, 1) == b""
    os.close(read)
    wait_until(lambda: len(list(table.iterdir())) == before, "nothing stays open")


def test_hundred_clients_and_hundred_that_leave(lasting: Switch) -> None:
    clients = []
    for _ in range(100):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(WAIT_SECONDS)
        sock.connect(str(lasting.path("control")))
        clients.append(sock)
    served = 0
    for sock in clients:
        try:
            sock.sendall(b'{"op": "counters"}\n')
            served += bool(sock.recv(1 << 16))
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert 32 <= served < 100
    for sock in clients:
        sock.close()
    wait_until(lambda: _answers(lasting), "it answers again")


def _answers(switch: Switch) -> bool:
    try:
        return bool(switch.call("counters"))
    except Refusal:
        return False
