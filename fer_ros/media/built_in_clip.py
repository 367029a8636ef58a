"""The built-in clip: two public-domain portraits moving over a plain background.

Everything can be tried with it, without a camera or a download.

    0.0 s  one face, moving, coming nearer
    3.5 s  the second joins; side by side while the light dims and returns
    8.0 s  the first leaves; the second continues alone
   11.0 s  no face
   12.3 s  both return from opposite sides and cross, one above the other
   16.0 s  the first is where it was at 0 s, so that the clip can be repeated without a jump
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

DURATION = 16.0
"""Seconds."""
BACKGROUND = (112, 100, 88)
"""BGR."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Portrait:
    """Position of the face in a portrait, and the part of the portrait that is drawn; pixels (x, y, width, height)."""

    face: Box
    """Bounding box of the short-range detector of MediaPipe."""
    shown: tuple[int, int, int, int]
    """Head and shoulders."""


PORTRAITS = {
    'astronaut': Portrait(face=(177.6, 82.9, 95.3, 95.3), shown=(100, 2, 250, 284)),
    'hopper': Portrait(face=(171.4, 146.9, 194.5, 194.5), shown=(22, 8, 486, 552)),
}


@dataclass(frozen=True)
class Placement:
    """One portrait in one frame."""

    name: str
    """Key of `PORTRAITS`."""
    x: float
    """Centre of the face as a fraction of the frame width; outside 0 to 1 it is beyond the border."""
    y: float
    """Centre of the face as a fraction of the frame height."""
    size: float
    """Width of the face box in pixels of a 640×480 frame; larger frames scale it."""
    tilt: float = 0.0
    """Degrees, clockwise."""


# Visits: rows of seconds, x, y, size (as in Placement). Between rows each value is monotone, so nothing overshoots.
_VISITS = (
    ('astronaut', ((0.0, 0.42, 0.45, 120), (2.0, 0.56, 0.42, 160), (3.5, 0.36, 0.44, 130), (5.5, 0.26, 0.40, 120),
                   (7.5, 0.27, 0.48, 140), (9.0, -0.45, 0.45, 120))),
    ('hopper', ((3.4, 1.40, 0.50, 125), (5.0, 0.74, 0.48, 135), (7.5, 0.72, 0.42, 125), (9.2, 0.42, 0.46, 165),
                (10.2, 0.55, 0.52, 150), (11.2, 1.45, 0.50, 130))),
    ('astronaut', ((12.0, 1.45, 0.24, 120), (14.6, 0.34, 0.24, 120), (16.0, 0.42, 0.45, 120))),
    ('hopper', ((12.0, -0.45, 0.74, 120), (14.2, 0.62, 0.74, 120), (15.9, 1.40, 0.62, 125))),
)
# Seconds, gain.
_LIGHT = ((0.0, 1.0), (5.0, 1.0), (6.3, 0.5), (7.6, 1.0), (9.5, 1.2), (12.0, 1.0), (13.5, 0.7), (15.0, 1.15),
          (16.0, 1.0))


def portraits() -> dict[str, np.ndarray]:
    """The portraits 'astronaut' and 'hopper', uint8 (H, W, 3) BGR, included in scikit-image and matplotlib."""
    return {name: picture.copy() for name, picture in _portraits().items()}


@cache
def _portraits() -> dict[str, np.ndarray]:
    from matplotlib import cbook
    from skimage import data

    hopper = cv2.imread(str(cbook.get_sample_data('grace_hopper.jpg', asfileobj=False)))
    return {'astronaut': cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR), 'hopper': hopper}


class Stage:
    """Draws portraits over the plain background in frames of one size (pixels)."""

    def __init__(self, width: int, height: int):
        if width < 16 or height < 16:
            raise ValueError(f'a clip of {width}×{height} pixels is too small: give at least 16×16')
        self.width, self.height = int(width), int(height)
        self.scale = min(width / 640, height / 480)
        ramp = np.linspace(1.12, 0.88, self.height)[:, None, None]
        self._background = np.broadcast_to(np.rint(ramp * BACKGROUND), (self.height, self.width, 3)).astype(np.uint8)
        self._cards = {name: self._card(name) for name in PORTRAITS}

    def _card(self, name: str) -> tuple[np.ndarray, np.ndarray, float]:
        """The drawn part, and the centre and width of its face, in pixels of a card not larger than needed."""
        portrait = PORTRAITS[name]
        x, y, width, height = portrait.shown
        card = _portraits()[name][y:y + height, x:x + width]
        # Scaled once to about the drawn size, with averaging, so that drawing is fast and does not flicker.
        shrink = min(1.0, 165 * self.scale / portrait.face[2])
        card = cv2.resize(card, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        centre = (np.array(portrait.face[:2]) + np.array(portrait.face[2:]) / 2 - (x, y)) * shrink
        return card, centre, portrait.face[2] * shrink

    def face_box(self, placement: Placement) -> Box:
        """(x, y, width, height) of the face in pixels; may extend beyond the frame."""
        size = placement.size * self.scale
        return placement.x * self.width - size / 2, placement.y * self.height - size / 2, size, size

    def draw(self, placements: list[Placement], light: float = 1.0) -> np.ndarray:
        """A new frame, uint8 (height, width, 3) BGR: later placements cover earlier ones, `light` scales brightness."""
        frame = self._background.copy()
        for placement in placements:
            self._draw_one(frame, placement)
        return frame if light == 1.0 else cv2.convertScaleAbs(frame, dst=frame, alpha=light)

    def _draw_one(self, frame: np.ndarray, placement: Placement) -> None:
        card, centre, face_width = self._cards[placement.name]
        factor = placement.size * self.scale / face_width
        turn = math.radians(placement.tilt)
        matrix = factor * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        offset = np.array([placement.x * self.width, placement.y * self.height]) - matrix @ centre
        height, width = card.shape[:2]
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ matrix.T + offset
        left, top = np.maximum(np.floor(corners.min(0)).astype(int), 0)
        right, bottom = np.minimum(np.ceil(corners.max(0)).astype(int), (self.width, self.height))
        if left < right and top < bottom:  # only the part of the frame that the card covers is touched
            part = frame[top:bottom, left:right]
            transform = np.column_stack([matrix, offset - (left, top)])
            cv2.warpAffine(card, transform, (right - left, bottom - top), dst=part, flags=cv2.INTER_LINEAR,
                           borderMode=cv2.BORDER_TRANSPARENT)


class BuiltInClip:
    """A sequence of frames that are drawn on demand and always identical.

    Args:
        width, height: of the frames, pixels.
        rate: frames per second.

    Raises:
        ValueError: a size below 16×16 or a rate that is not positive.
    """

    def __init__(self, width: int = 640, height: int = 480, rate: float = 30.0):
        if not 0 < rate < math.inf:
            raise ValueError(f'the rate must be a positive number of frames per second, got {rate}')
        from scipy.interpolate import PchipInterpolator  # late: it takes 0.3 s to load, and other sources do without
        self.rate = float(rate)
        self._stage = Stage(width, height)
        self._visits = [(name, rows[0][0], rows[-1][0], PchipInterpolator([r[0] for r in rows], [r[1:] for r in rows]))
                        for name, rows in _VISITS]
        self._light = PchipInterpolator(*zip(*_LIGHT, strict=True))

    @property
    def width(self) -> int:
        """Width of the frames in pixels."""
        return self._stage.width

    @property
    def height(self) -> int:
        """Height of the frames in pixels."""
        return self._stage.height

    def __len__(self) -> int:
        return max(1, round(DURATION * self.rate))

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self.frame(index) for index in range(len(self)))

    def __getitem__(self, index: int) -> np.ndarray:
        return self.frame(range(len(self))[index])

    def frame(self, index: int) -> np.ndarray:
        """Frame `index` (0 to len − 1): uint8 (height, width, 3) BGR."""
        seconds = self._seconds(index)
        return self._stage.draw(self._placements(seconds), float(self._light(seconds)))

    def expected(self, index: int) -> list[tuple[str, Box]]:
        """Name and box (x, y, width, height in pixels) of every face that is at least partly inside the frame."""
        boxes = [(p.name, self._stage.face_box(p)) for p in self._placements(self._seconds(index))]
        return [(name, (x, y, w, h)) for name, (x, y, w, h) in boxes
                if x + w > 0 and y + h > 0 and x < self.width and y < self.height]

    def _seconds(self, index: int) -> float:
        if not 0 <= index < len(self):
            raise IndexError(f'frame {index} of a clip of {len(self)}')
        return index / self.rate

    def _placements(self, seconds: float) -> list[Placement]:
        tilt = 5 * math.sin(2 * math.pi * seconds / 4)
        placements = []
        for name, start, end, path in self._visits:
            if start <= seconds <= end:
                x, y, size = map(float, path(seconds))
                placements.append(Placement(name, x, y, size, tilt))
        return placements
