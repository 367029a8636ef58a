"""Shared memory that killed processes have left behind.

Fast DDS gives each process segments in /dev/shm, 34 MB with config/fastdds.xml, which hold memory until the process
removes them at its end. After SIGKILL they stay; a process that was reading from one removes it, else no one does.
"""

import fcntl
import os
import re
import time
from contextlib import suppress
from pathlib import Path

FOLDER = Path('/dev/shm')
MIN_AGE = 10.0
"""Seconds. A younger one may belong to a process that has just made the file and is about to lock it."""
# Of Fast DDS 2 and 3. The owner holds a lock on the file of the same name with _el for as long as it lives.
_LOCK = re.compile(r'(?:fastrtps|fastdds)_[0-9a-f]{16}_el')


def remove_orphans(folder: Path = FOLDER) -> int:
    """Remove this user's Fast DDS segments whose owners do not live any more; returns how many there were.

    Those who still read from one keep it until they let go of it.
    """
    if not folder.is_dir():
        return 0
    locks = [path for path in folder.iterdir() if _LOCK.fullmatch(path.name)]
    return sum(_remove(path) for path in locks)


def _remove(lock: Path) -> bool:
    with suppress(OSError):  # another process may be removing the same
        status = lock.stat()
        if status.st_uid != os.geteuid() or time.time() - status.st_mtime < MIN_AGE:
            return False
        file = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError, an OSError, while the owner lives
            lock.with_name(lock.name.removesuffix('_el')).unlink(missing_ok=True)
            lock.unlink()
            return True
        finally:
            os.close(file)
    return False
