"""How well a face can be seen, from 0 (its emotion cannot be told) to 1 (as well as in FER2013's pictures).

Four factors, each measured by how far the network's agreement with human raters falls (docs/perception.md):

* the picture: pixels, sharpness and noise by a polynomial of cheap features, and overexposure;
* the pose: in profile one half of the face is hidden;
* the border of the image, which cuts a part of the face off;
* the score of the detector, which falls where a mask, dark glasses or a hand cover a part of the face.
"""

from collections.abc import Sequence

import numpy as np

from fer_ros.perception.cropping import Square
from fer_ros.perception.detection import Detection

MARGIN = 6
"""Pixels at each border of a crop that are left out: they are background."""
CLIPPED = 252
"""Grey level from which on a pixel is overexposed."""
EXPONENTS = ((0, 0, 0, 0), *(tuple(int(i == k) for k in range(4)) for i in range(4)),
             *(tuple(int(i == k) + int(j == k) for k in range(4)) for i in range(4) for j in range(i, 4)))
"""Of the four features in each term of the polynomial: constant, linear and quadratic."""
LOWEST, HIGHEST = (-2.3, -3.0, -3.0, -1.4), (0.5, 0.0, 1.2, 0.0)
"""Of the features: what is beyond counts as this, since the fit knows nothing of it."""
COEFFICIENTS = (0.7604, -0.0195, -0.4758, 0.1030, 0.2855, -0.0137, 0.0214, -0.1256, 0.0620, -0.3208, 0.2642, 0.3068,
                -0.1479, -0.1399, -0.1273)
"""Of `EXPONENTS`, fitted by ``python -m benchmarks.quality``."""
OVEREXPOSED = ((0.0, 1.0), (0.35, 0.9), (0.6, 0.63), (0.8, 0.16), (0.91, 0.0))
"""Share of overexposed pixels, and the factor there."""
LARGEST_TURN, PROFILE = 0.4, 0.8
"""Distances of the nose from the middle between the eyes, in distances of the eyes: up to the first, agreement does not
fall; at the second, the nose is in front of the cheek's outline.
"""
CUT_AT_SIDE = ((0.0, 1.0), (0.15, 0.97), (0.3, 0.85), (0.45, 0.6), (0.6, 0.2), (0.75, 0.0))
"""Share of the frame beyond the image's left, right or upper border, and the factor there."""
CUT_AT_CHIN = ((0.0, 1.0), (0.15, 0.87), (0.3, 0.41), (0.45, 0.0))
"""The same below the face: without the mouth little is left to see."""
SCORED = ((0.5, 0.53), (0.68, 0.56), (0.73, 0.7), (0.78, 0.77), (0.83, 0.94), (0.88, 1.0))
"""Score of the short-range detector, and the factor there: the agreement of clean and covered faces with this score,
between 55 % and that of clean faces. Scores of the other detectors say less of what covers a face.
"""


def features(crops: np.ndarray, sides: Sequence[float] | np.ndarray) -> np.ndarray:
    """What the quality of a picture is told from.

    Args:
        crops: (N, 48, 48) uint8 grey.
        sides: N sides of the crops in the image, pixels.

    Returns:
        (N, 4) float64: logarithms of contrast, of the gradient in the direction in which it is least, and of the
        Laplacian, both relative to contrast; logarithm of the side relative to 48.
    """
    face = crops[:, MARGIN:crops.shape[1] - MARGIN, MARGIN:crops.shape[2] - MARGIN].astype(np.float32)
    contrast = np.maximum(face.std((1, 2)), 1.0)
    across, down = (face[:, :, 1:] - face[:, :, :-1])[:, :-1], (face[:, 1:] - face[:, :-1])[:, :, :-1]
    xx, yy, xy = ((a * b).mean((1, 2)) for a, b in ((across, across), (down, down), (across, down)))
    # The smaller eigenvalue of the structure tensor: motion blurs in one direction only.
    least = np.maximum((xx + yy) / 2 - np.hypot((xx - yy) / 2, xy), 1e-3)
    laplacian = (4 * face[:, 1:-1, 1:-1] - face[:, :-2, 1:-1] - face[:, 2:, 1:-1] - face[:, 1:-1, :-2]
                 - face[:, 1:-1, 2:])
    found = np.stack((np.log(contrast / 50), np.log(least / contrast ** 2 + 1e-4) / 2,
                      np.log(laplacian.std((1, 2)) / contrast + 1e-3),
                      np.log(np.minimum(np.asarray(sides, np.float64), crops.shape[1]) / crops.shape[1])), 1)
    return np.clip(found, LOWEST, HIGHEST)


def terms(values: np.ndarray) -> np.ndarray:
    """The terms (N, 15) of the polynomial of features (N, 4)."""
    return np.stack([np.prod(values ** np.array(exponents), axis=1) for exponents in EXPONENTS], 1)


def of_pictures(crops: np.ndarray, sides: Sequence[float]) -> np.ndarray:
    """(N,) quality of the pictures alone; arguments as of `features`."""
    if not len(crops):
        return np.zeros(0)
    told = np.clip(terms(features(crops, np.maximum(sides, 1.0))) @ COEFFICIENTS, 0.0, 1.0)
    return told * [_factor(share, OVEREXPOSED) for share in overexposed(crops)]


def overexposed(crops: np.ndarray) -> np.ndarray:
    """(N,) shares of the pixels of faces (N, 48, 48) uint8 that are too bright to tell anything."""
    return (crops[:, MARGIN:crops.shape[1] - MARGIN, MARGIN:crops.shape[2] - MARGIN] >= CLIPPED).mean((1, 2))


def of_pose(keypoints: np.ndarray) -> float:
    """Factor of the pose, from eyes and nose (the first three keypoints); 1 without keypoints."""
    if len(keypoints) < 3:
        return 1.0
    right_eye, left_eye, nose = np.asarray(keypoints[:3], np.float64)
    across = left_eye - right_eye
    turn = abs((nose - (right_eye + left_eye) / 2) @ across) / max(float(across @ across), 1e-6)
    return float(np.interp(turn, (LARGEST_TURN, PROFILE), (1.0, 0.0)))


def of_border(square: Square, width: int, height: int) -> float:
    """Factor of the part of the frame that is beyond the image of width × height pixels."""
    half = square.side / 2
    beyond = np.array((half - square.x, half + square.x - width, half - square.y, half + square.y - height))
    left, right, top, bottom = np.clip(beyond / max(square.side, 1.0), 0.0, 1.0)
    return float(np.prod([_factor(share, CUT_AT_SIDE) for share in (left, right, top)]) * _factor(bottom, CUT_AT_CHIN))


def of_score(detection: Detection) -> float:
    """Factor of the score of the detector."""
    return _factor(detection.score, SCORED) if detection.detector == 'short' else 1.0


def _factor(share: float, table: Sequence[tuple[float, float]]) -> float:
    return float(np.interp(share, [at for at, _ in table], [factor for _, factor in table]))


def of_faces(crops: np.ndarray, squares: Sequence[Square], detections: Sequence[Detection], width: int,
             height: int) -> np.ndarray:
    """Quality of the faces of one image.

    Args:
        crops: (N, 48, 48) uint8 grey, of `squares`.
        squares: N frames in the image.
        detections: N faces.
        width, height: of the image, pixels.

    Returns:
        (N,) float64, 0 to 1.
    """
    return of_pictures(crops, [square.side for square in squares]) * np.array(
        [of_pose(detection.keypoints) * of_border(square, width, height) * of_score(detection)
         for square, detection in zip(squares, detections, strict=True)])
