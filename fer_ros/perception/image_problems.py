"""What is wrong with the images of a camera, so that faces are missed or classified wrongly.

Light, sharpness and size are measured on the largest face, or without a face on the whole image, reduced to a few
pixels. The thresholds were measured on FER2013 faces under simulated light and blur (docs/perception.md); measure them
again with ``python -m benchmarks.image_problems``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from fer_ros.perception.image_parts import Box
from fer_ros.perception.quality import CLIPPED
from fer_ros.results.frame_result import FrameResult

SIDE = 42
"""Pixels to which a face is reduced: the bounding box of a face of the training set, in which blur is measured."""
SAMPLES = 96
"""Rows and columns, at most, of the pixels that are looked at in an image without a face."""
DARK = 22.0
"""Grey level below which nine pixels in ten of a dark face or image are."""
OVEREXPOSED = 0.5
"""Share of such pixels in an overexposed face or image."""
BLURRED = 0.13
"""Sharpness, as of `sharpness`, below which a face is blurred."""
SMALL = 19.0
"""Side of the bounding box in pixels below which a face is too small."""
SIDEWAYS = math.radians(40)
"""Tilt of the eyes beyond which a face stands on its side. Keypoints of a face turned by 90° say about 60°."""
PERIOD = 0.2
"""Seconds from one image that is looked at to the next."""
LEAST = 3
"""Looks, or scores of faces, that must add up before anything is said."""
MOST = 0.5
"""Share of the looks above which a problem is said."""


@dataclass(frozen=True)
class Look:
    """What one image shows."""

    bright: float
    """90th percentile of the grey levels."""
    clipped: float
    """Share of overexposed pixels, 0 to 1."""
    size: float | None = None
    """Side of the bounding box in pixels (root of its area); None without a face, as is the next."""
    sharpness: float | None = None


def look(image: np.ndarray, box: tuple[float, float, float, float] | None) -> Look:
    """Look at an image.

    Args:
        image: uint8 (H, W, 3) BGR.
        box: (x, y, width, height) of the largest face, in pixels; None if there is none.
    """
    face = _inside(image, box) if box else None
    if box is None or face is None:
        height, width = image.shape[:2]
        grey = _grey(image[::-(-height // SAMPLES), ::-(-width // SAMPLES)])
        return Look(float(np.percentile(grey, 90)), float((grey >= CLIPPED).mean()))
    size = math.sqrt(box[2] * box[3])
    step = max(1, int(size) // (4 * SIDE))  # whole pixels are left out first: reducing a large face takes long
    grey = _grey(face[::step, ::step])
    scale = SIDE * step / size
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return Look(float(np.percentile(grey, 90)), float((grey >= CLIPPED).mean()), size, sharpness(grey))


def sharpness(grey: np.ndarray) -> float:
    """Second differences of a face relative to its contrast, in the direction in which they are less: motion blurs one.

    Args:
        grey: uint8 (H, W), a face of `SIDE` pixels or less.

    Returns:
        Ratio of two standard deviations: about 0.5 for a sharp face, less the more it is blurred.
    """
    values = grey.astype(np.float32)
    differences = [float(np.diff(values, 2, axis).std()) for axis in (0, 1) if grey.shape[axis] > 2]
    return min(differences, default=0.0) / max(float(values.std()), 1.0)


def look_at(image: np.ndarray, boxes: Sequence[Box]) -> Look:
    """As `look`, with the bounding boxes of all faces, the largest first."""
    return look(image, boxes[0] if boxes else None)


class Schedule:
    """Which images of a stream are looked at."""

    def __init__(self) -> None:
        self._stamp: float | None = None

    def passed(self, stamp: float) -> float | None:
        """Seconds since the last image that was looked at, or None if the one at `stamp` is not."""
        passed = PERIOD if self._stamp is None else stamp - self._stamp
        if 0 <= passed < PERIOD:
            return None
        self._stamp = stamp
        return passed


class ImageProblems:
    """Says what has been wrong most of the time.

    Args:
        half_life: seconds after which an old image counts half; infinite: all count alike, as for a whole recording.
        rotate: degrees clockwise by which the images were turned already.
    """

    def __init__(self, half_life: float = math.inf, rotate: int = 0):
        self._half_life = half_life
        self._rotate = rotate
        self.reset()

    def reset(self) -> None:
        """Forget everything: other images follow."""
        self._schedule = Schedule()
        self._looks = self._of_faces = self._faces = 0.0
        self._counts = dict.fromkeys(('dark', 'overexposed', 'small', 'blurred', 'right', 'left'), 0.0)
        self._sizes = 0.0
        self.hints: tuple[str, ...] = ()
        """What is wrong and what to do, one line each; may be read from any thread."""

    def add(self, image: np.ndarray, result: FrameResult, stamp: float, rotate: int = 0) -> None:
        """Look at a frame, unless one was looked at just before.

        Args:
            image: uint8 (H, W, 3) BGR.
            result: its faces.
            stamp: seconds.
            rotate: degrees clockwise by which the image was turned already.
        """
        if rotate != self._rotate:
            self.reset()
            self._rotate = rotate
        passed = self._schedule.passed(stamp)
        if passed is None:
            return
        self._forget(passed)
        self.add_look(look_at(image, [face.box for face in result.faces]), result)

    def add_look(self, seen: Look, result: FrameResult) -> None:
        """Count what an image that was looked at elsewhere shows, and its faces."""
        self._count(seen, result)
        self.hints = tuple(self._problems())

    def _forget(self, passed: float) -> None:
        kept = 1.0 if math.isinf(self._half_life) else 0.5 ** (max(passed, 0.0) / self._half_life)
        self._looks, self._of_faces, self._faces, self._sizes = (
            kept * number for number in (self._looks, self._of_faces, self._faces, self._sizes))
        self._counts = {name: kept * number for name, number in self._counts.items()}

    def _count(self, seen: Look, result: FrameResult) -> None:
        counts = self._counts
        self._looks += 1
        counts['dark'] += seen.bright < DARK
        counts['overexposed'] += seen.clipped > OVEREXPOSED
        if seen.size is not None and seen.sharpness is not None:
            self._of_faces += 1
            small = seen.size < SMALL
            counts['small'] += small
            self._sizes += seen.size * small
            # Dark and overexposed faces have other differences, of noise and of cut-off tops.
            counts['blurred'] += seen.sharpness < BLURRED and seen.bright >= DARK and seen.clipped <= OVEREXPOSED
        for face_id, tilt in result.tilts.items():
            score = result.scores.get(face_id, 1.0)  # turned images have more false finds, which score less
            self._faces += score
            counts['right'] += score * (tilt > SIDEWAYS)
            counts['left'] += score * (tilt < -SIDEWAYS)

    def _problems(self) -> list[str]:
        counts, problems = self._counts, []
        if _often(counts['dark'], self._looks):
            problems.append('image too dark: add light or raise the exposure')
        if _often(counts['overexposed'], self._looks):
            problems.append('image overexposed: lower the exposure, or keep windows out of the picture')
        if _often(counts['small'], self._of_faces):
            problems.append(f'faces too small ({self._sizes / counts["small"]:.0f} px): move closer or raise the '
                            'resolution')
        if _often(counts['blurred'], self._of_faces):
            problems.append('faces blurred: focus or clean the lens, or shorten the exposure')
        if _often(counts['left'] + counts['right'], self._faces):
            angle = 90 if counts['left'] > counts['right'] else 270
            problems.append(f'faces stand on their side: set rotate to {(self._rotate + angle) % 360}')
        return problems


def _often(count: float, of: float) -> bool:
    return of >= LEAST and count > MOST * of


def _inside(image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray | None:
    """The part of the image in a box; None if there are not at least 3 × 3 pixels."""
    x, y, width, height = box
    part = image[max(round(y), 0):max(round(y + height), 0), max(round(x), 0):max(round(x + width), 0)]
    return part if min(part.shape[:2]) >= 3 else None


def _grey(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2GRAY)
