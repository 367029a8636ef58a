"""From a detected face to the input of the network: an upright greyscale square, framed as in the training set.

The constants were measured on 1,200 images of the FER2013 validation split (docs/perception.md); measure
them again with ``python -m fer_ros.tools.measure_framing --data DIR``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from fer_ros.msfernet.weights_file import INPUT_SIZE
from fer_ros.perception.detection import Detection

MAX_TILT = math.radians(45)
"""A steeper angle of the eyes must be confirmed by the mouth: in profile the eyes lie one above the other."""
CONFIRMED_TILT = math.radians(100)
"""Steeper still, BlazeFace's keypoints are those of an upright face that it takes for one."""
MAX_DISAGREEMENT = math.radians(25)
"""Of the angles of the eyes and of the line from them to the mouth, in a face that is turned."""


@dataclass(frozen=True)
class Square:
    """The part of an image that is the input of the network."""

    x: float
    """Centre, pixels."""
    y: float
    side: float
    """Pixels."""
    tilt: float = 0.0
    """Radians, clockwise in the image: direction from the right eye to the left eye."""


@dataclass(frozen=True)
class BoxFraming:
    """The training frame relative to the bounding box, rotated like the eyes."""

    side: float
    """Side of the frame, in multiples of the side of the box (the square root of its area)."""
    up: float
    """Distance of the centre of the frame above the centre of the box, in sides of the frame."""

    def square(self, detection: Detection) -> Square:
        """The training frame of a detection."""
        x, y, width, height = detection.box
        side = self.side * math.sqrt(width * height)
        tilt = eye_tilt(detection.keypoints)
        up = self.up * side
        return Square(x + width / 2 + up * math.sin(tilt), y + height / 2 - up * math.cos(tilt), side, tilt)


@dataclass(frozen=True)
class KeypointFraming:
    """The training frame in which eyes and mouth are closest to their mean positions (least squares)."""

    right_eye: tuple[float, float]
    """In sides of the frame, from its upper left corner."""
    left_eye: tuple[float, float]
    mouth: tuple[float, float]

    def square(self, detection: Detection) -> Square:
        """The training frame of a detection."""
        places = np.array([self.right_eye, self.left_eye, self.mouth]) - 0.5
        found = eyes_and_mouth(detection.keypoints)
        centre, middle = places.mean(0), found.mean(0)
        p, q = (places - centre) @ (1, 1j), (found - middle) @ (1, 1j)
        turn = complex(np.vdot(p, q) / np.vdot(p, p).real)  # side × e^(i tilt)
        offset = turn * complex(*centre)
        return Square(middle[0] - offset.real, middle[1] - offset.imag, max(abs(turn), 1.0), float(np.angle(turn)))


FRAMING: dict[str, BoxFraming | KeypointFraming] = {
    'short': BoxFraming(side=1.153, up=0.073),
    'full': BoxFraming(side=1.130, up=0.048),
    'yunet': KeypointFraming(right_eye=(0.316, 0.388), left_eye=(0.693, 0.398), mouth=(0.495, 0.785)),
}
"""By detector. The boxes of YuNet were not measured because its model was not available; its eyes and mouth correspond
to those of MediaPipe.
"""


def eye_tilt(keypoints: np.ndarray) -> float:
    """Angle of the eyes in radians, clockwise; 0 if it is not reliable."""
    if len(keypoints) < 2:
        return 0.0
    across, down = (keypoints[1] - keypoints[0]).tolist()
    tilt = math.atan2(down, across)
    if abs(tilt) <= MAX_TILT:
        return tilt
    if abs(tilt) > CONFIRMED_TILT or len(keypoints) < 5:
        return 0.0
    right_eye, left_eye, mouth = eyes_and_mouth(keypoints)
    right, below = mouth - (right_eye + left_eye) / 2
    disagreement = math.remainder(math.atan2(-right, below) - tilt, 2 * math.pi)
    return tilt if abs(disagreement) <= MAX_DISAGREEMENT else 0.0


def eyes_and_mouth(keypoints: np.ndarray) -> np.ndarray:
    """(3, 2): right eye, left eye, mouth centre, of the six keypoints of MediaPipe or the five of YuNet."""
    mouth = keypoints[3] if len(keypoints) == 6 else keypoints[3:5].mean(0)
    return np.array([keypoints[0], keypoints[1], mouth], np.float64)


def crop_faces(image: np.ndarray, squares: Sequence[Square]) -> np.ndarray:
    """Crop faces from an image, upright.

    Args:
        image: uint8 (H, W, 3) BGR or (H, W) grey.
        squares: from the `square` of a framing; beyond the image, its border is replicated.

    Returns:
        uint8 (N, 48, 48) grey.
    """
    crops = np.empty((len(squares), INPUT_SIZE, INPUT_SIZE), np.uint8)
    for crop, square in zip(crops, squares, strict=True):
        crop[:] = _crop(image, square)
    return crops


def _crop(image: np.ndarray, square: Square) -> np.ndarray:
    # First the axis-parallel part that contains the rotated square is averaged over whole blocks of pixels (much faster
    # than any other ratio) until it has two to four times the final size; then it is rotated with a step of at most two
    # pixels, which skips none; then it is averaged to the final size.
    sine, cosine = math.sin(square.tilt), math.cos(square.tilt)
    reach = square.side * (abs(sine) + abs(cosine)) / 2 + 1
    part, left, top = _part(image, square.x - reach, square.y - reach, square.x + reach, square.y + reach)
    if part.ndim == 3:
        part = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
    fine = 2 * INPUT_SIZE
    block = int(square.side) // fine
    width, height = (side // max(block, 1) for side in part.shape[1::-1])
    if block > 1 and width and height:
        part = cv2.resize(part[:height * block, :width * block], (width, height), interpolation=cv2.INTER_AREA)
    else:
        block = 1
    step, middle = square.side / fine, 0.5 - fine / 2
    # Position of the centre of the first fine pixel in the part, in pixels of the image.
    x = square.x - left + step * (cosine - sine) * middle
    y = square.y - top + step * (sine + cosine) * middle
    cosine, sine = step * cosine / block, step * sine / block
    transform = np.array(((cosine, -sine, x / block - 0.5), (sine, cosine, y / block - 0.5)))
    upright = cv2.warpAffine(part, transform, (fine, fine), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                             borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(upright, (INPUT_SIZE, INPUT_SIZE), interpolation=cv2.INTER_AREA)


def _part(image: np.ndarray, x0: float, y0: float, x1: float, y1: float) -> tuple[np.ndarray, int, int]:
    """The pixels of a rectangle inside the image (at least one), and their position."""
    height, width = image.shape[:2]
    left = min(max(math.floor(x0), 0), width - 1)
    top = min(max(math.floor(y0), 0), height - 1)
    right = max(min(math.ceil(x1), width), left + 1)
    bottom = max(min(math.ceil(y1), height), top + 1)
    return image[top:bottom, left:right], left, top
