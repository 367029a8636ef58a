"""A recording for playback on the page: a JPEG image of every frame by number, and the lines of its faces.

Browsers do not play the MPEG-4 Part 2 of the annotated video. VP8, which they play and OpenCV writes, is about 40 times
as expensive to encode as JPEG (benchmarks/playback.py) and does not allow exact seeking.
"""

import json
import os
from pathlib import Path

import cv2
import numpy as np

from fer_ros.drawing.annotate import annotate
from fer_ros.drawing.colours import FaceColours
from fer_ros.drawing.valence_plot import longest_step
from fer_ros.emotions import EMOTIONS
from fer_ros.recordings.output_files import MIN_LIFE
from fer_ros.results.faces import FacesFrame
from fer_ros.results.history import FacesHistory, breaks
from fer_ros.web.theme import face_style

WIDTH = 640
"""Maximum width in pixels; larger images are scaled down."""
QUALITY = 75
PICTURES, PLACES, LINES = 'pictures', 'places.npy', 'lines.json'


class PlaybackWriter:
    """Writes the frames of a recording; a context manager that leaves the files incomplete after an error.

    Args:
        folder: folder of the three files.

    Raises:
        OSError: also in every method: a file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = (folder / PICTURES).open('wb')
        self._places = [0]
        self._history = FacesHistory()
        self._colours = FaceColours()

    def add(self, image: np.ndarray, frame: FacesFrame) -> None:
        """Add a frame.

        Args:
            image: uint8 (H, W, 3), BGR.
            frame: its faces, with a stamp later than that of the previous frame.
        """
        self._history.add(frame)
        picture = annotate(image, frame, self._colours)
        scale = WIDTH / picture.shape[1]
        if scale < 1:
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        data = cv2.imencode('.jpg', picture, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))[1]
        self._file.write(data.data)
        self._places.append(self._places[-1] + len(data))

    def __len__(self) -> int:
        """Number of frames so far."""
        return len(self._places) - 1

    def __enter__(self) -> 'PlaybackWriter':
        return self

    def __exit__(self, kind, *_) -> None:
        self._file.close()
        if kind is None:
            np.save(self._folder / PLACES, np.array(self._places, np.int64))
            (self._folder / LINES).write_text(json.dumps(self._lines(), separators=(',', ':')), encoding='utf-8')

    def _lines(self) -> dict:
        """The lines of the faces for JSON.

        ``times`` are seconds since the first frame. Each face has its style; lists of frame number, valence, raw
        valence, emotion (an index of ``emotions``) and confidence; and the positions in these lists before which its
        line has a gap.
        """
        stamps = self._history.stamps()
        series = [s for s in self._history.series() if s.life >= MIN_LIFE]
        colours = self._colours(s.face_id for s in series)
        longest = longest_step(stamps)
        return {
            'times': _rounded((stamps - stamps[:1]) * 1e-9, 6), 'emotions': EMOTIONS,
            'faces': [{'id': s.face_id, **face_style(colours[s.face_id]), 'breaks': breaks(s.samples, longest).tolist(),
                       'frames': s.samples['frame'].tolist(), 'valence': _rounded(s.samples['valence']),
                       'raw': _rounded(s.samples['raw_valence']), 'emotion': s.samples['emotion'].tolist(),
                       'confidence': _rounded(s.samples['confidence'])} for s in series],
        }


def _rounded(values: np.ndarray, digits: int = 4) -> list[float]:
    return np.round(np.asarray(values, np.float64), digits).tolist()


class Playback:
    """The files of a `PlaybackWriter` in `folder`.

    Raises:
        OSError, ValueError: they are missing or incomplete.
    """

    def __init__(self, folder: Path) -> None:
        self.lines = folder / LINES
        """Path of the JSON file with the lines."""
        self._pictures = folder / PICTURES
        self._places = np.load(folder / PLACES, allow_pickle=False)

    def __len__(self) -> int:
        return len(self._places) - 1

    def picture(self, index: int) -> bytes:
        """The JPEG image of frame `index`. Raises IndexError, OSError."""
        if not 0 <= index < len(self):
            raise IndexError(f'frame {index} of {len(self)}')
        start, end = (int(place) for place in self._places[index:index + 2])
        descriptor = os.open(self._pictures, os.O_RDONLY)
        try:
            return os.pread(descriptor, end - start, start)
        finally:
            os.close(descriptor)
