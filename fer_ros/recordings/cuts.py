"""Cuts of edited video: the frame before says nothing about the one after.

Without them an id and its smoothed history pass to another person who appears in the same place. Live cameras have no
cuts; there a sudden change is a light, a hand or a turned head, and the person stays.
"""

import cv2
import numpy as np

ROWS, COLUMNS = 18, 32
"""Of the thumbnail in which frames are compared."""
BINS = 16
CORRELATION = 0.5
"""Two shots correlate less. So do frames of one fast pan, whose grey levels stay the same however."""
UNLIKE = 0.2
"""Two shots differ more in their grey levels. A pan by a fifth of the width from one frame to the next does not."""
FLAT = 2.0
"""Standard deviation, in grey levels, below which a thumbnail has no structure to correlate."""


class CutDetector:
    """Compares each frame of a recording with the one before it."""

    def __init__(self) -> None:
        self._thumbnail: np.ndarray | None = None

    def is_cut(self, image: np.ndarray) -> bool:
        """Whether `image`, uint8 (H, W, 3) BGR, begins another shot; the first frame does not."""
        before, now = self._thumbnail, _thumbnail(image)
        self._thumbnail = now
        return (before is not None and correlation(before, now) < CORRELATION
                and histogram_distance(before, now) > UNLIKE)


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """(ROWS, COLUMNS) uint8 grey levels: means over a sample of pixels, whatever the size of the image."""
    height, width = image.shape[:2]
    sample = np.ascontiguousarray(image[::max(1, height // (4 * ROWS)), ::max(1, width // (4 * COLUMNS))])
    return cv2.resize(cv2.cvtColor(sample, cv2.COLOR_BGR2GRAY), (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of two thumbnails, −1 to 1; 1 for two without structure, 0 where one has none."""
    flat = (a.std() < FLAT, b.std() < FLAT)
    if any(flat):
        return float(all(flat))
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def histogram_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Share of the pixels of two thumbnails whose grey levels differ in frequency, 0 to 1."""
    counts = [np.histogram(thumbnail, BINS, (0, 256))[0] for thumbnail in (a, b)]
    return float(np.abs(counts[0] - counts[1]).sum() / (2 * a.size))
