"""A recording for playback on the page while it is analysed: a JPEG image and the faces of every frame, by number.

The page draws boxes and labels itself. Browsers do not play the MPEG-4 Part 2 of the annotated video. VP8, which they
play and OpenCV writes, is about 40 times as expensive to encode as JPEG (benchmarks/playback.py) and does not allow
exact seeking.
"""

import json
import os
from pathlib import Path

import cv2
import numpy as np

from fer_ros.emotions import EMOTIONS, GROUPS
from fer_ros.results import wire
from fer_ros.results.faces import FacesFrame
from fer_ros.results.session_summary import ROW, Session
from fer_ros.web.face_lines import FaceLines

WIDTH = 640
"""Maximum width in pixels; larger images are scaled down."""
QUALITY = 75
PICTURES, LINES, INDEX = 'pictures', 'lines', 'index'
MOST_LINES = 5000
"""Maximum number of frames whose faces are read at a time."""
LONGEST = 1e6
"""Maximum time of a frame in seconds."""
_PLACE = np.dtype([('picture', '<i8'), ('line', '<i8')])
"""Of each frame, where its image and its faces end in their files."""


class PlaybackWriter:
    """Writes the frames of a recording; a context manager. What has been written can be read at once.

    Args:
        folder: folder of the three files.

    Raises:
        OSError: also in every method: a file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._pictures, self._lines, self._index = (
            (folder / name).open('wb', buffering=0) for name in (PICTURES, LINES, INDEX))
        self._place = np.zeros(1, _PLACE)
        self._count = 0
        self._first_ns: int | None = None
        self._line = FaceLines()

    def add(self, image: np.ndarray, frame: FacesFrame) -> None:
        """Add a frame.

        Args:
            image: uint8 (H, W, 3), BGR.
            frame: its faces, with a stamp later than that of the previous frame.
        """
        scale = WIDTH / image.shape[1]
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        data = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))[1]
        self._first_ns = frame.stamp_ns if self._first_ns is None else self._first_ns
        faces = self._line(frame, (frame.stamp_ns - self._first_ns) * 1e-9)
        line = json.dumps(faces, separators=(',', ':')).encode() + b'\n'
        self._pictures.write(data.data)
        self._lines.write(line)
        self._place['picture'] += len(data)
        self._place['line'] += len(line)
        self._index.write(self._place.tobytes())  # the last, so that readers find what it refers to
        self._count += 1

    def __len__(self) -> int:
        """Number of frames so far."""
        return self._count

    def __enter__(self) -> 'PlaybackWriter':
        return self

    def __exit__(self, *exception) -> None:
        for file in (self._pictures, self._lines, self._index):
            file.close()


class Playback:
    """The files of a `PlaybackWriter` in `folder`, which may still be growing, or not have been begun."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __len__(self) -> int:
        """Number of frames so far."""
        try:
            return (self._folder / INDEX).stat().st_size // _PLACE.itemsize
        except FileNotFoundError:
            return 0

    def picture(self, index: int) -> bytes:
        """The JPEG image of frame `index`. Raises IndexError, OSError."""
        start, end = self._places('picture', index, index + 1)
        return self._read(PICTURES, start, end)

    def lines(self, first: int = 0) -> bytes:
        """The faces of at most `MOST_LINES` frames from `first` on: a JSON list, of which `PlaybackWriter` tells more.

        Raises:
            IndexError: there are not so many frames.
            OSError: a file cannot be read.
        """
        last = min(len(self), first + MOST_LINES)
        if first == last:
            return b'[]'
        start, end = self._places('line', first, last)
        return b'[' + self._read(LINES, start, end).strip().replace(b'\n', b',') + b']'

    def session(self) -> tuple[Session, dict[str, dict]]:
        """The faces of all frames so far, and the `fer_ros.web.theme.face_style` of each.

        Raises:
            OSError, ValueError: the file cannot be read, or has been written by something else.
        """
        times: list[float] = []
        styles: dict[str, dict] = {}
        rows: dict[str, list[tuple]] = {}
        count = len(self)
        try:
            while len(times) < count:
                for line in json.loads(self.lines(len(times))):
                    styles |= line.get('styles', {})
                    for face_id, emotion, of_group, _, valence, _, quality, *_ in line['faces']:
                        row = (len(times), wire.whole(emotion, 0, len(EMOTIONS) - 1, 'emotion'),
                               wire.whole(of_group, 0, len(GROUPS) - 1, 'group'),
                               wire.number(valence, -1.0, 1.0, 'valence'), wire.number(quality, 0.0, 1.0, 'quality'))
                        rows.setdefault(wire.face_id(face_id), []).append(row)
                    times.append(wire.number(line['t'], times[-1] if times else 0.0, LONGEST, 't'))
            return (Session(np.array(times, np.float64),
                            {face_id: np.array(found, ROW) for face_id, found in rows.items()}), styles)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(f'damaged file of faces: {error}') from error

    def _places(self, name: str, first: int, last: int) -> tuple[int, int]:
        """Where the part of frames `first` to `last` (exclusive) begins and ends in a file."""
        if not 0 <= first < last <= len(self):
            raise IndexError(f'frames {first} to {last} of {len(self)}')
        before = max(0, first - 1)
        data = self._read(INDEX, before * _PLACE.itemsize, last * _PLACE.itemsize)
        places = np.frombuffer(data, _PLACE)[name]
        return int(places[0]) if first else 0, int(places[-1])

    def _read(self, name: str, start: int, end: int) -> bytes:
        descriptor = os.open(self._folder / name, os.O_RDONLY)
        try:
            return os.pread(descriptor, end - start, start)
        finally:
            os.close(descriptor)
