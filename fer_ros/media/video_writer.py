"""Writes frames with stamps to a video file."""

import os
from pathlib import Path

import cv2
import numpy as np

from fer_ros.atomic_files import partial
from fer_ros.media.file_names import library_name

LONGEST_GAP = 5.0
"""Seconds; longer pauses between two frames are cut."""
_READER_OPTIONS = 'OPENCV_FFMPEG_CAPTURE_OPTIONS'


class VideoWriter:
    """Writes an .mp4 file (MPEG-4 Part 2) whose timing follows the stamps, even if frames arrive irregularly.

    The file appears under its name when the writer is closed.

    Args:
        path: path of the file.
        rate: frames per second of the file.
        temporary: path of the file until it is complete; by default `partial` of `path`.
    """

    def __init__(self, path: Path, rate: float, temporary: Path | None = None):
        self.path, self.rate = Path(path), rate
        self._temporary = temporary or partial(self.path)
        self._temporary.unlink(missing_ok=True)  # left by a process that was killed
        self.frames = 0
        """Number of frames written so far."""
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._start = 0.0
        self._newest = 0.0

    def add(self, image: np.ndarray, stamp: float) -> None:
        """Write a frame, repeated if necessary; it is skipped if it comes too soon after the last one or is older.

        Args:
            image: uint8 (height, width, 3) BGR. The first one determines the size of the video; others are scaled to
                it.
            stamp: seconds.

        Raises:
            OSError: the file cannot be written.
        """
        if self._writer is None:
            self._writer = self._open(image, stamp)
        elif stamp < self._newest or stamp > self._newest + LONGEST_GAP:
            self._start = stamp - self.frames / self.rate
        self._newest = stamp
        due = int((stamp - self._start) * self.rate + 1e-6) + 1
        if due > self.frames:
            frame = image if image.shape[1::-1] == self._size else cv2.resize(image, self._size)
            for _ in range(due - self.frames):
                self._writer.write(frame)
            self.frames = due

    def _open(self, image: np.ndarray, stamp: float) -> cv2.VideoWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._size = image.shape[1], image.shape[0]
        with library_name(self._temporary) as name:
            writer = cv2.VideoWriter(name, cv2.VideoWriter.fourcc(*'mp4v'), self.rate, self._size)
        if not writer.isOpened():
            raise OSError(f'cannot write a video of {self._size[0]}×{self._size[1]} to {self.path}')
        self._start = stamp
        return writer

    def close(self) -> None:
        """Complete the file; without any frame there is none.

        Raises:
            OSError: not all frames could be written; the file was removed.
        """
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        # OpenCV does not report frames that could not be written.
        written = _frames(self._temporary)
        if written < self.frames:
            self._temporary.unlink(missing_ok=True)
            raise OSError(f'only {written} of {self.frames} frames could be written to {self.path}: is the disk full?')
        self._temporary.replace(self.path)


def _frames(path: Path) -> int:
    """As many as the file says, 0 where it cannot be read."""
    # The reader that it names is for what comes from outside; OpenCV 5 heeds it.
    options = os.environ.pop(_READER_OPTIONS, None)
    try:
        with library_name(path) as name:
            capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
        frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        capture.release()
        return frames
    finally:
        if options is not None:
            os.environ[_READER_OPTIONS] = options
