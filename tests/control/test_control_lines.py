"""The codec of control sockets: no bytes that a client sends can harm its server."""

from __future__ import annotations

import json
import os
import selectors
import socket
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkspan.control.client import Client
from linkspan.control.lines import LINE_BYTES, UNREAD_BYTES, Connection, RequestError, Value, listen
from linkspan.control.server import CONNECTIONS, Server
from linkspan.errors import Missing, Refusal


def echo(connection: Connection, request: Value, descriptors: list[int]) -> Value:
    """Give back what came, descriptors too."""
    if request["op"] == "no":
        raise RequestError("no is no")
    return {"request": request, "descriptors": descriptors}


@contextmanager
def connection_pair() -> Iterator[tuple[Connection, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    connection = Connection(ours)
    try:
        yield connection, theirs
    finally:
        connection.close()
        theirs.close()


@contextmanager
def serving(path: Path) -> Iterator[Server]:
    """A server in a thread; an exception in it fails the test."""
    selector = selectors.DefaultSelector()
    listening = listen(path)
    server = Server(selector, listening, echo)
    waker, woken = socket.socketpair()
    selector.register(woken, selectors.EVENT_READ, None)
    errors: list[BaseException] = []

    def loop() -> None:
        try:
            while True:
                for key, events in selector.select():
                    if key.data is None:
                        return
                    key.data(events)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield server
    finally:
        waker.close()
        thread.join(10)
        for connection in list(server.connections.values()):
            connection.close()
        for closing in (listening, woken, selector):
            closing.close()
    assert errors == []


def answers(theirs: socket.socket) -> list[Value]:
    data = b""
    theirs.setblocking(False)
    try:
        while part := theirs.recv(1 << 20):
            data += part
    except BlockingIOError:
        pass
    return [json.loads(line) for line in data.splitlines()]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
pieces = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([b"\n", b"{", b"}", b'{"op": "x"}\n', b'{"op": "no"}\n', b"[" * 50_000]),
    json_values.map(lambda value: json.dumps(value).encode() + b"\n"),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(pieces, max_size=12))
def test_any_bytes_get_an_answer_a_line_and_harm_nothing(parts: list[bytes]) -> None:
    with connection_pair() as (connection, theirs):
        for part in parts:
            theirs.sendall(part)
            for _ in range(1 + len(part) // 65536):
                connection.readable(echo)
        assert not connection.closed
        lines = b"".join(parts).count(b"\n")
        found = answers(theirs)
        assert len(found) == lines
        assert all(isinstance(answer["ok"], bool) for answer in found)
        assert all(answer["ok"] or answer["error"] for answer in found)


@settings(max_examples=50, deadline=None)
@given(st.lists(json_values, max_size=5), st.integers(1, 40))
def test_requests_cut_anywhere_are_read_whole(values: list[Value], size: int) -> None:
    data = b"".join(json.dumps({"op": "x", "value": value}).encode() + b"\n" for value in values)
    with connection_pair() as (connection, theirs):
        for start in range(0, len(data), size):
            theirs.sendall(data[start : start + size])
            connection.readable(echo)
        found = [answer["request"]["value"] for answer in answers(theirs)]
        assert json.dumps(found) == json.dumps(values)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b"[1, 2]",
        b'"op"',
        b"null",
        b'{"no-op": 1}',
        b'{"op": 1}',
        b'{"op": null}',
        b'{"op": ["snapshot"]}',
        b"\xff\xfe\x00\x01",
        b"{" * 2000,
        b"[" * 200_000,
        b'{"op": "x", "n": ' + b"9" * 5000 + b"}",
        b'{"op": "x", "n": NaN}',
        b'{"op": "x", "n": -Infinity}',
    ],
)
def test_line_that_is_no_request_is_answered_with_an_error(line: bytes) -> None:
    with connection_pair() as (connection, theirs):
        theirs.sendall(line + b'\n{"op": "after"}\n')
        for _ in range(5):
            connection.readable(echo)
        bad, good = answers(theirs)
        assert bad["ok"] is False
        assert bad["error"]
        assert good == {"ok": True, "request": {"op": "after"}}


def test_over_long_line_is_answered_and_ends_the_connection() -> None:
    with connection_pair() as (connection, theirs):
        sent = 0
        part = b"x" * 65536
        while not connection.closed:
            theirs.sendall(part)
            sent += len(part)
            connection.readable(echo)
            assert sent <= LINE_BYTES + len(part)
        (answer,) = answers(theirs)
        assert answer["ok"] is False
        assert str(LINE_BYTES) in answer["error"]


def test_client_that_never_reads_is_cut_off() -> None:
    with connection_pair() as (connection, _theirs):
        line = {"event": "x" * 10_000}
        for _ in range(2 * UNREAD_BYTES // 10_000):
            connection.send(line)
        assert connection.closed
        connection.send(line)  # harmless


def test_many_descriptors_arrive_in_one_call_and_come_back(tmp_path: Path) -> None:
    count = 600  # more than twice what one message holds
    read, write = os.pipe()
    given = [os.dup(read) for _ in range(count)]
    try:
        with serving(tmp_path / "s") as server, Client(tmp_path / "s") as client:
            answer, back = client.call_for_descriptors("x", given, text="y" * 3)
            (connection,) = server.connections.values()
            assert answer["request"] == {"op": "x", "text": "yyy"}
            assert len(back) == count
            assert not any(os.get_inheritable(descriptor) for descriptor in back)
            assert all(os.path.sameopenfile(descriptor, read) for descriptor in back)
            for descriptor in back:
                os.close(descriptor)
            assert connection.fileno() >= 0
    finally:
        for descriptor in (*given, read, write):
            os.close(descriptor)


def test_descriptors_that_come_are_not_inherited() -> None:
    with connection_pair() as (connection, theirs):
        read, write = os.pipe()
        got: list[int] = []

        def keep(_: Connection, request: Value, descriptors: list[int]) -> Value:
            got.extend(descriptors)
            return {}

        socket.send_fds(theirs, [b'{"op": "x"}\n'], [read])
        connection.readable(keep)
        assert len(got) == 1
        assert not os.get_inheritable(got[0])
        for descriptor in (*got, read, write):
            os.close(descriptor)


def test_descriptors_of_a_refused_request_are_closed() -> None:
    with connection_pair() as (connection, theirs):
        read, write = os.pipe()
        socket.send_fds(theirs, [b'{"op": "no"}\n'], [write])
        socket.send_fds(theirs, [b"garbage\n"], [write])
        os.close(write)
        for _ in range(2):
            connection.readable(echo)
        assert [answer["ok"] for answer in answers(theirs)] == [False, False]
        assert os.read(read, 1) == b""  # nobody holds the writing end any more
        os.close(read)


def test_descriptors_without_end_close_the_connection() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with connection_pair() as (connection, theirs):
        read, write = os.pipe()
        for _ in range(200):
            if connection.closed:
                break
            socket.send_fds(theirs, [b" "], [read] * 200)
            connection.readable(echo)
        assert connection.closed
        os.close(read)
        os.close(write)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_descriptors_wait_for_what_was_queued_before_them() -> None:
    with connection_pair() as (connection, theirs):
        read, write = os.pipe()
        big = {"event": "x" * 3_000_000}
        got = bytearray()

        def reads() -> None:
            while got.count(b"\n") < 2:
                data, descriptors, _, _ = socket.recv_fds(theirs, 1 << 16, 10)
                got.extend(data)
                for descriptor in descriptors:
                    os.close(descriptor)

        connection.send(big)
        thread = threading.Thread(target=reads)
        thread.start()
        connection.send({"ok": True}, [read])
        thread.join(10)
        first, second = (json.loads(line) for line in got.splitlines())
        assert (first, second) == (big, {"ok": True})
        os.close(read)
        os.close(write)


def test_socket_is_its_owners_alone(tmp_path: Path) -> None:
    with listen(tmp_path / "s"):
        mode = (tmp_path / "s").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_path_longer_than_an_address_works(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    with serving(folder / "s"), Client(folder / "s") as client:
        assert client.call("x")["request"] == {"op": "x"}


def test_nobody_there_is_said_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(Missing, match=r"nobody answers at .*absent"):
        Client(tmp_path / "absent")
    with pytest.raises(Missing, match="nobody answers at"):
        Client(tmp_path / "no-folder" / "absent")


def test_no_of_the_server_carries_its_words(tmp_path: Path) -> None:
    with serving(tmp_path / "s"), Client(tmp_path / "s") as client:
        with pytest.raises(Refusal, match="s refuses 'no': no is no"):
            client.call("no")
        assert client.call("yes")["request"] == {"op": "yes"}


def test_clients_beyond_the_limit_are_closed_and_the_others_served(tmp_path: Path) -> None:
    with serving(tmp_path / "s"):
        clients = [Client(tmp_path / "s", timeout=10) for _ in range(CONNECTIONS)]
        for client in clients:
            client.call("x")
        further = [Client(tmp_path / "s", timeout=10) for _ in range(36)]
        for client in further:
            with pytest.raises(Refusal):
                client.call("x")
            client.close()
        for client in clients:
            assert client.call("y")["request"] == {"op": "y"}
            client.close()
        for _ in range(CONNECTIONS):
            with Client(tmp_path / "s", timeout=10) as client:
                client.call("z")


def test_half_a_line_and_a_reset_end_quietly(tmp_path: Path) -> None:
    with serving(tmp_path / "s"):
        for data in (b"", b'{"op": ', b'{"op": "x"}', b'{"op": "x"}\n' * 1000, b"\x00" * 5000):
            with socket.socket(socket.AF_UNIX) as raw:
                raw.connect(str(tmp_path / "s"))
                raw.sendall(data)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with Client(tmp_path / "s", timeout=10) as client:
            assert client.call("x")["request"] == {"op": "x"}


def test_connection_closed_by_a_broadcast_leaves_its_number_to_the_next(tmp_path: Path) -> None:
    """Two ends in one round: a client is cut off, and a new one gets its descriptor's number."""
    selector = selectors.DefaultSelector()
    with listen(tmp_path / "s") as listening:
        server = Server(selector, listening, echo)
        first = socket.socket(socket.AF_UNIX)
        first.connect(str(tmp_path / "s"))
        server.accept(0)
        ((number, old),) = server.connections.items()
        stale = selector.get_key(number).data
        second = socket.socket(socket.AF_UNIX)
        second.connect(str(tmp_path / "s"))
        old.close()
        server.settle(old, number)
        server.accept(0)
        assert list(server.connections) == [number]
        stale(selectors.EVENT_READ)  # an event of the same round, meant for the old one
        assert list(server.connections) == [number]
        second.sendall(b'{"op": "x"}\n')
        for key, events in selector.select(10):
            key.data(events)
        assert b'"ok": true' in second.recv(1000)
        for closing in (first, second, server.connections[number], selector):
            closing.close()
