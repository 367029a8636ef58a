"""Tells when images have stopped changing, so that nothing new can be found in them."""

import cv2
import numpy as np

SAMPLED = 320
"""Columns, about, of the image that are looked at."""
BLOCK = 8
"""Side, in these columns, of the blocks whose means are compared: averaging takes the camera's noise away."""
CHANGED = 3.0
"""Grey levels by which the mean of a block must differ. Noise of a standard deviation of 5 stays below; a face that
comes in at 3 % of the image's width changes one or two blocks by more.
"""
SETTLED, SETTLED_IMAGES = 1.0, 15
"""Seconds, and images, without a change before they count as still: the search has then looked everywhere."""


class StillImage:
    """Compares each image with the one since which nothing has changed."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all images, as for another video."""
        self._shape: tuple[int, ...] = ()
        self._reference = np.zeros((0, 0), np.float32)
        self._since = self._last = 0.0
        self._images = 0

    def see(self, image: np.ndarray, stamp: float) -> bool:
        """Look at the next image.

        Args:
            image: uint8 (H, W, 3) BGR.
            stamp: seconds.

        Returns:
            Whether it shows the same as all images of the last `SETTLED` seconds.
        """
        means = _means(image)
        if (image.shape != self._shape or not 0 <= stamp - self._last <= SETTLED
                or np.abs(means - self._reference).max() > CHANGED):
            self._shape, self._reference, self._since, self._images = image.shape, means, stamp, 0
        self._last = stamp
        self._images += 1
        return stamp - self._since >= SETTLED and self._images > SETTLED_IMAGES


def _means(image: np.ndarray) -> np.ndarray:
    """Means of the blocks, float32; of green alone, which has most of the light."""
    step = max(1, round(image.shape[1] / SAMPLED))
    green = np.ascontiguousarray(image[::step, ::step, 1], np.float32)
    height, width = (max(1, side // BLOCK) for side in green.shape)
    return cv2.resize(green, (width, height), interpolation=cv2.INTER_AREA)
