"""Faces cut out by another detector, letterboxed into a black square as REP-155's ``cropped`` and ``aligned`` are."""

from collections.abc import Sequence

import numpy as np

from fer_ros.perception.cropping import FRAMING, BoxFraming, crop_faces
from fer_ros.perception.detection import Detection

TALL = 1.1
"""Height by width above which a box is as YuNet's boxes are, from brow to chin; MediaPipe's are square."""
TALL_BOX = BoxFraming(side=1.145, up=0.005)
"""The training frame around YuNet's box, which hri_face_detect cuts out; see docs/hri_integration.md."""

_NO_KEYPOINTS = np.zeros((0, 2))


def content(crop: np.ndarray) -> np.ndarray:
    """The picture without the black bars around it.

    The picture is in the middle, so bars are as wide as the narrower side says: a dark background is no bar.

    Args:
        crop: uint8 (H, W, 3) BGR or (H, W) grey.

    Returns:
        A view of it; the whole crop where it is all black.
    """
    lit = crop.any(2) if crop.ndim == 3 else crop > 0
    columns, rows = np.flatnonzero(lit.any(0)), np.flatnonzero(lit.any(1))
    if not len(columns):
        return crop
    bars = [columns[0], lit.shape[1] - 1 - columns[-1], rows[0], lit.shape[0] - 1 - rows[-1]]
    (left, right), (top, bottom) = (_even(*pair) for pair in (bars[:2], bars[2:]))
    return crop[top:lit.shape[0] - bottom, left:lit.shape[1] - right]


def _even(before: int, after: int) -> tuple[int, int]:
    """Widths of two bars; they may differ by one, where what is left cannot be halved."""
    return min(before, after + 1), min(after, before + 1)


def letterboxed_faces(crops: Sequence[np.ndarray]) -> np.ndarray:
    """What the network sees of faces that were cut out along their box.

    Where the training frame reaches over the box, the border is continued: what was there is not in the crop.

    Args:
        crops: N pictures, uint8 (H, W, 3) BGR or (H, W) grey, of any size.

    Returns:
        uint8 (N, 48, 48) grey.
    """
    faces = [np.zeros((0, 48, 48), np.uint8)]
    for crop in crops:
        picture = content(crop)
        height, width = picture.shape[:2]
        framing = TALL_BOX if height > TALL * width else FRAMING['short']
        square = framing.square(Detection((0.0, 0.0, float(width), float(height)), 1.0, _NO_KEYPOINTS))
        faces.append(crop_faces(picture, [square]))
    return np.concatenate(faces)
