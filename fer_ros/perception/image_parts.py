"""Parts of an image that a detector looks at, as whole pixels (left, top, right, bottom)."""

import math

import cv2
import numpy as np

Box = tuple[float, float, float, float]
"""(x, y, width, height) in pixels; may extend beyond the image."""
BRIGHTEST = 98
"""Percentile of the grey levels that counts as the brightest: a lamp is smaller, a face in a dark room is not."""
DARK = 90.0
"""Brightest level below which an image is brought up before faces are looked for in it."""
LIGHT = 180.0
"""Brightest level that it is brought up to,"""
MOST_GAIN = 12.0
"""and the most that it is multiplied by: beyond that it holds little but noise."""
SAME = 0.3
"""Intersection over union from which on two bounding boxes are of one face."""
MOST_DIFFERENT = 3.0
"""Sides of one face's bounding boxes differ by at most this factor."""
LEAST_TILE = 16
"""Pixels: no face in a smaller tile can be classified."""
MOST_TILES = 16
"""Of a very long picture, which is not cut into more. A usual image has two to six."""
Part = tuple[int, int, int, int]


def tiles(width: int, height: int, share: float) -> list[Part]:
    """The fewest squares of `share` of the longer side that cover an image, evenly spread.

    Args:
        width, height: of the image, pixels.
        share: above 0, at most 1. A square is never higher than the image.

    Returns:
        None where they would be smaller than `LEAST_TILE`; `MOST_TILES`, with gaps, where it would take more in a row.
    """
    side = min(math.ceil(share * max(width, height)), width, height)
    if side < LEAST_TILE:
        return []
    return [(left, top, left + side, top + side)
            for top in _starts(height, side) for left in _starts(width, side)]


def _starts(length: int, side: int) -> list[int]:
    # Neighbours overlap by a fifth at least: a face at the border of one is whole in the other.
    count = 1 if length <= side else min(1 + math.ceil((length - side) / (0.8 * side)), MOST_TILES)
    return [round(index * (length - side) / max(count - 1, 1)) for index in range(count)]


def window(box: Box, scale: float, width: int, height: int) -> Part | None:
    """The square of `scale` times the larger side of a bounding box round it.

    It is moved into the image where it fits, and extends beyond it where it does not.

    Returns:
        The part, or None if the box is beyond the image.
    """
    x, y, w, h = box
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        return None
    side = max(round(scale * max(w, h)), 16)
    left = _start(x + w / 2 - side / 2, side, width)
    top = _start(y + h / 2 - side / 2, side, height)
    return left, top, left + side, top + side


def _start(wanted: float, side: int, length: int) -> int:
    return round(wanted) if side > length else min(max(round(wanted), 0), length - side)


def cut(image: np.ndarray, part: Part) -> np.ndarray:
    """The pixels of a part: a view, or a copy with black where it extends beyond the image."""
    height, width = image.shape[:2]
    left, top, right, bottom = part
    inside = image[max(top, 0):bottom, max(left, 0):right]
    beyond = max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0)
    return cv2.copyMakeBorder(inside, *beyond, cv2.BORDER_CONSTANT) if any(beyond) else inside


def same_face(box: Box, other: Box) -> bool:
    """Whether two bounding boxes are of one face: they overlap, or are nearly concentric though of different size."""
    apart = math.hypot(box[0] - other[0] + (box[2] - other[2]) / 2, box[1] - other[1] + (box[3] - other[3]) / 2)
    small, large = sorted((math.sqrt(box[2] * box[3]), math.sqrt(other[2] * other[3])))
    return overlap(box, other) >= SAME or (apart < small / 2 and large < MOST_DIFFERENT * small)


def brought_up(image: np.ndarray) -> np.ndarray:
    """The image itself, or a lighter one where it is very dark, uint8 (H, W, 3)."""
    step = max(1, max(image.shape[:2]) // 64)
    brightest = float(np.percentile(image[::step, ::step], BRIGHTEST))
    if brightest >= DARK:
        return image
    return cv2.convertScaleAbs(image, alpha=min(LIGHT / max(brightest, 1.0), MOST_GAIN))


def overlap(box: Box, other: Box) -> float:
    """Intersection over union of two bounding boxes, 0 to 1."""
    common = (max(0.0, min(box[0] + box[2], other[0] + other[2]) - max(box[0], other[0]))
              * max(0.0, min(box[1] + box[3], other[1] + other[3]) - max(box[1], other[1])))
    return common / (box[2] * box[3] + other[2] * other[3] - common) if common else 0.0
