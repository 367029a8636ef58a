"""What real rooms and cameras do to faces, made with fixed seeds from the faces of a data set.

Evaluation reports its figures for each of these conditions, and calibration fits on them together with the clean faces.
They are made with other code than the training's random changes (`fer_ros.msfernet.augmentation`), at fixed strengths.
"""

from collections.abc import Callable

import cv2
import numpy as np

CLEAN = 'clean'
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""One face, (H, W) uint8, and a generator in; the face under a condition, likewise, out."""


def small(side: int) -> Change:
    """The face in `side` × `side` pixels, enlarged again."""
    def change(face: np.ndarray, _: np.random.Generator) -> np.ndarray:
        reduced = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
        return cv2.resize(reduced, face.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return change


def light(gain: float) -> Change:
    """The face with `gain` times the light."""
    return lambda face, _: _grey(face * float(gain))


def _contrast(factor: float) -> Change:
    return lambda face, _: _grey(face.mean() + (face - face.mean()) * factor)


def _noise(deviation: float) -> Change:
    return lambda face, generator: _grey(face + generator.normal(0, deviation, face.shape))


def motion(length: int) -> Change:
    """The face that moves by `length` pixels sideways."""
    kernel = np.full((1, length), 1 / length, np.float32)
    return lambda face, _: cv2.filter2D(face, -1, kernel)


def defocus(deviation: float) -> Change:
    """The face out of focus: a Gaussian of that standard deviation in pixels."""
    return lambda face, _: cv2.GaussianBlur(face, (0, 0), deviation)


def _jpeg(quality: int) -> Change:
    def change(face: np.ndarray, _: np.random.Generator) -> np.ndarray:
        compressed = cv2.imencode('.jpg', face, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(compressed, cv2.IMREAD_GRAYSCALE), np.uint8)
    return change


def _small_jpeg(face: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    reduced = cv2.resize(face, (24, 24), interpolation=cv2.INTER_AREA)
    return cv2.resize(_jpeg(30)(reduced, generator), face.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _side_light(face: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return _grey(face * np.linspace(1.0, 0.15, face.shape[1])[None, :])


def _backlight(face: np.ndarray, _: np.random.Generator) -> np.ndarray:
    rows, columns = np.mgrid[-1:1:face.shape[0] * 1j, -1:1:face.shape[1] * 1j]
    bright = 1 / (1 + np.exp(-10 * (np.hypot(rows, columns) - 1)))
    return _grey(face * 0.3 * (1 - bright) + 250 * bright)


def _tilt(degrees: float) -> Change:
    def change(face: np.ndarray, _: np.random.Generator) -> np.ndarray:
        centre = ((face.shape[1] - 1) / 2, (face.shape[0] - 1) / 2)
        return cv2.warpAffine(face, cv2.getRotationMatrix2D(centre, degrees, 1), face.shape[::-1],
                              borderMode=cv2.BORDER_REFLECT)
    return change


def _dark_glasses(face: np.ndarray, _: np.random.Generator) -> np.ndarray:
    face, side = face.copy(), face.shape[0]
    for x in (0.31, 0.69):
        cv2.ellipse(face, (round(x * side), round(0.39 * side)), (round(0.15 * side), round(0.1 * side)), 0, 0, 360,
                    (25,), -1)
    cv2.line(face, (0, round(0.36 * side)), (side, round(0.36 * side)), (25,), 1)
    return face


def _mask(face: np.ndarray, _: np.random.Generator) -> np.ndarray:
    face, side = face.copy(), face.shape[0]
    face[round(0.6 * side):] = 200
    return face


def _grey(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


CONDITIONS: dict[str, Change] = {
    CLEAN: lambda face, _: face,
    'face of 24 px': small(24),
    'face of 16 px': small(16),
    'quarter of the light': light(0.25),
    'tenth of the light': light(0.1),
    'contrast × 0.25': _contrast(0.25),
    'noise, sd 10': _noise(10),
    'noise, sd 20': _noise(20),
    'noise, sd 30': _noise(30),
    'motion blur of 5 px': motion(5),
    'motion blur of 9 px': motion(9),
    'JPEG quality 30': _jpeg(30),
    'JPEG quality 15': _jpeg(15),
    '24 px and JPEG 30': _small_jpeg,
    'light from one side': _side_light,
    'light from behind': _backlight,
    'tilt of 30°': _tilt(30),
    'dark glasses': _dark_glasses,
    'mask': _mask,
}
"""By name."""


def apply(name: str, images: np.ndarray) -> np.ndarray:
    """Faces under one of `CONDITIONS`; the same for the same faces every time.

    Args:
        name: of the condition.
        images: (N, H, W) uint8 grey.

    Returns:
        (N, H, W) uint8.
    """
    generator = np.random.default_rng(0)
    changed = [CONDITIONS[name](image, generator) for image in images]
    return np.array(changed, np.uint8).reshape(images.shape)
