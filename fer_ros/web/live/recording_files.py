"""The recordings of the tab Live on disk: a folder for each, which outlives the program."""

import fcntl
import os
import re
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fer_ros.media.fragments import make_whole
from fer_ros.media.pyav import PyAvMissing

CSV, VIDEO, MARKERS, FRAGMENTS = 'faces.csv', 'video.mp4', 'markers.csv', 'fragments.mp4'
"""Names of the files of a recording: the last is the video while it is written."""
UNDO = 60.0
"""Seconds for which a deleted recording is kept."""
MOST_LISTED = 20
"""Maximum number of recordings on the page: the newest."""
_NAME = re.compile(r'\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(_\d{1,3})?', re.ASCII)
_TAIL = 4096
"""Bytes at the end of a CSV in which its last row is looked for."""


@dataclass(frozen=True)
class Recording:
    """A recording that is complete."""

    name: str
    """Local time of its start."""
    seconds: float
    """Length."""
    size: int
    """Bytes of all files."""
    video: bool
    """Whether there is one."""
    markers: bool = False
    """Whether there are any."""


class RecordingFiles:
    """The folder with all recordings. Any thread may call.

    What is there already is listed, and completed where a program was killed, by a thread of its own. A folder that is
    being recorded to is locked, and the kernel releases the lock however the program ends.

    Args:
        folder: need not exist.
        clock: seconds, monotonic.
    """

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self.folder, self._clock = folder, clock
        self._lock = threading.Lock()
        self._known: dict[str, Recording] = {}
        self._deleted: tuple[float, Recording] | None = None
        """Time of the deletion, and what was deleted; its files are still there."""
        self._completing = threading.Thread(target=self._complete, args=(self._folders(),), name='recordings')
        self._completing.start()

    def _folders(self) -> list[Path]:
        with suppress(OSError):
            return [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()
                    and not path.is_symlink()]
        return []

    def _complete(self, folders: list[Path]) -> None:
        for path in sorted(folders, reverse=True):
            with suppress(OSError):  # another program records to it
                descriptor = lock(path)
                try:
                    self.complete(path)
                finally:
                    os.close(descriptor)

    def complete(self, path: Path) -> str:
        """Make the video of a recording that has ended whole, and list it; what was wrong with the video, or empty."""
        problem = ''
        if (path / FRAGMENTS).exists():
            try:
                make_whole(path / FRAGMENTS, path / VIDEO)
            except (OSError, PyAvMissing) as error:
                problem = getattr(error, 'strerror', None) or str(error)
                with suppress(OSError):  # it can be played as it is
                    (path / FRAGMENTS).rename(path / VIDEO)
        self._learn(path)
        return problem

    def _learn(self, path: Path) -> None:
        try:
            size = sum(file.stat().st_size for file in path.iterdir())
            found = Recording(path.name, _length(path / CSV), size, (path / VIDEO).exists(),
                              (path / MARKERS).exists())
        except OSError:  # removed by somebody, or not readable
            return
        with self._lock:
            self._known[path.name] = found

    def create(self) -> tuple[Path, int]:
        """A new folder, readable by this user only, and an open descriptor that locks it. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f'{datetime.now():%Y-%m-%d_%H-%M-%S}'
        for path in (self.folder / (f'{name}_{number}' if number else name) for number in range(1000)):
            with suppress(FileExistsError):
                path.mkdir(mode=0o700)
                return path, lock(path)
        raise OSError(f'{self.folder} has too many recordings')

    def list(self) -> list[Recording]:
        """The newest recordings, the newest first."""
        with self._lock:
            return sorted(self._known.values(), key=lambda found: found.name, reverse=True)[:MOST_LISTED]

    def file(self, name: str, kind: str) -> Path | None:
        """The file `CSV`, `VIDEO` or `MARKERS` of a recording; None if there is none."""
        with self._lock:
            known = name in self._known and kind in (CSV, VIDEO, MARKERS)
        path = self.folder / name / kind
        return path if known and path.is_file() else None

    def delete(self, name: str) -> None:
        """Take a recording from the list; `restore` brings it back for a while."""
        with self._lock:
            found = self._known.pop(name, None)
        if found is not None:
            self._remove_deleted()
            self._deleted = self._clock(), found

    def restore(self) -> bool:
        """Bring back the recording that was deleted last; False if that was too long ago."""
        if not self.restorable:
            return False
        with self._lock:
            deleted, self._deleted = self._deleted, None
            if deleted is not None:
                self._known[deleted[1].name] = deleted[1]
            return deleted is not None

    @property
    def restorable(self) -> bool:
        """Whether a deleted recording can be restored; removes it when that was too long ago."""
        if self._deleted is not None and self._clock() - self._deleted[0] > UNDO:
            self._remove_deleted()
        return self._deleted is not None

    def _remove_deleted(self) -> None:
        with self._lock:
            deleted, self._deleted = self._deleted, None
        if deleted is not None:
            shutil.rmtree(self.folder / deleted[1].name, ignore_errors=True)

    def close(self) -> None:
        """Remove what was deleted, and wait until nothing is written any more."""
        self._completing.join()
        self._remove_deleted()


def lock(folder: Path) -> int:
    """An open descriptor that locks `folder`. Raises OSError, BlockingIOError if another program holds it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _length(path: Path) -> float:
    """Seconds of a recording, from the last whole row of its CSV. Raises OSError."""
    with path.open('rb') as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        rows = file.read().split(b'\n')[:-1]
    try:
        return float(rows[-1].split(b',')[0])
    except (IndexError, ValueError):  # nothing but the header
        return 0.0
