"""Face detection in one image: MediaPipe BlazeFace, short or full range, and YuNet, behind one interface."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from fer_ros.parameters import FER_NODE, defaults
from fer_ros.perception import PipelineError, blazeface, detector_models
from fer_ros.perception.mediapipe_stderr import without_chatter

log = logging.getLogger(__name__)

BLAZEFACE = ('short', 'full')
DETECTORS = (*BLAZEFACE, 'yunet')
LOWEST_CONFIDENCE = 0.05
"""Detectors return everything above this score, so that `confidence` can change without creating them again."""
LONGEST_SIDE = 32766
"""Pixels: of a longer image OpenCV's `remap` fails, and with it MediaPipe ends the process."""
_CONFIDENCE: float = defaults(FER_NODE)['detection_confidence']
_YUNET_SIDE: int = defaults(FER_NODE)['yunet_side']


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
    detector: str = 'short'
    """Which of `DETECTORS` found it: each draws its bounding boxes in its own way."""


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


def create_detector(kind: str, *, model: str | Path = '', confidence: float = _CONFIDENCE,
                    yunet_side: int = _YUNET_SIDE) -> FaceDetector:
    """Create a detector.

    Args:
        kind: 'short' or 'full' (BlazeFace of short or full range) or 'yunet'.
        model: the detector's file: required for 'yunet' (.onnx); for 'short' and 'full' a BlazeFace .tflite, which
            LiteRT runs. Empty: the model that comes with MediaPipe up to 0.10.21, run by MediaPipe itself where its
            `solutions` work, and else by LiteRT. MediaPipe's Tasks API is not used: newer ones report their use.
        confidence: 0 to 1.
        yunet_side: pixels to which the longer side of an image is scaled down for YuNet, whose time grows with them.

    Raises:
        DetectorError: an unknown kind, a missing or unusable model file, or nothing that can run it.
    """
    if kind not in DETECTORS:
        raise DetectorError(f'unknown detector {kind!r}: choose one of {", ".join(DETECTORS)}')
    if model and not Path(model).is_file():
        raise DetectorError(f'no detector model at {model}: give the path of a file')
    if kind == 'yunet':
        return YuNetDetector(model, confidence, yunet_side)
    return LiteRTDetector(model, confidence, kind) if model else _blazeface(kind, confidence)


def _blazeface(kind: str, confidence: float) -> FaceDetector:
    """BlazeFace with the model that is installed, and what runs it."""
    if detector_models.has_solutions():
        try:
            return MediaPipeDetector(kind, confidence)
        except DetectorError as error:
            # Installed, and yet it fails: that should be seen to.
            log.warning('BlazeFace runs in LiteRT: %s', error)
    path = detector_models.find_model(kind)
    if path is None:
        raise DetectorError(f'the model of the detector {kind} is not installed: {detector_models.INSTALL}, or give a '
                            'BlazeFace .tflite file as detector_model')
    return LiteRTDetector(path, confidence, kind)


class MediaPipeDetector:
    """BlazeFace with the models included in the MediaPipe wheel (its `solutions`, removed in 0.10.30).

    The image is scaled down to 128×128 (short) or 192×192 (full) pixels with its aspect ratio kept, so the minimum size
    of a face depends only on the longer side of the image: docs/perception.md has the figures.
    """

    def __init__(self, kind: str, confidence: float):
        try:
            from mediapipe.python.solutions import face_detection
        except Exception as error:  # built for another NumPy or protobuf, its parts raise errors of any kind
            raise DetectorError(f'MediaPipe is installed but cannot be imported ({_first_line(error)}): '
                                'pip install "numpy<2" "protobuf<5" mediapipe==0.10.21') from error
        self.confidence = confidence
        self._kind = kind
        self._rgb: np.ndarray | None = None
        with without_chatter():
            self._detector = face_detection.FaceDetection(
                model_selection=BLAZEFACE.index(kind), min_detection_confidence=LOWEST_CONFIDENCE)
            self.detect(np.zeros((64, 64, 3), np.uint8))  # the first run includes the set-up

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Detect faces, best score first. Raises DetectorError."""
        if max(image.shape[:2]) > LONGEST_SIDE:
            raise DetectorError(f'MediaPipe takes images of at most {LONGEST_SIDE} pixels a side, got '
                                f'{image.shape[1]}×{image.shape[0]}: scale them down')
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
                np.array(points, np.float32).reshape(-1, 2) * size, self._kind))
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


class LiteRTDetector:
    """BlazeFace from a .tflite file, run by LiteRT, which connects to nothing. Its faces are those of `solutions`.

    Below the least score that MediaPipe allows (`blazeface.FIRM`) it finds further, fainter ones.
    """

    def __init__(self, model: str | Path, confidence: float, kind: str = 'short'):
        self._kind = kind
        try:
            from ai_edge_litert.interpreter import Interpreter
        except Exception as error:  # an incomplete or foreign build can raise any
            raise DetectorError(f'LiteRT cannot be imported ({_first_line(error)}): pip install '
                                'ai-edge-litert') from error
        self.confidence = confidence
        with without_chatter():
            try:
                self._interpreter = Interpreter(model_path=str(model), num_threads=1)
                self._interpreter.allocate_tensors()
                self._read_shapes()
            except (RuntimeError, ValueError, KeyError) as error:
                raise DetectorError(f'{model} is not a BlazeFace model that LiteRT can run ({_first_line(error)}): '
                                    'give a face_detection_….tflite file of MediaPipe') from error
            self.detect(np.zeros((64, 64, 3), np.uint8))

    def _read_shapes(self) -> None:
        image, = self._interpreter.get_input_details()
        outputs = {tuple(output['shape'][2:]): output for output in self._interpreter.get_output_details()}
        boxes, scores = outputs[blazeface.VALUES,], outputs[1,]
        shape = tuple(image['shape'])
        if len(shape) != 4 or shape[1] != shape[2] or any(t['dtype'] is not np.float32 for t in (image, boxes, scores)):
            raise ValueError(f'it takes {image["dtype"].__name__} of shape {shape}')
        self._side = int(shape[1])
        self._anchors = blazeface.anchors(int(boxes['shape'][1]))
        self._firm = blazeface.FIRM[len(self._anchors)]
        self._input, self._boxes, self._scores = image['index'], boxes['index'], scores['index']

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Detect faces, best score first. Raises DetectorError."""
        square = blazeface.InputSquare(image.shape[1], image.shape[0])
        try:
            self._interpreter.set_tensor(self._input, square.shrink(image, self._side))
            self._interpreter.invoke()
        except (cv2.error, RuntimeError, ValueError) as error:
            raise DetectorError(f'LiteRT failed on an image of shape {image.shape}: {_first_line(error)}') from error
        boxes, logits = (self._interpreter.get_tensor(tensor)[0] for tensor in (self._boxes, self._scores))
        faces = blazeface.merge(blazeface.decode(boxes, logits[:, 0], self._anchors, self._side,
                                                 min(self._firm, self.confidence)), self._firm)
        corners = square.to_pixels(faces.corners.reshape(-1, 2, 2))
        detections = []
        for (low, high), score, keypoints in zip(corners, faces.scores, square.to_pixels(faces.keypoints), strict=True):
            (left, top), (width, height) = low.tolist(), (high - low).tolist()
            detections.append(Detection((left, top, width, height), float(score), keypoints, self._kind))
        return _usable(detections, self.confidence)

    def close(self) -> None:
        """Release the interpreter."""
        self._interpreter = None


class YuNetDetector:
    """YuNet (Wu et al., 2023) through OpenCV, from an .onnx file given by the user."""

    def __init__(self, model: str | Path, confidence: float, side: int = _YUNET_SIDE):
        self._side = side
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
        scale = min(1.0, self._side / max(image.shape[:2]))
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
            detections.append(Detection((x, y, width, height), float(row[14]), row[4:14].reshape(5, 2) / scale,
                                        'yunet'))
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
