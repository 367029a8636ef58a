"""From a detector's box to what the network was trained on: a square grey picture, framed as in its training set.

The relation between box and training frame was measured with ``python -m fer_ros.perception.measure_framing``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from fer_ros.msfernet.network import INPUT_SIZE


@dataclass(frozen=True)
class Framing:
    """Where a training picture lies around a detected face."""

    side: float
    """Of the training frame, in multiples of the box's side (root of its area)."""
    up: float
    """How far the frame's centre lies above the box's centre, in frame sides."""
    right: float = 0.0
    """Likewise to the right."""


FRAMING = {
    'short': Framing(side=1 / 0.889, up=0.074),
}


def crop_faces(image: np.ndarray, boxes: Sequence[tuple[float, float, float, float]],
               framing: Framing = FRAMING['short']) -> np.ndarray:
    """Cut faces out of an image.

    Args:
        image: uint8 (H, W, 3) BGR or (H, W) grey.
        boxes: (x, y, width, height) in pixels as the detector gives them; the border is continued where a crop
            reaches over it.
        framing: of the detector's boxes.

    Returns:
        uint8 (N, 48, 48) grey.
    """
    crops = np.empty((len(boxes), INPUT_SIZE, INPUT_SIZE), np.uint8)
    for crop, box in zip(crops, boxes, strict=True):
        crop[:] = _crop(image, box, framing)
    return crops


def frame_of(box: tuple[float, float, float, float], framing: Framing) -> tuple[float, float, float]:
    """(left, top, side) of the square that the network sees, in pixels."""
    x, y, width, height = box
    side = framing.side * float(np.sqrt(width * height))
    return x + width / 2 + (framing.right - 0.5) * side, y + height / 2 - (framing.up + 0.5) * side, side


def _crop(image: np.ndarray, box: tuple[float, float, float, float], framing: Framing) -> np.ndarray:
    left, top, side = frame_of(box, framing)
    size = max(1, round(side))
    left, top = round(left), round(top)
    height, width = image.shape[:2]
    # Whole pixels: half a pixel of a face of 48 or more is less than the detector's own jitter.
    x0, x1 = min(max(left, 0), width - 1), min(max(left + size, 1), width)
    y0, y1 = min(max(top, 0), height - 1), min(max(top + size, 1), height)
    part = image[y0:y1, x0:x1]
    if part.ndim == 3:
        part = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
    margins = y0 - top, top + size - y1, x0 - left, left + size - x1
    if any(margins):
        part = cv2.copyMakeBorder(part, *margins, cv2.BORDER_REPLICATE)
    # Averaging when it shrinks; area interpolation would give blocks when it grows.
    interpolation = cv2.INTER_AREA if size >= INPUT_SIZE else cv2.INTER_LINEAR
    return cv2.resize(part, (INPUT_SIZE, INPUT_SIZE), interpolation=interpolation)
