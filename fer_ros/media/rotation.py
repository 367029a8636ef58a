"""Turns the pictures of a camera that is not mounted upright, by quarter turns.

Boxes, keypoints and whatever is drawn are in the turned picture; `box_in_camera_image` leads back.
"""

import cv2
import numpy as np

from fer_ros.parameters import FER_NODE, by_name, problem

ROTATE = by_name(FER_NODE)['rotate']
ANGLES: tuple[int, ...] = ROTATE.choices
"""Degrees clockwise by which a picture can be turned."""
_CODES = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def check(degrees: int) -> None:
    """Raise ValueError, with the allowed values, unless `degrees` is one of `ANGLES`."""
    if text := problem(ROTATE, degrees):
        raise ValueError(text)


def turned(image: np.ndarray, degrees: int) -> np.ndarray:
    """The picture turned clockwise.

    Args:
        image: (H, W, …), of any dtype.
        degrees: one of `ANGLES`.

    Returns:
        (H, W, …) or, by 90 and 270 degrees, (W, H, …); by 0 degrees `image` itself.

    Raises:
        ValueError: another angle.
    """
    check(degrees)
    return cv2.rotate(image, _CODES[degrees]) if degrees else image


def box_in_camera_image(box: tuple[float, float, float, float], degrees: int, width: float,
                        height: float) -> tuple[float, float, float, float]:
    """The part of the camera's image that a box in the turned picture covers.

    Args:
        box: (x, y, width, height) in the turned picture, in pixels or any other unit.
        degrees: by which the picture was turned, one of `ANGLES`.
        width: of the camera's image, which is the height of the turned picture for 90 and 270 degrees.
        height: of the camera's image.

    Returns:
        (x, y, width, height) in the camera's image.

    Raises:
        ValueError: another angle.
    """
    check(degrees)
    x, y, w, h = box
    return {0: (x, y, w, h), 90: (y, height - x - w, h, w), 180: (width - x - w, height - y - h, w, h),
            270: (width - y - h, x, h, w)}[degrees]
