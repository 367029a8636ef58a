"""A contact sheet: photos with their faces, in rows, each above its file name."""

import math
from dataclasses import replace

import cv2
import numpy as np

from fer_ros.drawing.annotate import annotate
from fer_ros.drawing.text import fit, put_text
from fer_ros.results.faces import FacesFrame

_LARGEST = 960
"""Maximum width and height in pixels of a photo on the sheet."""
_PIXELS = 24_000_000
"""Maximum pixels of all photos on a sheet, which limits their size on sheets of many."""
MOST = 4000
"""Photos on a sheet, the first; more would be too small to be seen."""
_LEAST_WIDTH = 64
"""Pixels of a column, which has room for the beginning of a name."""
_BACKGROUND = 245
_INK = (40, 40, 40)
_SIZE = 13
"""Of the font of file names, in pixels."""
_GAP = 8
"""Pixels around each photo."""


class ContactSheet:
    """Collects photos and draws them on one sheet.

    Args:
        count: number of photos expected, which determines their size.
    """

    def __init__(self, count: int) -> None:
        count = min(max(1, count), MOST)
        self._columns = math.ceil(math.sqrt(count))
        self._side = min(_LARGEST, max(64, math.isqrt(_PIXELS // count)), max(320, 1920 // self._columns))
        self._photos: list[tuple[np.ndarray, str]] = []

    def add(self, photo: np.ndarray, faces: FacesFrame, name: str) -> None:
        """Add a photo, uint8 (H, W, 3) BGR, with its faces and its file name; without effect after `MOST`."""
        if len(self._photos) == MOST:
            return
        height, width = photo.shape[:2]
        scale = min(self._side / max(height, width), 1.0)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = photo if scale == 1.0 else cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
        scaled = []
        for face in faces.faces:
            x, y, w, h = face.box
            scaled.append(replace(face, box=(x * scale, y * scale, w * scale, h * scale)))
        # Drawn at the size at which it is seen, so that labels can be read.
        picture = annotate(small, replace(faces, faces=tuple(scaled), width=size[0], height=size[1]))
        self._photos.append((picture, name))

    def picture(self) -> np.ndarray:
        """The sheet with the photos added, at least one: uint8 (H, W, 3) BGR."""
        columns = min(self._columns, len(self._photos))
        rows = [self._photos[i:i + columns] for i in range(0, len(self._photos), columns)]
        widths = [max(_LEAST_WIDTH, *(row[i][0].shape[1] for row in rows if i < len(row))) for i in range(columns)]
        return np.vstack([_row(row, widths) for row in rows])


def _row(photos: list[tuple[np.ndarray, str]], widths: list[int]) -> np.ndarray:
    """Photos beside each other, standing on one line above their names."""
    bottom = _GAP + max(photo.shape[0] for photo, _ in photos)
    row = np.full((bottom + _SIZE + 8 + _GAP, sum(widths) + 2 * _GAP * len(widths), 3), _BACKGROUND, np.uint8)
    left = _GAP
    for (photo, name), width in zip(photos, widths, strict=False):  # the last row may be shorter
        x = left + (width - photo.shape[1]) // 2
        row[bottom - photo.shape[0]:bottom, x:x + photo.shape[1]] = photo
        put_text(row, fit(name, _SIZE, width), left + width / 2, bottom + 4, _SIZE, _INK, align=(0.5, 0.0))
        left += width + 2 * _GAP
    return row
