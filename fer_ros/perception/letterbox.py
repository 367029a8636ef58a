"""Face images of another detector, letterboxed into a black square like ``cropped`` and ``aligned`` of REP-155."""

from collections.abc import Sequence

import numpy as np

from fer_ros.perception.cropping import FRAMING, BoxFraming, crop_faces
from fer_ros.perception.detection import Detection

TALL = 1.1
"""Height by width above which a box is like those of YuNet, from brow to chin; those of MediaPipe are squares."""
TALL_BOX = BoxFraming(side=1.145, up=0.005)
"""The training frame relative to the box of YuNet, which hri_face_detect crops (docs/hri_integration.md)."""

_NO_KEYPOINTS = np.zeros((0, 2))


def content(crop: np.ndarray) -> np.ndarray:
    """The image without the black bars around it.

    The image is centred, so both bars are as wide as the narrower side: a dark background is not a bar.

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
    """Widths of two bars; they may differ by one, if the remainder is odd."""
    return min(before, after + 1), min(after, before + 1)


def letterboxed_faces(crops: Sequence[np.ndarray]) -> np.ndarray:
    """The network input for faces that were cropped along their bounding box.

    Where the training frame extends beyond the box, the border is replicated, since the crop lacks that part.

    Args:
        crops: N images, uint8 (H, W, 3) BGR or (H, W) grey, of any size.

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
