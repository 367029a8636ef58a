"""Removes shared memory left behind by killed processes.

Fast DDS creates segments in /dev/shm for each process, 34 MB with config/fastdds.xml, which the process removes at its
end. After SIGKILL they remain; a process that was using a segment removes it, otherwise nobody does.
"""

import fcntl
import os
import re
import time
from contextlib import suppress
from pathlib import Path

FOLDER = Path('/dev/shm')
MIN_AGE = 10.0
"""Minimum age in seconds: a younger file may belong to a process that has not locked it yet."""
# Fast DDS 2 and 3: the owner holds a lock on the file of the same name with the suffix _el while it lives.
_LOCK = re.compile(r'(?:fastrtps|fastdds)_[0-9a-f]{16}_el')


def remove_orphans(folder: Path = FOLDER) -> int:
    """Remove the Fast DDS segments of this user whose owners have ended; returns their number.

    Processes that still use a segment keep it mapped.
    """
    if not folder.is_dir():
        return 0
    locks = [path for path in folder.iterdir() if _LOCK.fullmatch(path.name)]
    return sum(_remove(path) for path in locks)


def _remove(lock: Path) -> bool:
    with suppress(OSError):  # another process may be removing the same file
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
