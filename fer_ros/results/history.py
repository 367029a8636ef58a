"""The faces of the last seconds, or of a whole recording: the data of the valence plot."""

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fer_ros.emotions import EMOTIONS
from fer_ros.results.faces import FaceEmotion, FacesFrame

Outcome = Literal['added', 'late', 'restarted']

LATE = 1.0
"""Seconds: a stamp up to this much older than the newest is out of order; an older one starts a new time line."""

SAMPLE = np.dtype([('stamp_ns', 'i8'), ('frame', 'i8'), ('valence', 'f4'), ('raw_valence', 'f4'), ('emotion', 'u1'),
                   ('confidence', 'f4'), ('box', 'f4', 4), ('probabilities', 'f4', len(EMOTIONS)), ('quality', 'f4')])
"""One face in one frame; `frame` counts all frames, including those without a face; `emotion` indexes `EMOTIONS`."""


@dataclass(frozen=True)
class FaceSeries:
    """The samples of one face in temporal order."""

    face_id: str
    first_seen_ns: int
    """Stamp of the first sighting, which may be older than the first sample kept."""
    samples: np.ndarray
    """Array of dtype `SAMPLE`, not empty: a read-only view that does not change while the history grows."""

    @property
    def life(self) -> float:
        """Seconds from the first to the last time that the face was seen."""
        return int(self.samples['stamp_ns'][-1] - self.first_seen_ns) * 1e-9


def breaks(samples: np.ndarray, longest_step: int) -> np.ndarray:
    """Where the line of a face has gaps.

    Returns:
        Indices (int64) of the `samples` that follow frames without the face, or that are more than `longest_step` ns
        later than the previous sample.
    """
    return np.flatnonzero((np.diff(samples['frame']) > 1) | (np.diff(samples['stamp_ns']) > longest_step)) + 1


class FacesHistory:
    """Keeps the faces of the last `seconds`, measured by the image stamps.

    A frame that is not newer than the newest one is skipped, so that samples are always in order. A stamp that is more
    than `LATE` older than the newest (a recording that restarts, a simulation that is reset) starts a new history,
    since two time lines cannot share an axis. A frame far ahead discards everything older than `seconds`, as a pause
    would.

    A sample takes about 80 bytes; at most the newest `max_samples` samples are kept. Any thread may read while one
    adds.

    Args:
        seconds: length of the history; `math.inf` keeps everything.
        max_samples: limit over all faces.
    """

    def __init__(self, seconds: float = math.inf, max_samples: float = math.inf) -> None:
        self.seconds = seconds
        self._max_samples = max_samples
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._faces: dict[str, _Face] = {}
        self._stamps = _Rows(np.dtype('i8'))
        self._frame = 0
        self._last: FacesFrame | None = None

    def add(self, frame: FacesFrame) -> Outcome:
        """Add a frame; 'late' means that it was skipped, 'restarted' that everything before it was discarded.

        Raises:
            ValueError: the emotion of a face is not one of `EMOTIONS`; nothing was added.
        """
        emotions = [EMOTIONS.index(face.emotion) for face in frame.faces]
        with self._lock:
            outcome: Outcome = 'added'
            if self._last is not None and frame.stamp_ns <= self._last.stamp_ns:
                if self._last.stamp_ns - frame.stamp_ns <= LATE * 1e9:
                    return 'late'
                self._clear()
                outcome = 'restarted'
            self._last = frame
            self._stamps.append(frame.stamp_ns)
            for face, emotion in zip(frame.faces, emotions, strict=True):
                kept = self._faces.get(face.face_id)
                if kept is None:
                    kept = self._faces[face.face_id] = _Face(frame.stamp_ns)
                kept.rows.append((frame.stamp_ns, self._frame, face.valence, face.raw_valence,
                                  emotion, face.confidence, face.box, face.probabilities, face.quality))
            self._frame += 1
            self._trim()
            return outcome

    def _trim(self) -> None:
        if self.seconds != math.inf:
            self._drop_before(self._stamps.rows[-1] - int(self.seconds * 1e9))
        samples = sum(len(face.rows) for face in self._faces.values())
        if samples > self._max_samples:
            # A tenth at a time, so that the search is rare.
            stamps = np.concatenate([face.rows.rows['stamp_ns'] for face in self._faces.values()])
            surplus = samples - int(0.9 * self._max_samples)
            self._drop_before(int(np.partition(stamps, surplus)[surplus]))

    def _drop_before(self, stamp_ns: int) -> None:
        self._stamps.drop(int(np.searchsorted(self._stamps.rows, stamp_ns)))
        for face_id, face in list(self._faces.items()):
            face.rows.drop(int(np.searchsorted(face.rows.rows['stamp_ns'], stamp_ns)))
            if not len(face.rows):
                del self._faces[face_id]

    @property
    def last(self) -> FacesFrame | None:
        """The newest frame."""
        return self._last

    def stamps(self) -> np.ndarray:
        """Stamps in ns (int64) of all frames kept, including those without a face, in order; a read-only view."""
        with self._lock:
            return self._stamps.rows

    @property
    def first(self) -> int:
        """Number of the first frame kept, as `frame` of the samples counts."""
        with self._lock:
            return self._frame - len(self._stamps)

    def series(self) -> list[FaceSeries]:
        """The faces kept, in order of their first appearance."""
        with self._lock:
            return [FaceSeries(face_id, face.first_seen_ns, face.rows.rows) for face_id, face in self._faces.items()]

    def entries(self) -> Iterator[tuple[int, int, FaceEmotion]]:
        """(frame number, stamp in ns, face) of every sample, ordered by frame, then by first appearance of the face."""
        series = self.series()
        if not series:
            return
        samples = np.concatenate([s.samples for s in series])
        owner = np.repeat(np.arange(len(series)), [len(s.samples) for s in series])
        for index in np.lexsort((owner, samples['frame'])):
            s = samples[index].item()
            x, y, width, height = map(float, s[6])
            yield s[1], s[0], FaceEmotion(series[owner[index]].face_id, (x, y, width, height), tuple(map(float, s[7])),
                                          EMOTIONS[s[4]], s[5], s[2], s[3], s[8])


class _Face:
    def __init__(self, first_seen_ns: int) -> None:
        self.first_seen_ns = first_seen_ns
        self.rows = _Rows(SAMPLE)


class _Rows:
    """A growing array whose beginning can be dropped. Written rows never move, so views remain valid."""

    def __init__(self, dtype: np.dtype) -> None:
        self._buffer = np.empty(64, dtype)
        self._start = self._end = 0

    def __len__(self) -> int:
        return self._end - self._start

    @property
    def rows(self) -> np.ndarray:
        view = self._buffer[self._start:self._end]
        view.flags.writeable = False
        return view

    def append(self, row) -> None:
        if self._end == len(self._buffer):
            kept = self._buffer[self._start:]
            self._buffer = np.empty(max(64, 2 * len(kept)), kept.dtype)  # a new one: views may hold the old
            self._buffer[:len(kept)] = kept
            self._start, self._end = 0, len(kept)
        self._buffer[self._end] = row
        self._end += 1

    def drop(self, count: int) -> None:
        self._start += count
