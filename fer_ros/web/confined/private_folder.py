"""A private temporary folder that is removed even if the program is killed."""

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
    """A folder of mode 0700 with a random name, removed by `close` and when Python exits.

    A folder left behind by a killed program is removed when the next program of the same user creates its own: a folder
    in use is locked, and the kernel releases the lock however its program ends.

    Args:
        parent: parent folder; by default the temporary directory of the system.

    Raises:
        OSError: it cannot be created.
    """

    def __init__(self, parent: Path | None = None) -> None:
        parent = Path(parent or tempfile.gettempdir())
        _remove_abandoned(parent)
        # Created under a name that is not searched for until it is locked.
        made = Path(tempfile.mkdtemp(prefix=_BEING_MADE, dir=parent))
        self._lock: int | None = _lock(made)
        self.path = made.with_name(PREFIX + made.name.removeprefix(_BEING_MADE))
        made.rename(self.path)
        atexit.register(self.close)

    def close(self) -> None:
        """Remove the folder with its content."""
        if self._lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = None
            atexit.unregister(self.close)


def _lock(folder: Path) -> int | None:
    """An open, locked descriptor of `folder`; None if another program holds it, or it belongs to another user."""
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
        with suppress(OSError):  # removed by another program meanwhile, or of another user
            descriptor = _lock(folder)
            if descriptor is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(descriptor)
