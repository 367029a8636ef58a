"""Turns decoded frames into images as a player shows them: colours, square pixels, upright."""

from typing import Any

import cv2
import numpy as np

from fer_ros.media.image_decoding import MAX_PIXELS
from fer_ros.media.pyav import pyav

_BT709, _BT601 = 1, 5
"""Numbers of colour matrices in swscale."""
_MATRICES = {1: _BT709, 4: 4, 5: _BT601, 6: _BT601, 7: 7, 9: 9, 10: 9}
"""For the colour spaces of ITU-T H.273 that frames are tagged with, the matrix in swscale."""
_HIGH_DEFINITION = 720
"""Rows from which frames without a tag are BT.709, as players assume."""
_MOST_STRETCH = 5.0
"""Pixels that are more oblong than this are an error in the file."""


class FrameConverter:
    """Converts decoded frames to BGR images.

    Args:
        aspect_ratio: width of a pixel divided by its height; 0 or None if unknown.
    """

    def __init__(self, aspect_ratio: float | None = None) -> None:
        self._ratio = float(aspect_ratio or 0)
        self._reformatter = pyav().video.reformatter.VideoReformatter()
        self._rotation: float | None = None
        self._matrix: bytes | None = None

    def __call__(self, frame: Any) -> np.ndarray:
        """Convert a frame.

        Args:
            frame: an `av.VideoFrame`.

        Returns:
            uint8 (H, W, 3) BGR, C-contiguous; oblong pixels are stretched, never shrunk, and the rotation and
            reflection of its display matrix are applied. That is read again when the rotation changes.
        """
        width, height = square_pixels(frame.width, frame.height, self._ratio)
        matrix = _MATRICES.get(int(frame.colorspace), _BT709 if frame.height >= _HIGH_DEFINITION else _BT601)
        # More threads cost more processor time than they save.
        image = self._reformatter.reformat(frame, width, height, 'bgr24', src_colorspace=matrix, threads=1).to_ndarray()
        if frame.rotation != self._rotation:
            # A frame whose side data were asked for is in a cycle with them, and stays until Python looks for cycles:
            # hundreds of megabytes of frames if each were asked.
            self._rotation = frame.rotation
            data = frame.side_data.get('DISPLAYMATRIX')
            self._matrix = None if data is None else bytes(data)
        return np.ascontiguousarray(_upright(image, self._matrix))


def square_pixels(width: int, height: int, ratio: float) -> tuple[int, int]:
    """Size of an image after its pixels, `ratio` times as wide as high, have been stretched to squares."""
    if not 1 / _MOST_STRETCH <= ratio <= _MOST_STRETCH:
        return width, height
    stretched = (round(width * ratio), height) if ratio >= 1 else (width, round(height / ratio))
    return stretched if stretched[0] * stretched[1] <= MAX_PIXELS else (width, height)


def _upright(image: np.ndarray, display_matrix: bytes | None) -> np.ndarray:
    if display_matrix is None:
        return image
    # x' = a x + c y and y' = b x + d y, as fixed-point numbers with 16 bits behind the point
    (a, b), (c, d) = np.frombuffer(display_matrix, np.int32).reshape(3, 3)[:2, :2].tolist()
    if abs(a) + abs(d) < abs(b) + abs(c):
        image, a, d = cv2.transpose(image), c, b
    flips = (a < 0, d < 0)
    if any(flips):
        image = cv2.flip(image, {(True, True): -1, (True, False): 1, (False, True): 0}[flips])
    return image
