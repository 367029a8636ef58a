"""A ROS domain for this process alone, also among test suites that run at the same time."""

import fcntl
import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

# Domains up to 101 do not overlap with the ephemeral ports of Linux.
DOMAINS = range(20, 100)
_ports = list(range(200))


def free_port() -> int:
    """A TCP port of 127.0.0.1 that no program takes before the test does.

    Those that the system gives out for port 0 it may give to another once they are closed: these are below them, and
    only of this process by its domain.
    """
    first = 10_000 + 200 * int(os.environ['ROS_DOMAIN_ID'])
    while _ports:
        port = first + _ports.pop(0)
        with socket.socket() as tried, suppress(OSError):
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(('127.0.0.1', port))
            return port
    raise RuntimeError(f'all ports from {first} to {first + 199} are in use')


def reserve() -> int:
    """A domain id that no other process has reserved; it is released when this process ends."""
    first = os.getpid() % len(DOMAINS)
    for domain in (*DOMAINS[first:], *DOMAINS[:first]):
        path = Path(tempfile.gettempdir()) / f'fer_ros_test_domain_{domain}'
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except PermissionError:  # of another user
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held as long as the descriptor is open
        except BlockingIOError:
            os.close(descriptor)
            continue
        return domain
    raise RuntimeError(f'all ROS domains from {DOMAINS[0]} to {DOMAINS[-1]} are in use by other tests')
