"""What the other side of a connection over loopback does."""

import socket
from collections.abc import Iterable


def ended(client: socket.socket, within: float = 60.0) -> bool:
    """Whether the server ends the connection in time; what it sends before is discarded."""
    client.settimeout(within)
    try:
        while client.recv(1 << 16):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def still_open(clients: Iterable[socket.socket]) -> int:
    """How many of these connections the server has not ended."""
    count = 0
    for client in clients:
        client.setblocking(False)
        try:
            count += client.recv(1) != b''
        except BlockingIOError:
            count += 1
        except ConnectionError:
            pass
    return count
