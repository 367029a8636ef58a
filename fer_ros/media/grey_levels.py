"""Scales 16-bit images to 8 bits.

Cameras fill 16 bits as they like: with 10 or 12 bits of their sensor, shifted up or not, or with an infrared picture
that uses a small part of the range. `GreyLevels` goes by what the images hold.
"""

import cv2
import numpy as np

DARK, BRIGHT = 1.0, 99.5
"""Percentiles of the values of an image that become black and `WHITE`."""
WHITE = 240.0
"""Grey level of the bright end, which leaves room for what is brighter still."""
LEAST_SPAN = 64.0
"""Values between the dark and the bright end, at least: what is less is noise, or a covered lens."""
HALF_LIFE = 1.0
"""Seconds after which half of a change of the content is followed, so that a passer-by does not change all faces."""
REACH = 0.25
"""Share of the content's span by which the ends may lie beside it; what is beyond, as when a lamp is switched, is
followed at once."""
LONGEST_GAP = 2.0
"""Seconds without an image after which the next one is scaled by its own content alone."""
SAMPLES = 128
"""Rows and columns, at most, of the pixels that are looked at."""


def full_range(image: np.ndarray) -> np.ndarray:
    """The uint16 values 0 to 65535 of an image of any shape as uint8, 0 to 255."""
    return cv2.convertScaleAbs(image, alpha=255 / 65535)


class GreyLevels:
    """Scales the 16-bit images of one stream by their content, steadily over time.

    The dark and the bright end of the range follow the content slowly, but are never far from it: whatever happens to
    the light, a face keeps its contrast from the first image on. Must not be used from several threads at once.
    """

    def __init__(self) -> None:
        self._ends: np.ndarray | None = None
        self._stamp = 0.0

    def __call__(self, image: np.ndarray, stamp: float) -> np.ndarray:
        """The image in 8 bits.

        Args:
            image: uint16 (H, W) or (H, W, C); a fourth channel is not looked at, since it would be opacity.
            stamp: seconds, of any clock; one that jumps starts anew.

        Returns:
            uint8 of the same shape.
        """
        found = _ends(image)
        if self._ends is None or not 0 <= stamp - self._stamp <= LONGEST_GAP:
            self._ends = found
        else:
            followed = 1 - 0.5 ** ((stamp - self._stamp) / HALF_LIFE)
            reach = REACH * (found[1] - found[0])
            self._ends = np.clip(self._ends + followed * (found - self._ends), found - reach, found + reach)
        self._stamp = stamp
        low = np.uint16(max(round(self._ends[0]), 0))
        return cv2.convertScaleAbs(np.maximum(image, low) - low, alpha=WHITE / (self._ends[1] - self._ends[0]))

    def reset(self) -> None:
        """Forget the content so far, as for another stream."""
        self._ends = None


def _ends(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    sample = image[::-(-height // SAMPLES), ::-(-width // SAMPLES)]
    low, high = np.percentile(sample[..., :3] if image.ndim == 3 else sample, (DARK, BRIGHT))
    return np.array((low, max(high, low + LEAST_SPAN)))
