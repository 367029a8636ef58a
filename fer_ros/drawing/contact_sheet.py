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
        self._cells: list[np.ndarray] = []

    def add(self, photo: np.ndarray, faces: FacesFrame, name: str) -> None:
        """Add a photo, uint8 (H, W, 3) BGR, with its faces and its file name; without effect after `MOST`."""
        if len(self._cells) == MOST:
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
        caption = _SIZE + 8
        cell = np.full((self._side + caption + 2 * _GAP, self._side + 2 * _GAP, 3), _BACKGROUND, np.uint8)
        left, top = _GAP + (self._side - size[0]) // 2, _GAP + self._side - size[1]
        cell[top:top + size[1], left:left + size[0]] = picture
        put_text(cell, fit(name, _SIZE, self._side), cell.shape[1] / 2, _GAP + self._side + 4, _SIZE, _INK,
                 align=(0.5, 0.0))
        self._cells.append(cell)

    def picture(self) -> np.ndarray:
        """The sheet with the photos added, at least one: uint8 (H, W, 3) BGR."""
        columns = min(self._columns, len(self._cells))
        rows = [self._cells[i:i + columns] for i in range(0, len(self._cells), columns)]
        blank = np.full_like(self._cells[0], _BACKGROUND)
        return np.vstack([np.hstack([*row, *[blank] * (columns - len(row))]) for row in rows])
