"""JSON lines over a UNIX stream socket: the codec, the server's side and the client's side.

One request is one line, one answer is one line: `{"ok": true, …}` or `{"ok": false, "error": …}`.
File descriptors travel beside the line that speaks of them (SCM_RIGHTS, unix(7)). A line longer
than `LINE_BYTES` or one that is not a JSON object gets an error line and harms nobody; the
connection stays usable after a malformed line and is closed after an oversized one, since where
the next line begins can't be known then.

The server's side (`Connection`) never blocks: it is fed by the owner's selector loop, and a client
that does not read its answers is cut off once `UNREAD_BYTES` wait for it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from linkspan.errors import Missing, Refusal

LINE_BYTES: Final = 1 << 20
"""Longest request in bytes, like QEMU's QMP (qobject/json-lexer.c takes 64 MiB; ours are small)."""

UNREAD_BYTES: Final = 8 << 20
"""Answers in bytes that may wait for a client before it is cut off."""

_DESCRIPTORS = 250
"""Descriptors in one message; the kernel's limit is SCM_MAX_FD, 253 (include/net/scm.h)."""

_UNCLAIMED_DESCRIPTORS = 4096
"""Descriptors that may wait for the line they belong to."""

Value = dict[str, Any]
Handler = Callable[["Connection", Value, list[int]], Value]


class RequestError(Exception):
    """A request that can't be carried out; its text goes to the client as the error line."""


class Connection:
    """One client of a server: bytes in, whole requests out, answers queued."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.closed = False
        self._received = bytearray()
        self._descriptors: list[int] = []
        self._unsent = bytearray()

    def fileno(self) -> int:
        return self.sock.fileno()

    @property
    def wants_to_write(self) -> bool:
        return bool(self._unsent)

    def close(self) -> None:
        self.closed = True
        self.sock.close()
        _close_all(self._descriptors)
        self._descriptors = []

    def readable(self, handle: Handler) -> None:
        """Take what has come and answer every whole request in it."""
        try:
            data, descriptors = _receive(self.sock)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._descriptors += descriptors
        if not data:
            self.close()
            return
        self._received += data
        while not self.closed and (end := self._received.find(b"\n")) >= 0:
            line = bytes(self._received[:end])
            del self._received[: end + 1]
            self._answer(line, handle)
        if len(self._received) > LINE_BYTES:
            self.send({"ok": False, "error": f"request longer than {LINE_BYTES} bytes"})
            self.close()
        if len(self._descriptors) > _UNCLAIMED_DESCRIPTORS:
            self.close()

    def _answer(self, line: bytes, handle: Handler) -> None:
        descriptors, self._descriptors = self._descriptors, []
        try:
            request = _parse(line)
            answer = {"ok": True, **handle(self, request, descriptors)}
        except RequestError as error:
            _close_all(descriptors)
            answer = {"ok": False, "error": str(error)}
        given = answer.pop("descriptors", ())
        self.send(answer, given)

    def send(self, value: Value, descriptors: Sequence[int] = ()) -> None:
        """Queue one line; descriptors go with it at once or not at all."""
        if self.closed:
            return
        line = json.dumps(value).encode() + b"\n"
        if descriptors:
            self._send_with_descriptors(line, descriptors)
            return
        self._unsent += line
        self.writable()
        if len(self._unsent) > UNREAD_BYTES:
            self.close()

    def _send_with_descriptors(self, line: bytes, descriptors: Sequence[int]) -> None:
        self.sock.settimeout(5)
        try:
            self.sock.sendall(self._unsent)
            self._unsent.clear()
            send_line(self.sock, line, descriptors)
            self.sock.setblocking(False)
        except OSError:
            self.close()

    def writable(self) -> None:
        """Send what waits, as far as the socket takes it."""
        try:
            sent = self.sock.send(self._unsent)
            del self._unsent[:sent]
        except BlockingIOError:
            return
        except OSError:
            self.close()


def _parse(line: bytes) -> Value:
    try:
        request = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"not a line of JSON: {error}") from None
    if not isinstance(request, dict) or not isinstance(request.get("op"), str):
        raise RequestError('a request is a JSON object with an "op", such as {"op": "snapshot"}')
    return request


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number in JSON")


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _receive(sock: socket.socket) -> tuple[bytes, list[int]]:
    """Bytes and descriptors; a program that we start later does not inherit these."""
    data, descriptors, _, _ = socket.recv_fds(sock, 1 << 16, _DESCRIPTORS)
    for descriptor in descriptors:
        # recv_fds of Python 3.11 takes flags, MSG_CMSG_CLOEXEC among them, and forgets them.
        os.set_inheritable(descriptor, False)
    return data, descriptors


def send_line(sock: socket.socket, line: bytes, descriptors: Sequence[int]) -> None:
    """Send a line whose last bytes carry the descriptors, so that they arrive before its end."""
    head, rest = line[:-1], list(descriptors)
    if not rest:
        sock.sendall(line)
        return
    batches = [rest[start : start + _DESCRIPTORS] for start in range(0, len(rest), _DESCRIPTORS)]
    step = max(1, len(head) // len(batches))
    for index, batch in enumerate(batches):
        last = index == len(batches) - 1
        part = line[index * step :] if last else line[index * step : (index + 1) * step]
        sent = socket.send_fds(sock, [part], batch)
        sock.sendall(part[sent:])


class Unanswered(Refusal):
    """A request got no answer; whether it was carried out is not known."""


class Client:
    """A blocking client: `call` sends one request and returns its answer."""

    def __init__(
        self, path: Path, timeout: float = 30.0, connected: socket.socket | None = None
    ) -> None:
        """Connect to the socket at `path`, or use one that is connected to its server already;
        `timeout` in seconds holds for every call.

        Raises Missing when nobody listens there.
        """
        self.path = path
        self._received = bytearray()
        self._sock = connected or connect(path, timeout)
        self._sock.settimeout(timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._sock.close()

    def call(self, op: str, descriptors: Sequence[int] = (), **fields: Any) -> Value:
        """Carry out one request. Raises Refusal with the server's words when it says no, and
        Unanswered when it says nothing."""
        answer, given = self.call_for_descriptors(op, descriptors, **fields)
        _close_all(given)
        return answer

    def call_for_descriptors(
        self, op: str, descriptors: Sequence[int] = (), **fields: Any
    ) -> tuple[Value, list[int]]:
        """As `call`, and return the descriptors that came with the answer; the caller owns them."""
        self._send(op, descriptors, fields)
        return self._answer(op)

    def _send(self, op: str, descriptors: Sequence[int], fields: Value) -> None:
        line = json.dumps({"op": op, **fields}).encode() + b"\n"
        try:
            send_line(self._sock, line, descriptors)
        except (TimeoutError, OSError) as error:
            raise Unanswered(f"{self.path.name}: no answer to {op!r}: {error}") from None

    def _answer(self, op: str) -> tuple[Value, list[int]]:
        try:
            answer, given = self.read()
        except (TimeoutError, OSError) as error:
            raise Unanswered(f"{self.path.name}: no answer to {op!r}: {error}") from None
        if not answer.pop("ok", False):
            _close_all(given)
            raise Refusal(f"{self.path.name} refuses {op!r}: {answer.get('error')}")
        return answer, given

    def read(self) -> tuple[Value, list[int]]:
        """Read one line: an answer, or an event after `{"op": "events"}`."""
        descriptors: list[int] = []
        while (end := self._received.find(b"\n")) < 0:
            data, given = _receive(self._sock)
            descriptors += given
            if not data:
                _close_all(descriptors)
                raise OSError("the connection was closed")
            self._received += data
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        value: Value = json.loads(line)
        return value, descriptors


def connect(path: Path, timeout: float) -> socket.socket:
    """A connection to the socket at `path`. Raises Missing when nobody listens there."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        # sun_path holds 108 bytes only; a path through a directory descriptor is always short.
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            sock.connect(f"/proc/self/fd/{directory}/{path.name}")
        finally:
            os.close(directory)
    except OSError as error:
        sock.close()
        raise Missing(f"nobody answers at {path}: {error.strerror or error}") from None
    return sock


def listen(path: Path) -> socket.socket:
    """A listening socket at `path` that only its owner may open (mode 0600)."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    mask = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        sock.bind(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.umask(mask)
        os.close(directory)
    # A client with a timeout does not wait for a place in the queue (unix(7), EAGAIN).
    sock.listen(1024)
    sock.setblocking(False)
    return sock
