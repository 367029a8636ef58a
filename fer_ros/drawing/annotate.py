"""Draws boxes, ids, emotions and valence bars into a camera image."""

import cv2
import numpy as np

from fer_ros.drawing.colours import NEGATIVE, POSITIVE, Colour, FaceColours
from fer_ros.drawing.text import fit, put_text, text_size
from fer_ros.results.faces import FaceEmotion, FacesFrame

_WHITE: Colour = (255, 255, 255)
_DARK: Colour = (40, 40, 40)
FAINT = 0.4
"""Quality below which the box of a face is thin."""


def annotate(image: np.ndarray, frame: FacesFrame, colours: FaceColours | None = None) -> np.ndarray:
    """A copy of `image` with the box, id, emotion, confidence and valence bar of each face.

    The primary face has a thicker box, one of low quality a thin one. The bar under the box fills from its middle: to
    the right in blue for a positive valence, to the left in vermilion for a negative one. Boxes and labels are kept
    inside the image.

    Args:
        image: uint8 (H, W, 3), BGR.
        frame: the faces.
        colours: keeps the colour of each face over time; without it the colours depend on this frame alone.
    """
    picture = image.copy()
    height, width = picture.shape[:2]
    colour_of = (colours or FaceColours())(face.face_id for face in frame.faces)
    size = max(11, round(min(height, width * 0.75) / 36))  # of the font, px
    for face in reversed(frame.faces):  # the largest last, on top
        _draw_face(picture, face, colour_of[face.face_id], size, face.face_id == frame.primary)
    return picture


def _draw_face(picture: np.ndarray, face: FaceEmotion, colour: Colour, size: int, primary: bool) -> None:
    height, width = picture.shape[:2]
    line = 1 if face.quality < FAINT else max(1, round(size / 7)) * (2 if primary else 1)
    x, y, w, h = face.box
    x0, y0 = (int(np.clip(round(v), 0, limit - 1)) for v, limit in ((x, width), (y, height)))
    x1, y1 = (int(np.clip(round(v), 0, limit - 1)) for v, limit in ((x + w, width), (y + h, height)))
    cv2.rectangle(picture, (x0, y0), (x1, y1), _WHITE, line + 2)  # the border separates the box from any background
    cv2.rectangle(picture, (x0, y0), (x1, y1), colour, line)

    pad = max(2, size // 5)
    values = f'{face.emotion} {face.confidence:.0%}'
    face_id = fit(face.face_id, size, width / 3, bold=True)  # limited, to leave room for the emotion
    label = fit(f'{face_id}  {values}', size, width - 2 * pad, bold=True)
    label_width, label_height = (v + 2 * pad for v in text_size(label, size, bold=True))
    left = int(np.clip(x0, 0, max(0, width - label_width)))
    top = y0 - label_height if y0 >= label_height else min(y0, max(0, height - label_height))
    right = min(left + label_width, width) - 1
    cv2.rectangle(picture, (left, top), (right, top + label_height - 1), colour, cv2.FILLED)
    ink = _WHITE if np.dot(colour, (0.114, 0.587, 0.299)) < 140 else _DARK
    put_text(picture, label, left + pad, top + pad, size, ink, bold=True)

    _draw_bar(picture, face.valence, x0, y1 + line, max(x1 - x0, 8 * size), size)


def _draw_bar(picture: np.ndarray, valence: float, x: int, y: int, length: int, size: int) -> None:
    """Draw the valence bar below a box whose lower left corner is (x, y), or inside it if there is no room; pixels."""
    height, width = picture.shape[:2]
    thickness = max(6, size // 2)
    length = min(length, width)
    left = int(np.clip(x, 0, width - length))
    number = f'{valence:+.2f}'.replace('-', '−')
    small = max(10, round(size * 0.85))
    number_width, number_height = text_size(number, small)
    row = max(thickness + 2, number_height)
    top = y + 2 if y + 2 + row <= height else max(0, min(y, height) - row - 2)
    bar = length - number_width - 6
    middle_y = top + row // 2
    cv2.rectangle(picture, (left, top), (left + length - 1, top + row - 1), _DARK, cv2.FILLED)
    put_text(picture, number, left + length - 3, top + (row - number_height) // 2, small, _WHITE, align=(1, 0))
    if bar < 12:  # room only for the number
        return
    y0, y1 = middle_y - thickness // 2, middle_y + thickness // 2
    left, right = left + 2, left + bar - 1
    zero = (left + right) / 2
    tip = zero + valence * (right - left) / 2
    cv2.rectangle(picture, (left, y0), (right, y1), (225, 225, 225), cv2.FILLED)
    fill = POSITIVE if valence >= 0 else NEGATIVE
    cv2.rectangle(picture, (round(min(zero, tip)), y0), (round(max(zero, tip)), y1), fill, cv2.FILLED)
    cv2.line(picture, (round(zero), y0), (round(zero), y1), _DARK, max(1, thickness // 6))
