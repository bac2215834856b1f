"""The server's side of a control socket inside somebody's selector loop.

The owner keeps one `selectors` selector for everything it waits for; this file adds the listening
socket and its connections to it and keeps their interest in writing up to date.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable

from linkspan.control.lines import Connection, Handler

CONNECTIONS = 64
"""Clients at one time; a further one is closed at once."""


class Server:
    """Accepts connections and feeds their requests to `handle`."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        listening: socket.socket,
        handle: Handler,
        closed: Callable[[Connection], None] = lambda connection: None,
    ) -> None:
        self._selector = selector
        self._listening = listening
        self._handle = handle
        self._closed = closed
        self.connections: dict[int, Connection] = {}
        selector.register(listening, selectors.EVENT_READ, self.accept)

    def accept(self, _: int) -> None:
        """Take a new client."""
        try:
            sock, _address = self._listening.accept()
        except OSError:
            return
        if len(self.connections) >= CONNECTIONS:
            sock.close()
            return
        self.adopt(sock)

    def adopt(self, sock: socket.socket) -> Connection:
        """Serve a client that is connected already."""
        connection = Connection(sock)
        number = connection.fileno()
        self.connections[number] = connection
        self._selector.register(
            connection,
            selectors.EVENT_READ,
            lambda events: self._serve(connection, number, events),
        )
        return connection

    def _serve(self, connection: Connection, number: int, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            connection.writable()
        if events & selectors.EVENT_READ and not connection.closed:
            connection.readable(self._handle)
        self.settle(connection, number)

    def settle(self, connection: Connection, number: int) -> None:
        """Bring the selector in line with what the connection waits for now."""
        if connection.closed:
            self._forget(connection, number)
            return
        write = selectors.EVENT_WRITE if connection.wants_to_write else 0
        key = self._selector.get_key(number)
        if key.events != selectors.EVENT_READ | write:
            self._selector.modify(number, selectors.EVENT_READ | write, key.data)

    def _forget(self, connection: Connection, number: int) -> None:
        # By now the number may be that of a client who came in the same round.
        if self.connections.get(number) is connection:
            del self.connections[number]
            self._selector.unregister(number)
            self._closed(connection)

    def broadcast(self, value: dict[str, object], members: set[Connection]) -> None:
        """Send one line to some of the clients."""
        for number, connection in list(self.connections.items()):
            if connection in members:
                connection.send(value)
                self.settle(connection, number)
