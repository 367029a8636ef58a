"""Writes the output files of a recording, which appear under their names only when all are complete."""

import json
import math
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from fer_ros.atomic_files import partial, write_picture
from fer_ros.drawing.annotate import annotate
from fer_ros.drawing.colours import FaceColours
from fer_ros.drawing.contact_sheet import ContactSheet
from fer_ros.drawing.valence_plot import ValencePlot
from fer_ros.media.video_writer import VideoWriter
from fer_ros.parameters import VALENCE_PLOT, defaults
from fer_ros.recordings import dataset
from fer_ros.results.faces import FacesFrame
from fer_ros.results.faces_csv import FacesCsv
from fer_ros.results.faces_parquet import FacesParquet
from fer_ros.results.history import FacesHistory

MIN_LIFE: float = defaults(VALENCE_PLOT)['min_life']
"""Seconds; faces tracked for less are in the CSV, but not drawn."""
WINDOW = 30.0
"""Length in seconds of the plot below an annotated frame."""
TOLERANCE = 0.001
"""Seconds by which stamps are rounded."""
LONGEST_PAUSE = 60.0
"""Seconds for which an annotated video shows the last frame before a pause; a longer one is cut to it."""
QUICK_WIDTH = 800
"""Maximum width in pixels of frames in an annotated video for somebody who waits,"""
QUICK_PLOT = 0.1
"""and minimum seconds between two drawings of its plot."""
FLUSH = 1.0
"""Maximum seconds of results that are lost if the program is killed."""


class OutputFiles:
    """CSV, summary, plot, and optionally Parquet and an annotated video of one recording; of photos, a contact sheet.

    Until `complete` the files have ``.partial`` in their names; `close` keeps partial results there.

    Args:
        folder: created if it does not exist.
        name: name of the files without suffix.
        rate: frames per second of the annotated video; 0: no video.
        photos: their file names, by number of the frame; the last column of their CSV.
        parquet: also write the faces to the dataset of the folder.
        quick: somebody waits: frames of the annotated video are at most `QUICK_WIDTH` wide, their plot moves every
            `QUICK_PLOT`, and it is encoded with less effort, for a larger file.

    Raises:
        ParquetError: pyarrow cannot be imported.
        OSError: also in every method: a file cannot be written.
    """

    def __init__(self, folder: Path, name: str, rate: float = 0.0, photos: Sequence[str] = (),
                 parquet: bool = False, quick: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._name = folder, name
        self._paths = {suffix: folder / f'{name}.{suffix}' for suffix in ('csv', 'parquet', 'png', 'mp4', 'json')}
        for path in self._paths.values():
            partial(path).unlink(missing_ok=True)
        self._file = partial(self._paths['csv']).open('w', encoding='utf-8', newline='')
        self._photos = photos
        self._sheet = ContactSheet(len(photos)) if photos else None
        self._csv = FacesCsv(self._file, ('photo',) if photos else ())
        self._parquet = FacesParquet(partial(self._paths['parquet']), name) if parquet else None
        self._flushed = time.monotonic()
        self._history = FacesHistory()
        self._colours = FaceColours()
        self._video = _AnnotatedVideo(partial(self._paths['mp4']), rate, self._colours, quick) if rate else None

    def add(self, index: int, image: np.ndarray | None, frame: FacesFrame) -> None:
        """Add a frame: its faces, with a stamp that counts from the first frame.

        `image`, uint8 (H, W, 3) BGR, may be None where there is neither an annotated video nor a contact sheet.
        """
        for face in frame.faces:
            self._csv.write(frame.stamp_ns, index, face, (self._photos[index],) if self._photos else ())
            if self._parquet is not None:
                self._parquet.write(frame.stamp_ns, index, face, self._photos[index] if self._photos else None)
        if time.monotonic() - self._flushed > FLUSH:
            self._file.flush()
            self._flushed = time.monotonic()
        if self._sheet is not None:
            assert image is not None
            self._sheet.add(image, frame, self._photos[index])
        else:
            self._history.add(frame)
        if self._video is not None:
            assert image is not None
            self._video.add(image, frame)

    def complete(self, summary: dict) -> list[Path]:
        """Write the remaining data and rename all files to their final names, the summary last.

        A recording that is completed without Parquet leaves the dataset, whose rows would be of an earlier run.
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        picture = self._sheet.picture() if self._sheet is not None else ValencePlot(
            1280, 480, min_life=MIN_LIFE, colours=self._colours).whole(self._history)
        write_picture(partial(self._paths['png']), picture)
        suffixes: Iterable[str] = ('csv', 'png', 'json')
        if self._video is not None:
            self._video.close()
            suffixes = ('csv', 'png', 'mp4', 'json')
        if self._parquet is not None:
            self._parquet.close()
        partial(self._paths['json']).write_text(json.dumps(summary, indent=2, ensure_ascii=False) + '\n',
                                                encoding='utf-8', errors='backslashreplace')  # of names: valid JSON
        self._complete_parquet()
        written = [suffix for suffix in suffixes if partial(self._paths[suffix]).exists()]
        for suffix in written:
            os.replace(partial(self._paths[suffix]), self._paths[suffix])
        return [self._paths[suffix] for suffix in written]

    def _complete_parquet(self) -> None:
        if self._parquet is None:
            dataset.forget(self._folder, self._name)
            return
        path = dataset.faces_file(self._folder, self._name)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(partial(self._paths['parquet']), path)

    def close(self) -> None:
        """Close the files and keep partial results under the partial names; no effect after `complete`."""
        with ExitStack() as stack:  # all are closed, even if the disk is full; what was written before is kept
            for output in (self._video, self._parquet):
                if output is not None:
                    stack.callback(output.close)
            self._file.close()


class _AnnotatedVideo:
    """Annotated frames above the plot of the last seconds, at their times."""

    def __init__(self, path: Path, rate: float, colours: FaceColours, quick: bool) -> None:
        self._recorder = VideoWriter(path, rate, temporary=path, longest_gap=math.inf, quick=quick)
        self._quick = quick
        self._colours = colours
        self._history = FacesHistory(WINDOW)
        self._plot: ValencePlot | None = None
        self._line = np.zeros((0, 0, 3), np.uint8)
        self._drawn = -math.inf
        """Stamp of the frame for which the plot was drawn."""
        self._stamp = self._time = 0.0
        self._closed = False

    def add(self, image: np.ndarray, frame: FacesFrame) -> None:
        self._history.add(frame)
        if self._quick and image.shape[1] > QUICK_WIDTH:
            image, frame = _scaled(image, frame, QUICK_WIDTH / image.shape[1])
        if self._plot is None:
            width = max(320, image.shape[1] + image.shape[1] % 2)
            height = max(180, round(0.4 * min(image.shape[0], width)))
            self._plot = ValencePlot(width, height + height % 2, min_life=MIN_LIFE, colours=self._colours)
            self._size = image.shape[1], image.shape[0]
            self._stamp = frame.stamp
        if not self._quick or frame.stamp - self._drawn >= QUICK_PLOT - TOLERANCE:
            self._line, self._drawn = self._plot.rolling(self._history, frame.stamp_ns, WINDOW), frame.stamp
        line = self._line
        if image.shape[1::-1] != self._size:
            image = cv2.resize(image, self._size)
        picture = annotate(image, frame, self._colours)
        left = (line.shape[1] - picture.shape[1]) // 2
        picture = cv2.copyMakeBorder(picture, 0, picture.shape[0] % 2, left, line.shape[1] - picture.shape[1] - left,
                                     cv2.BORDER_CONSTANT)
        self._time += min(frame.stamp - self._stamp, LONGEST_PAUSE)
        self._stamp = frame.stamp
        self._recorder.add(np.vstack([picture, line]), self._time)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._recorder.close()


def _scaled(image: np.ndarray, frame: FacesFrame, scale: float) -> tuple[np.ndarray, FacesFrame]:
    """A smaller image, and its faces."""
    # INTER_AREA takes as long for this as the encoder for the frame, and here it is hardly better.
    way = cv2.INTER_LINEAR if scale > 0.5 else cv2.INTER_AREA
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=way)
    height, width = small.shape[:2]
    faces = []
    for face in frame.faces:
        x, y, w, h = (scale * value for value in face.box)
        faces.append(replace(face, box=(x, y, w, h)))
    return small, replace(frame, width=width, height=height, faces=tuple(faces))
