"""Face detection: MediaPipe BlazeFace, short or full range, and YuNet, behind one interface."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from fer_ros.parameters import FER_NODE, by_name, defaults
from fer_ros.perception import PipelineError
from fer_ros.perception.mediapipe_stderr import without_chatter

DETECTORS = by_name(FER_NODE)['detector'].choices
LOWEST_CONFIDENCE = 0.05
"""Detectors return everything above this score, so that `confidence` can change without creating them again."""
_CONFIDENCE: float = defaults(FER_NODE)['detection_confidence']
YUNET_SIDE = 640
"""Longer sides are scaled to this for YuNet, whose time grows with the pixels and which finds faces of 10 to 300 px."""


class DetectorError(PipelineError):
    """The face detector cannot be created or run; the message names the remedy."""


@dataclass(frozen=True, eq=False)
class Detection:
    """One face found in one image."""

    box: tuple[float, float, float, float]
    """(x, y, width, height) in pixels; may extend beyond the image."""
    score: float
    """0 to 1."""
    keypoints: np.ndarray
    """(K, 2) float32 pixels. MediaPipe, K = 6: right eye, left eye, nose tip, mouth centre, right ear, left ear.
    YuNet, K = 5: right eye, left eye, nose tip, right and left corner of the mouth. Right is the person's right."""


class FaceDetector(Protocol):
    """Finds faces. Must not be used from several threads at once."""

    confidence: float
    """Faces with a lower score are ignored; may be changed at any time."""

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Faces in an image of uint8 (H, W, 3) BGR, best score first.

        Raises:
            DetectorError: the detector fails on this image.
        """

    def close(self) -> None:
        """Release the detector; it cannot be used afterwards."""


def create_detector(kind: str, *, model: str | Path = '', confidence: float = _CONFIDENCE) -> FaceDetector:
    """Create a detector.

    Args:
        kind: 'short' (BlazeFace for faces within about 2 m), 'full' (about 5 m) or 'yunet'.
        model: the model file: required for 'yunet' (.onnx); for 'short' and 'full' a BlazeFace .tflite for the Tasks
            API of MediaPipe, or empty for the one included in MediaPipe up to 0.10.21.
        confidence: 0 to 1.

    Raises:
        DetectorError: an unknown kind, a missing or unusable model file, or no usable MediaPipe.
    """
    if kind not in DETECTORS:
        raise DetectorError(f'unknown detector {kind!r}: choose one of {", ".join(DETECTORS)}')
    if model and not Path(model).is_file():
        raise DetectorError(f'no detector model at {model}: give the path of a file')
    if kind == 'yunet':
        return YuNetDetector(model, confidence)
    return MediaPipeTasksDetector(model, confidence) if model else MediaPipeDetector(kind, confidence)


def _mediapipe():
    try:
        import mediapipe
    except ImportError as error:
        raise DetectorError(f'MediaPipe cannot be imported ({error}): pip install mediapipe==0.10.21, or use the '
                            'detector yunet with a model file') from error
    return mediapipe


class MediaPipeDetector:
    """BlazeFace with the models included in the MediaPipe wheel (its `solutions`, removed in 0.10.30).

    The image is scaled down to 128×128 (short) or 192×192 (full) pixels with its aspect ratio kept, so the minimum size
    of a face depends only on the longer side of the image: docs/perception.md has the figures.
    """

    def __init__(self, kind: str, confidence: float):
        mediapipe = _mediapipe()
        try:
            face_detection = mediapipe.solutions.face_detection
        except AttributeError:
            raise DetectorError(
                f'MediaPipe {mediapipe.__version__} does not include the face models: pip install mediapipe==0.10.21, '
                'or give a BlazeFace .tflite file as detector_model') from None
        self.confidence = confidence
        self._rgb: np.ndarray | None = None
        with without_chatter():
            self._detector = face_detection.FaceDetection(
                model_selection=DETECTORS.index(kind), min_detection_confidence=LOWEST_CONFIDENCE)
            self.detect(np.zeros((64, 64, 3), np.uint8))  # the first run includes the set-up

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Detect faces, best score first. Raises DetectorError."""
        try:
            found = self._detector.process(self._to_rgb(image)).detections or ()
        except (RuntimeError, ValueError) as error:
            raise DetectorError(f'MediaPipe failed on an image of shape {image.shape}: {error}') from error
        height, width = image.shape[:2]
        size = np.array([width, height], np.float32)
        detections = []
        for face in found:
            box = face.location_data.relative_bounding_box
            points = [(p.x, p.y) for p in face.location_data.relative_keypoints]
            detections.append(Detection(
                (box.xmin * width, box.ymin * height, box.width * width, box.height * height), face.score[0],
                np.array(points, np.float32).reshape(-1, 2) * size))
        return _usable(detections, self.confidence)

    def _to_rgb(self, image: np.ndarray) -> np.ndarray:
        # The same memory is reused, since new pages cost more than the conversion; MediaPipe, which does not keep a
        # reference, accepts a read-only array without copying it.
        self._rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=self._rgb)
        rgb = self._rgb.view()
        rgb.flags.writeable = False
        return rgb

    def close(self) -> None:
        """Release the detector."""
        self._detector.close()


class MediaPipeTasksDetector:
    """BlazeFace from a file, through the Tasks API of MediaPipe."""

    def __init__(self, model: str | Path, confidence: float):
        mediapipe = _mediapipe()
        try:
            tasks = mediapipe.tasks
            vision = tasks.vision
            self._image = partial(mediapipe.Image, mediapipe.ImageFormat.SRGB)
        except AttributeError as error:
            raise DetectorError(f'MediaPipe {mediapipe.__version__} has no Tasks API: '
                                'pip install -U mediapipe') from error
        self.confidence = confidence
        options = vision.FaceDetectorOptions(base_options=tasks.BaseOptions(model_asset_path=str(model)),
                                             min_detection_confidence=LOWEST_CONFIDENCE)
        with without_chatter():
            try:
                self._detector = vision.FaceDetector.create_from_options(options)
            except (RuntimeError, ValueError) as error:
                raise DetectorError(f'{model} cannot be used as a face detector by MediaPipe '
                                    f'({_first_line(error)}): give a BlazeFace .tflite file') from error
            self.detect(np.zeros((64, 64, 3), np.uint8))

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Detect faces, best score first. Raises DetectorError."""
        try:
            found = self._detector.detect(self._image(data=cv2.cvtColor(image, cv2.COLOR_BGR2RGB))).detections
        except (RuntimeError, ValueError) as error:
            raise DetectorError(f'MediaPipe failed on an image of shape {image.shape}: {_first_line(error)}') from error
        size = np.array([image.shape[1], image.shape[0]], np.float32)
        detections = []
        for face in found:
            box = face.bounding_box
            points = [(p.x, p.y) for p in face.keypoints or ()]
            detections.append(Detection(
                (float(box.origin_x), float(box.origin_y), float(box.width), float(box.height)),
                face.categories[0].score, np.array(points, np.float32).reshape(-1, 2) * size))
        return _usable(detections, self.confidence)

    def close(self) -> None:
        """Release the detector."""
        self._detector.close()


class YuNetDetector:
    """YuNet (Wu et al., 2023) through OpenCV, from an .onnx file given by the user."""

    def __init__(self, model: str | Path, confidence: float):
        if not model:
            raise DetectorError('the detector yunet requires detector_model: the path of '
                                'face_detection_yunet_2023mar.onnx from the OpenCV model zoo')
        self.confidence = confidence
        self._size = (0, 0)
        try:
            self._detector = cv2.FaceDetectorYN.create(str(model), '', (320, 320), LOWEST_CONFIDENCE)
            self.detect(np.zeros((64, 64, 3), np.uint8))
        except (cv2.error, DetectorError) as error:
            raise DetectorError(f'{model} cannot be used as a YuNet model by OpenCV {cv2.__version__} '
                                f'({_first_line(error)}): give face_detection_yunet_2023mar.onnx') from error

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Detect faces, best score first. Raises DetectorError."""
        scale = min(1.0, YUNET_SIDE / max(image.shape[:2]))
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        size = width, height
        try:
            if scale < 1:
                image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            if size != self._size:
                self._detector.setInputSize(size)
                self._size = size
            faces = self._detector.detect(np.ascontiguousarray(image))[1]
        except cv2.error as error:
            raise DetectorError(f'YuNet failed on an image of shape {image.shape}: {_first_line(error)}') from error
        rows = np.zeros((0, 15), np.float32) if faces is None else np.asarray(faces, np.float32).reshape(-1, 15)
        detections = []
        for row in rows:
            x, y, width, height = (row[:4] / scale).tolist()
            detections.append(Detection((x, y, width, height), float(row[14]), row[4:14].reshape(5, 2) / scale))
        return _usable(detections, self.confidence)

    def close(self) -> None:
        """Release the detector."""
        del self._detector


def _usable(detections: list[Detection], confidence: float) -> list[Detection]:
    good = [d for d in detections
            if d.score >= confidence and np.isfinite(d.box).all() and d.box[2] >= 1 and d.box[3] >= 1]
    return sorted(good, key=lambda d: -d.score)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
