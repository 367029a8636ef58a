"""Records faces as CSV in memory, to be downloaded."""

import io
import threading
import time
from collections.abc import Callable

from fer_ros.results.faces import FacesFrame
from fer_ros.results.faces_csv import FacesCsv

UNDO = 60.0
"""Seconds for which a deleted recording is kept."""


class CsvRecorder:
    """Rows of `fer_ros.results.faces_csv`; ``time_s`` is the stamp of the image, and ``frame`` counts from the start.

    It is empty, running, or stopped with data to download; only an empty one can be started, so that no data is lost
    accidentally. A deleted recording can be restored for `UNDO` seconds, unless another is started. Any thread may
    call.

    Args:
        max_bytes: it stops at this size.
        clock: seconds, monotonic.
    """

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes, self._clock = max_bytes, clock
        self._lock = threading.Lock()
        self._deleted: tuple[float, io.StringIO, bool, int, float] | None = None
        """Time of the deletion, and what was recorded."""
        self._clear()

    def _clear(self) -> None:
        self._text: io.StringIO | None = None
        self._running = self._full = False
        self._frames = self._rows = 0
        self._begin = self._end = 0.0

    def _forget(self) -> None:
        if self._deleted is not None and self._clock() - self._deleted[0] > UNDO:
            self._deleted = None

    def start(self) -> bool:
        """Start recording; False if there is a recording already."""
        with self._lock:
            if self._text is not None:
                return False
            self._deleted = None
            self._text = io.StringIO(newline='')
            self._csv = FacesCsv(self._text)
            self._running = True
            self._begin = self._clock()
            return True

    def add(self, frame: FacesFrame) -> None:
        """Record the faces of `frame` if it is running."""
        with self._lock:
            self._forget()
            if not self._running or self._text is None:
                return
            for face in frame.faces:
                self._csv.write(frame.stamp_ns, self._frames, face)
            self._frames += 1
            self._rows += len(frame.faces)
            if self._text.tell() >= self._max_bytes:
                self._full = True
                self._halt()

    def stop(self) -> None:
        """Stop recording; the data can be downloaded until `delete`."""
        with self._lock:
            if self._running:
                self._halt()

    def _halt(self) -> None:
        self._running = False
        self._end = self._clock()

    def delete(self) -> None:
        """Discard the recording; `restore` brings it back for a while."""
        with self._lock:
            if self._text is not None:
                if self._running:
                    self._halt()
                self._deleted = self._clock(), self._text, self._full, self._rows, self._end - self._begin
            self._clear()

    def restore(self) -> bool:
        """Bring back the recording that was deleted, stopped; False if there is none any more."""
        with self._lock:
            self._forget()
            if self._deleted is None or self._text is not None:
                return False
            _, self._text, self._full, self._rows, self._end = self._deleted
            self._deleted = None
            return True

    def csv(self) -> bytes | None:
        """The CSV file so far; None without a recording."""
        with self._lock:
            return None if self._text is None else self._text.getvalue().encode()

    def state(self) -> dict:
        """``state`` ('empty', 'running', 'stopped'), ``seconds``, ``rows``, and whether it is ``full``.

        ``restorable`` says whether a deleted one can be restored.
        """
        with self._lock:
            self._forget()
            state = 'empty' if self._text is None else 'running' if self._running else 'stopped'
            end = self._clock() if self._running else self._end
            return {'state': state, 'seconds': end - self._begin, 'rows': self._rows, 'full': self._full,
                    'restorable': self._deleted is not None}
