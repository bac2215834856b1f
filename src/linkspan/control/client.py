"""The client's side of JSON lines over a UNIX stream socket (`lines` has the server's)."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from linkspan.control.descriptors import close_all, receive, send_with
from linkspan.control.lines import Value
from linkspan.errors import Missing, Refusal


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
        close_all(given)
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
            send_with(self._sock, line, descriptors)
        except (TimeoutError, OSError) as error:
            raise Unanswered(f"{self.path.name}: no answer to {op!r}: {error}") from None

    def _answer(self, op: str) -> tuple[Value, list[int]]:
        try:
            answer, given = self.read()
        except (TimeoutError, OSError) as error:
            raise Unanswered(f"{self.path.name}: no answer to {op!r}: {error}") from None
        if not answer.pop("ok", False):
            close_all(given)
            raise Refusal(f"{self.path.name} refuses {op!r}: {answer.get('error')}")
        return answer, given

    def read(self) -> tuple[Value, list[int]]:
        """Read one line: an answer, or an event after `{"op": "events"}`."""
        descriptors: list[int] = []
        while (end := self._received.find(b"\n")) < 0:
            data, given = receive(self._sock)
            descriptors += given
            if not data:
                close_all(descriptors)
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
