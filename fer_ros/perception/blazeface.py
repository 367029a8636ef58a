"""From an image to BlazeFace's input, and from its raw output to faces (Bazarevsky et al., 2019, arXiv 1907.05047).

The numbers are those of MediaPipe's graphs face_detection_short_range and face_detection_full_range, so that boxes and
scores agree with `mediapipe.solutions`: the test compares them.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

VALUES = 16
"""Per box: centre, size, and six keypoints of x and y."""
GRIDS = {896: ((16, 2), (8, 6)), 2304: ((48, 1),)}
"""Number of boxes -> cells along a side and boxes per cell, by feature map. 896: short range; 2304: full range."""
FIRM = {896: 0.5, 2304: 0.6}
"""Number of boxes -> score from which MediaPipe lets a box take part in the mean of its face."""
OVERLAP = 0.3
"""Boxes whose overlap (IoU) with the best one is larger are of the same face."""
_PARTS = 32
"""Of a pixel: cv2.INTER_TAB_SIZE, to which fixed-point interpolation rounds."""
_LARGEST_LOGIT = 80.0
"""Beyond it exp overflows float32, and the score is 0 or 1 anyway."""


@dataclass(frozen=True, eq=False)
class Faces:
    """N faces in the square that `InputSquare` makes of an image: 0 to 1 along each side, beyond it outside."""

    corners: np.ndarray
    """(N, 4) float32: left, top, right, bottom."""
    keypoints: np.ndarray
    """(N, 6, 2) float32."""
    scores: np.ndarray
    """(N,) float32, 0 to 1."""


@dataclass(frozen=True)
class InputSquare:
    """An image in the middle of the smallest square that holds it, and there and back."""

    width: int
    height: int
    """Of the image, in pixels."""

    def shrink(self, image: np.ndarray, side: int) -> np.ndarray:
        """The square as the network's input.

        Args:
            image: uint8 (height, width, 3) BGR.
            side: of the input, in pixels.

        Returns:
            float32 (1, side, side, 3) RGB, -1 to 1, black beside the image.
        """
        small = cv2.remap(image, *_places(self.width, self.height, side), cv2.INTER_LINEAR)
        return cv2.cvtColor(small, cv2.COLOR_BGR2RGB)[None] * np.float32(2 / 255) - np.float32(1)

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) of the square, 0 to 1, in pixels of the image."""
        return points * np.float32(self._side) - np.array([self._left, self._top], np.float32)

    @property
    def _side(self) -> int:
        return max(self.width, self.height)

    @property
    def _left(self) -> float:
        return (self._side - self.width) / 2

    @property
    def _top(self) -> float:
        return (self._side - self.height) / 2


@lru_cache(maxsize=4)
def _places(width: int, height: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the pixels of the input lie in the image, in whole pixels and 32nds, as `cv2.remap` takes them.

    As MediaPipe does it, for the same faces: bilinear from the pixels' corners, without averaging. Its warpPerspective
    of OpenCV 4 rounds to 32nds; that of OpenCV 5 does not, which moved boxes by up to 6 pixels.
    """
    longer = max(width, height)
    x, y = (np.rint((np.arange(side) * (longer / side) - (longer - length) / 2) * _PARTS).astype(np.int32)
            for length in (width, height))
    x, y = np.meshgrid(x, y)
    whole = np.stack([x // _PARTS, y // _PARTS], -1).astype(np.int16)
    return whole, (y % _PARTS * _PARTS + x % _PARTS).astype(np.uint16)


def anchors(boxes: int) -> np.ndarray:
    """Where the network's boxes are told from: (boxes, 2) float32 x and y, 0 to 1.

    Raises:
        ValueError: a network with this number of boxes is not known.
    """
    if boxes not in GRIDS:
        raise ValueError(f'{boxes} boxes, where BlazeFace has {" or ".join(map(str, GRIDS))}')
    centres = []
    for cells, per_cell in GRIDS[boxes]:
        middles = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        y, x = np.meshgrid(middles, middles, indexing='ij')
        centres.append(np.repeat(np.stack([x, y], -1).reshape(-1, 2), per_cell, axis=0))
    return np.concatenate(centres)


def decode(boxes: np.ndarray, logits: np.ndarray, centres: np.ndarray, side: int, threshold: float) -> Faces:
    """All boxes that reach `threshold`, many for each face.

    Args:
        boxes: (N, 16) float32 in pixels of the input, from the anchors: see `VALUES`.
        logits: (N,) float32.
        centres: (N, 2), see `anchors`.
        side: of the input, in pixels.
        threshold: least score, 0 to 1.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)))
    good = np.flatnonzero(scores >= threshold)
    # The network may answer with a negative size; and what is not a number compares as false.
    good = good[(boxes[good, 2:4] >= 0).all(1) & np.isfinite(boxes[good]).all(1)]
    points = boxes[good].reshape(-1, VALUES // 2, 2) / np.float32(side)
    points[:, 0] += centres[good]
    points[:, 2:] += centres[good, None]
    half = points[:, 1] / 2
    return Faces(np.concatenate([points[:, 0] - half, points[:, 0] + half], 1), points[:, 2:], scores[good])


def merge(faces: Faces, firm: float) -> Faces:
    """One face for each group of overlapping boxes, best score first: non-maximum suppression with weights.

    A group is the best box that is left with all that overlap it by more than `OVERLAP`. Its corners and keypoints are
    the mean weighted by score, which trembles less than the best box alone; its score is that of the best. Boxes below
    `firm` count only where no better one is in the group: a face is the same however faint the others asked for are.
    """
    left = np.argsort(-faces.scores, kind='stable')
    corners, keypoints, scores = [], [], []
    while len(left):
        same = _overlap(faces.corners[left[0]], faces.corners[left]) > OVERLAP
        same[0] = True  # a box without area overlaps nothing, itself included
        group = left[same]
        counted = group[faces.scores[group] >= min(firm, faces.scores[group[0]])]
        weights = faces.scores[counted] / faces.scores[counted].sum()
        corners.append(np.tensordot(weights, faces.corners[counted], 1))
        keypoints.append(np.tensordot(weights, faces.keypoints[counted], 1))
        scores.append(faces.scores[left[0]])
        left = left[~same]
    return Faces(np.array(corners, np.float32).reshape(-1, 4),
                 np.array(keypoints, np.float32).reshape(-1, VALUES // 2 - 2, 2), np.array(scores, np.float32))


def _overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of a box (4,) with others (N, 4)."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    intersection = np.maximum(sides, 0).prod(1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
