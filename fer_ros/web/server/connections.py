"""Limits of the connections: how many, how long a client may take, and how much it may send before it is understood.

Connections that have sent an admitted request are counted apart from unauthenticated ones, so that no client without
access, whatever it does, takes a place from a user who is in. HTTP and WebSockets themselves are uvicorn's.
"""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

CONNECTION = 'fer_ros.connection'
"""Key of the `Connection` in the ASGI scope."""
LINGER = 1.0
"""Seconds for which what a refused client still sends is discarded: closing at once would discard the answer."""


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of the connections."""

    unauthenticated: int = 128
    """Maximum number of connections that have sent no admitted request."""
    unauthenticated_by_address: int = 32
    admitted: int = 256
    """Maximum number of the other connections."""
    admitted_by_address: int = 128
    head: int = 64 << 10
    """Maximum bytes of a request line with headers, and of everything else that is not content."""
    head_s: float = 10.0
    """Seconds in which request line and headers must be complete."""
    rest_s: float = 10.0
    """Seconds in which the rest of a request must arrive that was answered before its end."""
    stalled_s: float = 30.0
    """Seconds for which a client may leave a response unread."""


class Connection:
    """A connection; `Access` says for each request whether it is admitted."""

    def __init__(self, owner: 'Connections', transport: asyncio.Transport, address: str) -> None:
        self._owner = owner
        self.transport = transport
        self.address = address
        self.is_idle: Callable[[], bool] = lambda: True
        """Whether no request is being answered."""

    def admit(self, address: str) -> bool:
        """Count it among the admitted ones, as one of `address`; False if there are too many."""
        return self._owner.admit(self, party(address))

    def exclude(self) -> None:
        """Count it among the unauthenticated ones."""
        self._owner.exclude(self)


class _Pool:
    def __init__(self, most: int, by_address: int, exempt: Callable[[str], bool], busy_too: bool) -> None:
        self._most, self._by_address, self._exempt, self._busy_too = most, by_address, exempt, busy_too
        self._members: dict[Connection, str] = {}

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._members

    def add(self, connection: Connection, address: str) -> bool:
        """Add it; where there is no place, the oldest one that is idle, or `busy_too`, is closed.

        Returns:
            False if there is none.
        """
        counts = Counter(self._members.values())
        if counts[address] >= self._by_address and not self._exempt(address) and not self._make_room(address):
            return False
        if len(self._members) >= self._most and not any(map(self._make_room, [a for a, _ in counts.most_common()])):
            return False
        self._members[connection] = address
        return True

    def _make_room(self, address: str) -> bool:
        own = (connection for connection, owner in self._members.items() if owner == address)
        oldest = next((connection for connection in own if self._busy_too or connection.is_idle()), None)
        if oldest is None:
            return False
        self.remove(oldest)
        oldest.transport.abort()
        return True

    def remove(self, connection: Connection) -> None:
        self._members.pop(connection, None)


class Connections:
    """All connections of a server.

    Args:
        limits: limits.
        is_proxy: whether an address is that of a trusted proxy, behind which there are many clients.
    """

    def __init__(self, limits: ConnectionLimits, is_proxy: Callable[[str], bool] = lambda _: False) -> None:
        self.limits = limits
        # An unauthenticated request is answered at once or waits for its client: an old one is no loss.
        self._unauthenticated = _Pool(limits.unauthenticated, limits.unauthenticated_by_address, is_proxy,
                                      busy_too=True)
        self._admitted = _Pool(limits.admitted, limits.admitted_by_address, is_proxy, busy_too=False)
        self._by_transport: dict[asyncio.Transport, Connection] = {}

    def open(self, transport: asyncio.Transport, address: str) -> Connection | None:
        """The connection of `transport`, an unauthenticated one if it is new; None if there are too many."""
        if transport in self._by_transport:
            return self._by_transport[transport]
        connection = Connection(self, transport, party(address))
        if not self._unauthenticated.add(connection, connection.address):
            return None
        self._by_transport[transport] = connection
        return connection

    def close(self, transport: asyncio.Transport) -> None:
        """Forget a connection that has ended."""
        connection = self._by_transport.pop(transport, None)
        if connection is not None:
            self._unauthenticated.remove(connection)
            self._admitted.remove(connection)

    def admit(self, connection: Connection, address: str) -> bool:
        """As `Connection.admit`."""
        if connection not in self._admitted:
            if not self._admitted.add(connection, address):
                return False
            self._unauthenticated.remove(connection)
        return True

    def exclude(self, connection: Connection) -> None:
        """As `Connection.exclude`."""
        if connection in self._admitted:
            self._admitted.remove(connection)
            if not self._unauthenticated.add(connection, connection.address):
                connection.transport.abort()


def party(address: str) -> str:
    """Whose address it is: of IPv6 the network that one client can have for itself, otherwise the address."""
    try:
        parsed = ipaddress.ip_address(address.partition('%')[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((parsed, 64), strict=False))
        return str(parsed.ipv4_mapped)
    return str(parsed)


class _Deadline:
    """Ends a connection at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, end: Callable[[], None]) -> None:
        self._loop, self._end = loop, end
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """End it in so many seconds, unless that is due already."""
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, self._end)

    def clear(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class HttpConnection(HttpToolsProtocol):
    """uvicorn's connection, within limits.

    Args:
        guard: all connections of the server.
    """

    def __init__(self, *arguments, guard: Connections, **options) -> None:
        super().__init__(*arguments, **options)
        self._guard, self._limits = guard, guard.limits
        self._connection: Connection | None = None
        self._awaits_head = True
        self._complete = True
        """Whether the newest request has arrived in full."""
        self._unread = 0
        """Bytes since the last content or end of a head: how much the parser may hold."""
        self._refused = False
        self._discarded = 0
        self._client_due = _Deadline(self.loop, self._abort)
        self._reader_due = _Deadline(self.loop, self._abort)

    def _abort(self) -> None:
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start within the limits, or not at all."""
        super().connection_made(transport)
        self._connection = self._guard.open(transport, self.client[0] if self.client else '')
        if self._connection is None:
            transport.abort()
            return
        self._connection.is_idle = self._is_idle
        self._client_due.set(self._limits.head_s)

    def _is_idle(self) -> bool:
        answered = self.cycle is None or self.cycle.response_complete
        return self._awaits_head and answered and not self.transport.get_write_buffer_size()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._client_due.clear()
        self._reader_due.clear()
        self._guard.close(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse no more than the limits allow."""
        if self._refused:
            self._discarded += len(data)
            if self._discarded > self._limits.head:
                self.transport.pause_reading()
            return
        while data and not self._refused and not self.transport.is_closing():
            room = self._limits.head + 1 - self._unread
            part, data = data[:room], data[room:]
            if self._awaits_head:
                self._client_due.set(self._limits.head_s)
            self._unread += len(part)
            super().data_received(part)
            if self.transport.get_protocol() is not self:
                return  # a WebSocket now, on which clients wait for the answer before they send
            if self._unread > self._limits.head:
                self._refuse_head()

    def _refuse_head(self) -> None:
        self._refused = True
        if self.cycle is None or self.cycle.response_complete:
            text = b'Rejected: the headers are too large.'
            self.transport.write(b''.join([
                STATUS_LINE[431], b'content-type: text/plain; charset=utf-8\r\ncontent-length: ',
                str(len(text)).encode(), b'\r\nconnection: close\r\n\r\n', text]))
            self.transport.write_eof()
        self._client_due.clear()
        self._client_due.set(LINGER)

    def on_message_begin(self) -> None:
        """Tell the application which connection it is."""
        super().on_message_begin()
        self.scope[CONNECTION] = self._connection  # type: ignore[literal-required]

    def on_headers_complete(self) -> None:
        """From here on the application says how long a client may take."""
        self._client_due.clear()
        self._awaits_head = self._complete = False
        self._unread = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Content is bounded by the application."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next request."""
        self._client_due.clear()
        self._awaits_head = self._complete = True
        self._unread = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Do not wait for the rest of an answered request for ever."""
        super().on_response_complete()
        if not self._complete and not self.transport.is_closing():
            self._client_due.set(self._limits.rest_s)

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the WebSocket."""
        self._client_due.clear()
        self._reader_due.clear()
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever."""
        self._reader_due.set(self._limits.stalled_s)
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client reads."""
        self._reader_due.clear()
        super().resume_writing()


class SocketConnection(WSProtocol):
    """uvicorn's WebSocket, within limits; the application admits it or closes it at once.

    Args:
        guard: all connections of the server.
    """

    def __init__(self, *arguments, guard: Connections, **options) -> None:
        super().__init__(*arguments, **options)
        self._guard = guard
        self._reader_due = _Deadline(self.loop, lambda: self.transport.abort())

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take over the connection."""
        super().connection_made(transport)
        self._connection = self._guard.open(transport, self.client[0] if self.client else '')
        if self._connection is not None:
            self._connection.is_idle = lambda: False

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._reader_due.clear()
        self._guard.close(self.transport)
        super().connection_lost(exc)

    def handle_connect(self, event) -> None:
        """Tell the application which connection it is."""
        super().handle_connect(event)
        self.scope[CONNECTION] = self._connection  # type: ignore[literal-required]

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever."""
        self._reader_due.set(self._guard.limits.stalled_s)
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client reads."""
        self._reader_due.clear()
        super().resume_writing()
