"""Talking to QEMU: its machine protocol, of which seven commands are needed.

A line of JSON each way; QEMU greets, is told which capabilities are wanted (none), and answers each
command under its `id`, with events in between. `qemu.qmp` would do this as well, but brings asyncio
into every `show` for a few blocking calls, and is seldom released. QEMU serves one connection at a
time, so it is made for a moment only.

Source: docs/interop/qmp-spec.rst and qapi/ of QEMU.
"""

from __future__ import annotations

import json
import socket
import struct
from pathlib import Path
from typing import Any

from linkspan.control.client import connect
from linkspan.errors import Refusal

_LINE_BYTES = 1 << 20


class Qmp:
    """A connection to the QEMU whose socket is at `path`."""

    def __init__(self, path: Path, timeout: float = 2.0) -> None:
        """Connect and negotiate; `timeout` in seconds holds for each answer.

        Raises Missing when nobody listens there, Refusal when QEMU does not answer.
        """
        self._path = path
        self._sock = connect(path, timeout)
        self._received = bytearray()
        try:
            self._read()
            self.call("qmp_capabilities")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Qmp:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the next one in."""
        self._sock.close()

    @property
    def pid(self) -> int:
        """QEMU's process, as numbered where we are (SO_PEERCRED, unix(7))."""
        credentials = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("=iII", credentials)[0])

    def call(self, command: str, **arguments: Any) -> Any:
        """Carry out a command and return what it returns. Raises Refusal."""
        request = {"execute": command, "id": command, "arguments": arguments}
        line = json.dumps(request).encode() + b"\n"
        try:
            self._sock.sendall(line)
        except OSError as error:
            raise self._silence(command, error) from None
        while (answer := self._read(command)).get("id") != command:
            pass
        if "error" in answer:
            raise Refusal(f"QEMU refuses {command}: {answer['error'].get('desc')}")
        return answer["return"]

    def _read(self, command: str = "greeting") -> dict[str, Any]:
        while (end := self._received.find(b"\n")) < 0:
            try:
                data = self._sock.recv(1 << 16)
            except OSError as error:
                raise self._silence(command, error) from None
            if not data or len(self._received) > _LINE_BYTES:
                raise self._silence(command, "the connection was closed")
            self._received += data
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        try:
            value = json.loads(line)
        except ValueError as error:
            raise self._silence(command, error) from None
        return value if isinstance(value, dict) else {}

    def _silence(self, command: str, why: object) -> Refusal:
        return Refusal(f"{self._path.name}: QEMU does not answer {command}: {why}")
