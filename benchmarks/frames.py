"""Images with a known number of faces, drawn beforehand so that the source takes no time during a measurement."""

import math

import numpy as np

from fer_ros.media.built_in_clip import Placement, Stage

GRIDS = {1: (1, 1), 2: (2, 1), 4: (2, 2), 8: (4, 2)}
"""Columns and rows by number of faces."""
SHARE = 0.16
"""Of the picture's width that a face takes, just above what the short-range detector needs."""
LARGE_SHARE = 0.22
"""The same where there is room: for a single face."""


def frames(width: int, height: int, faces: int, count: int = 24) -> list[np.ndarray]:
    """The portraits of the built-in clip side by side, each moving on a small circle; the sequence can be repeated.

    Args:
        width, height: pixels.
        faces: one of `GRIDS`.
        count: of frames in a circle.

    Returns:
        uint8 (height, width, 3) BGR each.
    """
    stage = Stage(width, height)
    columns, rows = GRIDS[faces]
    size = (LARGE_SHARE if faces == 1 else SHARE) * width / stage.scale
    names = ('astronaut', 'hopper')
    pictures = []
    for i in range(count):
        angle = 2 * math.pi * i / count
        x, y = 0.01 * math.cos(angle), 0.01 * math.sin(angle)
        # Rows lie low: there is more of a portrait below its face's centre than above, and later ones cover earlier.
        pictures.append(stage.draw([
            Placement(names[(column + row) % 2], (column + 0.5) / columns + x, (row + 0.55) / rows + y, size)
            for row in range(rows) for column in range(columns)]))
    return pictures
