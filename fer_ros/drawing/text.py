"""Antialiased text in OpenCV images, in the DejaVu font included in matplotlib."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fer_ros.drawing.colours import Colour


@lru_cache(maxsize=32)
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    import matplotlib  # late: programs start faster without it, and few draw text at once
    name = 'DejaVuSans-Bold.ttf' if bold else 'DejaVuSans.ttf'
    return ImageFont.truetype(Path(matplotlib.get_data_path(), 'fonts/ttf', name), size)


@lru_cache(maxsize=256)  # changing values and new ids fill it within minutes, so it is limited to about 0.5 MB
def _mask(text: str, size: int, bold: bool) -> np.ndarray:
    """Coverage 0 to 255 of `text`, uint8 (height, width, 1); the height depends only on size and weight."""
    font = _font(size, bold)
    ascent, descent = font.getmetrics()
    picture = Image.new('L', (max(1, round(font.getlength(text))), ascent + descent))
    ImageDraw.Draw(picture).text((0, 0), text, fill=255, font=font)
    mask = np.array(picture)[..., None]
    mask.flags.writeable = False
    return mask


def text_size(text: str, size: int, bold: bool = False) -> tuple[int, int]:
    """Width and height in pixels of `text` in a font of `size` pixels."""
    height, width = _mask(text, size, bold).shape[:2]
    return width, height


def fit(text: str, size: int, width: float, bold: bool = False) -> str:
    """`text`, shortened with an ellipsis if it is wider than `width` pixels."""
    if text_size(text, size, bold)[0] <= width:
        return text
    font = _font(size, bold)
    kept = next((n for n in range(len(text) - 1, 0, -1) if font.getlength(text[:n] + '…') <= width), 0)
    return text[:kept].rstrip() + '…' if kept else ''


def put_text(image: np.ndarray, text: str, x: float, y: float, size: int, colour: Colour, *,
             align: tuple[float, float] = (0.0, 0.0), bold: bool = False, upwards: bool = False) -> None:
    """Draw `text` into `image` (uint8, BGR), in place, clipped to the image.

    Args:
        x, y: position in pixels of the point of the text rectangle selected by `align`.
        align: (0, 0) the top left corner, (1, 1) the bottom right one, (0.5, 0.5) the centre.
        upwards: rotated by 90°, from bottom to top.
    """
    mask = _mask(text, size, bold)
    if upwards:
        mask = np.rot90(mask)
    height, width = mask.shape[:2]
    left, top = round(x - align[0] * width), round(y - align[1] * height)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + width, image.shape[1]), min(top + height, image.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    mask = mask[y0 - top:y1 - top, x0 - left:x1 - left].astype(np.float32) / 255
    area = image[y0:y1, x0:x1]
    area[:] = area + mask * (np.array(colour, np.float32) - area) + 0.5
