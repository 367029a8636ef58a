"""Records faces as CSV, and the images with their boxes as video, to disk."""

import math
import os
import shutil
import threading
from array import array
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import cv2
import numpy as np

from fer_ros.atomic_files import write_file
from fer_ros.media.file_names import without_errno
from fer_ros.media.image_decoding import ConversionError
from fer_ros.media.video_writer import VideoWriter
from fer_ros.results.faces import FacesFrame
from fer_ros.results.faces_csv import FacesCsv
from fer_ros.web.live.recording_files import CSV, FRAGMENTS, MARKERS, RecordingFiles
from fer_ros.web.notes import Marker, Notes, markers_csv
from fer_ros.web.texts import Recordings
from fer_ros.web.video.uploads import RESERVE

ABSOLUTE = 'stamp_s'
"""Last column: stamp of the image in seconds."""
LARGEST_STEP = 60.0
"""Seconds from one stamp to the next that are taken for time; beyond, and backwards, the clock was set."""
MOST_WAITING = 3000
"""Maximum number of results that wait for the disk."""
PERIOD = 0.25
"""Seconds between two looks at the limits."""
SYNC_PERIOD = 5.0
"""Seconds after which what was written survives even a power failure."""


@dataclass(frozen=True)
class RecordingLimits:
    """At which a recording ends by itself."""

    size: int
    """Bytes of CSV and video together."""
    seconds: float
    rate: float
    """Maximum frames of the video per second."""
    width: int
    """Maximum width of the video in pixels."""
    reserve: int = RESERVE
    """Bytes of the disk that are left free."""


class LiveRecorder:
    """At most one recording at a time, shared by all browsers, written by a thread of its own.

    ``time_s`` counts from the first result of the recording, and so does the time of the video. Any thread may call;
    what ROS reports waits for nothing.

    Args:
        folder: where recordings are kept.
        limits: at which a recording ends by itself.
        clock: seconds, monotonic.
    """

    def __init__(self, folder: Path, limits: RecordingLimits, clock: Callable[[], float] = monotonic) -> None:
        self.files = RecordingFiles(folder, clock)
        self._limits, self._clock = limits, clock
        self._lock = threading.Lock()
        self._current: _Current | None = None

    def start(self, video: bool) -> str:
        """Start recording, unless one runs; why that is not possible, or an empty text."""
        with self._lock:
            if self._current is not None and self._current.is_alive():
                return ''
            try:
                self.files.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                if shutil.disk_usage(self.files.folder).free < self._limits.reserve:
                    return Recordings.disk.format(gigabytes=self._limits.reserve / (1 << 30))
                path, descriptor = self.files.create()
            except OSError as error:
                return Recordings.folder_problem.format(problem=without_errno(error))
            self._current = _Current(self.files, path, descriptor, self._limits, self._clock, video)
            self._current.start()
            return ''

    def add(self, frame: FacesFrame) -> None:
        """Record the faces of `frame` if a recording runs."""
        current = self._current
        if current is not None:
            current.add(frame)

    def picture(self, stamp_ns: int, image: Callable[[], np.ndarray]) -> None:
        """Record an image if a recording with video runs; it is left out if the next one comes before it is written.

        Args:
            stamp_ns: stamp in nanoseconds.
            image: decodes it to uint8 (H, W, 3) BGR.
        """
        current = self._current
        if current is not None:
            current.picture(stamp_ns, image)

    def mark(self, number: int, stamp_ns: int, text: str) -> None:
        """Set the marker `number` at a stamp in ns in the recording that runs, unless that is before its begin."""
        if self._current is not None:
            self._current.mark(number, stamp_ns, text)

    def unmark(self, number: int) -> None:
        """Remove a marker from the recording that runs."""
        if self._current is not None:
            self._current.mark(number, 0, None)

    @property
    def wants_pictures(self) -> bool:
        """Whether a recording with video runs."""
        current = self._current
        return current is not None and current.video and not current.ending

    def stop(self) -> None:
        """Stop recording; the files are completed in the background."""
        if self._current is not None:
            self._current.end()

    def state(self) -> dict:
        """``state`` ('empty', 'running' or 'finishing'), what was written so far, and the ``list`` of recordings."""
        current = self._current
        running = {'state': 'empty', 'told': ''} if current is None else current.state()
        return {**running, 'restorable': self.files.restorable, 'list': [
            {'name': found.name, 'seconds': round(found.seconds, 1), 'megabytes': round(found.size / 1e6, 1),
             'video': found.video, 'markers': found.markers} for found in self.files.list()]}

    def close(self) -> None:
        """End the recording that runs and complete its files."""
        with self._lock:
            if self._current is not None:
                self._current.end()
                self._current.join()
        self.files.close()


class _Current(threading.Thread):
    """The recording that runs."""

    def __init__(self, files: RecordingFiles, path: Path, descriptor: int, limits: RecordingLimits,
                 clock: Callable[[], float], video: bool) -> None:
        super().__init__(name='recording')
        self._files, self._path, self._descriptor = files, path, descriptor
        self._limits, self._clock, self.video = limits, clock, video
        self._condition = threading.Condition()
        self._frames: deque[tuple[float, FacesFrame]] = deque()
        """Time of receipt, and the faces."""
        self._picture: tuple[int, Callable[[], np.ndarray]] | None = None
        self._times = _Times()
        self._marks: deque[tuple[int, int, str | None]] = deque()
        """Number, stamp and text of markers to be set, or without a text to be removed."""
        self._markers: dict[int, Marker] = {}
        self._stamps, self._written = array('q'), array('d')
        """Of all frames written: stamp in ns, and time in seconds."""
        self._begin = clock()
        self._seconds = 0.0
        self._rows = self._number = self._pictures = self._lost = self._size = 0
        self._shown = -1.0
        self._told = ''
        self.ending = False

    # From other threads

    def add(self, frame: FacesFrame) -> None:
        with self._condition:
            if self.ending:
                return
            if len(self._frames) == MOST_WAITING:
                self._lost += 1
            else:
                self._frames.append((self._clock(), frame))
            self._condition.notify()

    def picture(self, stamp_ns: int, image: Callable[[], np.ndarray]) -> None:
        with self._condition:
            if self.video and not self.ending:
                self._picture = stamp_ns, image
                self._condition.notify()

    def mark(self, number: int, stamp_ns: int, text: str | None) -> None:
        with self._condition:
            if not self.ending:
                self._marks.append((number, stamp_ns, text))
                self._condition.notify()

    def end(self, why: str = '') -> None:
        with self._condition:
            if not self.ending:
                self.ending, self._told = True, why
                self._seconds = self._clock() - self._begin
            self._condition.notify()

    def state(self) -> dict:
        with self._condition:
            alive = self.is_alive()
            seconds = self._seconds if self.ending else self._clock() - self._begin
            return {'state': 'empty' if not alive else 'finishing' if self.ending else 'running',
                    'seconds': round(seconds, 1), 'rows': self._rows, 'pictures': self._pictures,
                    'megabytes': round(self._size / 1e6, 1), 'lost': self._lost, 'video': self.video,
                    'told': self._told}

    # The thread itself

    def run(self) -> None:
        try:
            self._write()
        except OSError as error:
            self.end(Recordings.stopped.format(problem=without_errno(error)))
        finally:
            self.end()
            problem = self._files.complete(self._path)
            os.close(self._descriptor)
            if problem:
                self._tell(Recordings.video_problem.format(problem=problem))

    def _write(self) -> None:
        path = self._path / FRAGMENTS
        writer = VideoWriter(path, self._limits.rate, path, longest_gap=math.inf, fragmented=True)
        with (self._path / CSV).open('x', newline='', encoding='utf-8') as file:
            csv = FacesCsv(file, (ABSOLUTE,))
            synced = self._clock()
            while True:
                with self._condition:
                    if not (self._frames or self._picture or self._marks or self.ending):
                        self._condition.wait(PERIOD)
                    frames, self._frames = self._frames, deque()
                    picture, self._picture = self._picture, None
                    marks, self._marks = self._marks, deque()
                    ending = self.ending
                for arrival, frame in frames:
                    self._write_faces(csv, arrival, frame)
                file.flush()
                if marks:
                    self._write_markers(marks)
                if picture is not None and self.video:
                    self._write_picture(writer, *picture)
                if ending:
                    break
                if self._clock() - synced > SYNC_PERIOD:
                    synced = self._clock()
                    os.fsync(file.fileno())
                self._look(path)
        if self.video:
            try:
                writer.close()
            except OSError as error:
                self._tell(Recordings.video_problem.format(problem=without_errno(error)))
            if not self._pictures:
                self._tell(Recordings.no_pictures)

    def _write_faces(self, csv: FacesCsv, arrival: float, frame: FacesFrame) -> None:
        time_ns = self._times.of_frame(frame.stamp_ns, arrival)
        seconds, micros = divmod((frame.stamp_ns + 500) // 1000, 1_000_000)
        for face in frame.faces:
            csv.write(time_ns, self._number, face, (f'{seconds}.{micros:06d}',))
        self._stamps.append(frame.stamp_ns)
        self._written.append(time_ns * 1e-9)
        self._number += 1
        self._rows += len(frame.faces)

    def _write_markers(self, marks: Iterable[tuple[int, int, str | None]]) -> None:
        """Take over the changes, and write all markers again: there are few."""
        for number, stamp_ns, text in marks:
            # The last frame that is not later; stamps ascend but where the clock was set.
            frame = next((i for i in reversed(range(len(self._stamps))) if self._stamps[i] <= stamp_ns), None)
            if text is None:
                self._markers.pop(number, None)
            elif frame is not None:
                self._markers[number] = Marker(number, self._written[frame], text)
        path = self._path / MARKERS
        if self._markers:
            ordered = tuple(sorted(self._markers.values(), key=lambda one: (one.time_s, one.number)))
            write_file(path, markers_csv(Notes(ordered), np.array(self._written)).encode())
        else:
            path.unlink(missing_ok=True)

    def _write_picture(self, writer: VideoWriter, stamp_ns: int, image: Callable[[], np.ndarray]) -> None:
        time = self._times.of_picture(stamp_ns)
        if time is None or time <= self._shown:
            return
        try:
            shown = image()
        except ConversionError:
            return
        height, width = shown.shape[:2]
        if width > self._limits.width:
            size = self._limits.width, max(1, round(height * self._limits.width / width))
            shown = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
        try:
            if not writer.frames:
                writer.add(shown, 0.0)  # so that both files have the same time
            writer.add(shown, time)
        except OSError as error:  # the CSV goes on
            self.video = False
            self._tell(Recordings.video_problem.format(problem=without_errno(error)))
        self._shown, self._pictures = time, writer.frames

    def _look(self, video: Path) -> None:
        """End at a limit."""
        self._size = sum(path.stat().st_size for path in (self._path / CSV, video) if path.exists())
        if self._size >= self._limits.size:
            self.end(Recordings.full)
        elif self._clock() - self._begin >= self._limits.seconds:
            self.end(Recordings.long)
        elif shutil.disk_usage(self._path).free < self._limits.reserve:
            self.end(Recordings.disk_full.format(gigabytes=self._limits.reserve / (1 << 30)))

    def _tell(self, text: str) -> None:
        with self._condition:
            self._told = f'{self._told} {text}'.strip()


class _Times:
    """Time since the first result: that of the stamps, but where the clock was set, that of the receipt."""

    def __init__(self) -> None:
        self._base: int | None = None
        self._last, self._arrival = 0, 0.0

    def of_frame(self, stamp_ns: int, arrival: float) -> int:
        """Nanoseconds."""
        if self._base is None:
            self._base = stamp_ns
        elif not 0 <= stamp_ns - self._last <= LARGEST_STEP * 1e9:
            self._base += stamp_ns - self._last - round((arrival - self._arrival) * 1e9)
        self._last, self._arrival = stamp_ns, arrival
        return stamp_ns - self._base

    def of_picture(self, stamp_ns: int) -> float | None:
        """Seconds; None if the image does not belong to the results written last."""
        if self._base is None or abs(stamp_ns - self._last) > 1e9 or stamp_ns < self._base:
            return None
        return (stamp_ns - self._base) * 1e-9
