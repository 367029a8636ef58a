"""How well a face can be seen, from 0 (its emotion cannot be told) to 1 (as well as in FER2013's pictures).

Three factors, each measured by how far the network's agreement with human raters falls (docs/perception.md):

* the picture: pixels, sharpness, noise, exposure, by a polynomial of cheap features;
* the pose: in profile one half of the face is hidden;
* the border of the image, which cuts a part of the face off.

What stands in front of a face is not recognised; the network's confidence falls there instead.
"""

from collections.abc import Sequence

import numpy as np

from fer_ros.perception.cropping import Square

MARGIN = 6
"""Pixels at each border of a crop that are left out: they are background."""
CLIPPED = 252
"""Grey level from which on a pixel is overexposed."""
EXPONENTS = ((0, 0, 0, 0, 0), *(tuple(int(i == k) for k in range(5)) for i in range(5)),
             *(tuple(int(i == k) + int(j == k) for k in range(5)) for i in range(5) for j in range(i, 5)))
"""Of the five features in each term of the polynomial: constant, linear and quadratic."""
COEFFICIENTS = (0.3017, -0.2586, -1.0413, -0.0363, 0.9874, 0.4601, -0.0671, -0.0540, -0.2394, 0.1186, 0.1165, -0.4677,
                0.1193, 0.2438, 0.3870, -0.0900, 0.2161, -0.1679, -0.9240, -0.1158, -0.0892)
"""Of `EXPONENTS`, fitted by ``python -m benchmarks.quality``."""
LARGEST_TURN, PROFILE = 0.4, 0.8
"""Distances of the nose from the middle between the eyes, in distances of the eyes: up to the first, agreement does not
fall; at the second, the nose is in front of the cheek's outline.
"""
CUT_AT_SIDE = ((0.0, 1.0), (0.15, 0.97), (0.3, 0.85), (0.45, 0.6), (0.6, 0.2), (0.75, 0.0))
"""Share of the frame beyond the image's left, right or upper border, and the factor there."""
CUT_AT_CHIN = ((0.0, 1.0), (0.15, 0.87), (0.3, 0.41), (0.45, 0.0))
"""The same below the face: without the mouth little is left to see."""


def features(crops: np.ndarray, sides: Sequence[float]) -> np.ndarray:
    """What the quality of a picture is told from.

    Args:
        crops: (N, 48, 48) uint8 grey.
        sides: N sides of the crops in the image, pixels.

    Returns:
        (N, 5) float64: logarithms of contrast, of the gradient in the direction in which it is least, and of the
        Laplacian, both relative to contrast; share of overexposed pixels; logarithm of the side relative to 48.
    """
    face = crops[:, MARGIN:crops.shape[1] - MARGIN, MARGIN:crops.shape[2] - MARGIN].astype(np.float32)
    contrast = np.maximum(face.std((1, 2)), 1.0)
    across, down = (face[:, :, 1:] - face[:, :, :-1])[:, :-1], (face[:, 1:] - face[:, :-1])[:, :, :-1]
    xx, yy, xy = ((a * b).mean((1, 2)) for a, b in ((across, across), (down, down), (across, down)))
    # The smaller eigenvalue of the structure tensor: motion blurs in one direction only.
    least = np.maximum((xx + yy) / 2 - np.hypot((xx - yy) / 2, xy), 1e-3)
    laplacian = (4 * face[:, 1:-1, 1:-1] - face[:, :-2, 1:-1] - face[:, 2:, 1:-1] - face[:, 1:-1, :-2]
                 - face[:, 1:-1, 2:])
    return np.stack((np.log(contrast / 50), np.log(least / contrast ** 2 + 1e-4) / 2,
                     np.log(laplacian.std((1, 2)) / contrast + 1e-3), (face >= CLIPPED).mean((1, 2)),
                     np.log(np.minimum(np.asarray(sides, np.float64), crops.shape[1]) / crops.shape[1])), 1)


def terms(values: np.ndarray) -> np.ndarray:
    """The terms (N, 21) of the polynomial of features (N, 5)."""
    return np.stack([np.prod(values ** np.array(exponents), axis=1) for exponents in EXPONENTS], 1)


def of_pictures(crops: np.ndarray, sides: Sequence[float]) -> np.ndarray:
    """(N,) quality of the pictures alone; arguments as of `features`."""
    if not len(crops):
        return np.zeros(0)
    return np.clip(terms(features(crops, np.maximum(sides, 1.0))) @ COEFFICIENTS, 0.0, 1.0)


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
    sides = np.prod([np.interp(share, *zip(*CUT_AT_SIDE, strict=True)) for share in (left, right, top)])
    return float(sides * np.interp(bottom, *zip(*CUT_AT_CHIN, strict=True)))


def of_faces(crops: np.ndarray, squares: Sequence[Square], keypoints: Sequence[np.ndarray], width: int,
             height: int) -> np.ndarray:
    """Quality of the faces of one image.

    Args:
        crops: (N, 48, 48) uint8 grey, of `squares`.
        squares: N frames in the image.
        keypoints: N arrays as of `fer_ros.perception.detection.Detection`.
        width, height: of the image, pixels.

    Returns:
        (N,) float64, 0 to 1.
    """
    return of_pictures(crops, [square.side for square in squares]) * np.array(
        [of_pose(points) * of_border(square, width, height) for square, points in zip(squares, keypoints, strict=True)])
