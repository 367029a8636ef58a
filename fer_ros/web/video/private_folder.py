"""A temporary folder that nobody else can look into and that is gone after the program, however that ends."""

import atexit
import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = 'fer_ros_dashboard_'
_BEING_MADE = 'fer_ros_new_'


class PrivateFolder:
    """Mode 0700, of a random name, removed by `close` and when Python exits.

    What a killed program left behind is removed when the next one of the same user makes its folder: a folder in use
    is locked, and the kernel lets go of the lock whatever way its program ends.

    Args:
        parent: where it is made; by default the system's temporary directory.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, parent: Path | None = None) -> None:
        parent = Path(parent or tempfile.gettempdir())
        _remove_abandoned(parent)
        # Under a name that is not searched for until it is locked.
        made = Path(tempfile.mkdtemp(prefix=_BEING_MADE, dir=parent))
        self._lock: int | None = _lock(made)
        self.path = made.with_name(PREFIX + made.name.removeprefix(_BEING_MADE))
        made.rename(self.path)
        atexit.register(self.close)

    def close(self) -> None:
        """Remove it with all that is in it."""
        if self._lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = None
            atexit.unregister(self.close)


def _lock(folder: Path) -> int | None:
    """An open, locked descriptor of `folder`; None when another program holds it, or it is not ours."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.fstat(descriptor)
        if found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o700:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f'{PREFIX}*'):
        with suppress(OSError):  # removed by another program meanwhile, or not ours to open
            descriptor = _lock(folder)
            if descriptor is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(descriptor)
