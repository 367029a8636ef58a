"""A ROS domain for this process alone, also among test suites that run at the same time."""

import fcntl
import os
import tempfile
from pathlib import Path

# Domains up to 101 do not overlap with the ephemeral ports of Linux.
DOMAINS = range(20, 100)


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
