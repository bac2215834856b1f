"""JSON lines over a UNIX stream socket: the server's side.

One request is one line, one answer is one line: `{"ok": true, …}` or `{"ok": false, "error": …}`.
File descriptors travel beside the line that speaks of them (`descriptors`). A line longer
than `LINE_BYTES` or one that is not a JSON object gets an error line and harms nobody; the
connection stays usable after a malformed line and is closed after an oversized one, since where
the next line begins can't be known then.

A `Connection` never blocks: it is fed by the owner's selector loop, and a client
that does not read its answers is cut off once `UNREAD_BYTES` wait for it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from linkspan.control.descriptors import close_all, receive, send_with

LINE_BYTES: Final = 1 << 20
"""Longest request in bytes, like QEMU's QMP (qobject/json-lexer.c takes 64 MiB; ours are small)."""

UNREAD_BYTES: Final = 8 << 20
"""Answers in bytes that may wait for a client before it is cut off."""

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
        close_all(self._descriptors)
        self._descriptors = []

    def readable(self, handle: Handler) -> None:
        """Take what has come and answer every whole request in it."""
        try:
            data, descriptors = receive(self.sock)
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
            close_all(descriptors)
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
            send_with(self.sock, line, descriptors)
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
