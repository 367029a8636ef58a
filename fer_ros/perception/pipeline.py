"""A frame and its stamp in, the faces with their emotions out: what node, demo and offline video share."""

import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from fer_ros.parameters import FER_NODE
from fer_ros.perception.cropping import FRAMING, crop_faces
from fer_ros.perception.detection import create_detector
from fer_ros.perception.face_classifier import FaceClassifier
from fer_ros.perception.primary import PrimaryFace
from fer_ros.perception.recognition import EmotionRecognizer
from fer_ros.perception.tracking import FaceTracker, Track
from fer_ros.results.faces import FaceEmotion

_DEFAULTS = {parameter.name: parameter.default for parameter in FER_NODE}


@dataclass(frozen=True)
class PipelineSettings:
    """What can be set; names, meaning, units, ranges and defaults are those of `fer_ros.parameters.FER_NODE`."""

    model: str | Path = _DEFAULTS['model']
    device: str = _DEFAULTS['device']
    runtime: str = _DEFAULTS['runtime']
    threads: int = _DEFAULTS['threads']
    detector: str = _DEFAULTS['detector']
    detector_model: str | Path = _DEFAULTS['detector_model']
    detection_confidence: float = _DEFAULTS['detection_confidence']
    detect_every: int = _DEFAULTS['detect_every']
    max_faces: int = _DEFAULTS['max_faces']
    track_timeout: float = _DEFAULTS['track_timeout']
    half_life: float = _DEFAULTS['half_life']
    primary_face: str = _DEFAULTS['primary_face']
    primary_hold: float = _DEFAULTS['primary_hold']
    deterministic_ids: bool = False
    """Ids f1, f2, … in order of appearance, for tests and recordings to compare."""


STRUCTURAL = ('model', 'device', 'runtime', 'threads', 'detector', 'detector_model', 'deterministic_ids')
"""Settings that need a new pipeline; the others may be changed at any time."""


class FacePipeline:
    """Detection, tracking, cropping, recognition and smoothing in one straight line.

    Not for use from several threads at once.

    Args:
        settings: see `PipelineSettings`.

    Raises:
        PipelineError: the model, the device or the detector cannot be used (`RecognizerError`, `DetectorError`).
        ValueError: a setting is out of its range.
    """

    def __init__(self, settings: PipelineSettings | None = None):
        settings = settings or PipelineSettings()
        _check(settings)
        self.classifier = FaceClassifier(EmotionRecognizer(settings.model, settings.device, settings.threads,
                                                   settings.runtime), settings.half_life)
        self._detector = create_detector(settings.detector, model=settings.detector_model,
                                         confidence=settings.detection_confidence)
        self._framing = FRAMING[settings.detector]
        self._tracker = FaceTracker(settings.track_timeout, settings.deterministic_ids)
        self._primary_face = PrimaryFace(settings.primary_face, settings.primary_hold)
        self._last_detection: _Detected | None = None
        self.settings = settings
        self.primary: str | None = None
        """Id of the face of the last frame to speak of, or None."""
        self.timings: dict[str, float] = {}
        """Seconds of the last frame's stages: detect, track, crop, recognise, smooth."""
        self.scores: dict[str, float] = {}
        """Detection score, 0 to 1, of each face of the last frame."""

    @property
    def recognizer(self) -> EmotionRecognizer:
        return self.classifier.recognizer

    @property
    def living_ids(self) -> set[str]:
        """Of all faces followed, those not seen in the last frame among them."""
        return self._tracker.living_ids

    def process(self, image: np.ndarray, stamp: float) -> list[FaceEmotion]:
        """Find the faces of a frame and read their emotions.

        Args:
            image: uint8 (H, W, 3) BGR.
            stamp: when it was taken, in seconds on any clock. Smoothing starts anew when it jumps back or ahead.

        Returns:
            The faces seen in this frame, the largest first; empty when there are none.

        Raises:
            ValueError: the image has another dtype or shape, or no pixels, or the stamp is not finite.
            PipelineError: the detector or the device fails on this frame; the next one may be processed.
        """
        _check_image(image, stamp)
        self.timings, self.scores, self.primary = {}, {}, None
        watch = _Stopwatch(self.timings)
        tracks = self._find(image, stamp, watch)
        living = self.living_ids
        self.classifier.keep(living)
        self.primary = self._primary_face.choose(tracks, living, stamp, image.shape[1::-1])
        watch.stop('track')
        crops = crop_faces(image, [self._framing.square(track.detection) for track in tracks])
        watch.stop('crop')
        raw = self.recognizer.probabilities(crops)
        watch.stop('recognise')
        ids, boxes = [track.face_id for track in tracks], [track.box for track in tracks]
        faces = self.classifier.smooth(ids, boxes, self.classifier.calibrate(ids, raw, stamp), stamp)
        self.scores = {track.face_id: track.detection.score for track in tracks}
        watch.stop('smooth')
        return faces

    def _find(self, image: np.ndarray, stamp: float, watch: '_Stopwatch') -> list[Track]:
        """The faces of this frame, the largest first: by detection, or from the last one where `detect_every` allows.

        It does not while no face is there, after a gap or a jump of the stamps, or when the image size has changed.
        """
        last, self._last_detection = self._last_detection, None  # should the detector fail, the next frame is detected
        if last is not None and (last.frames < self.settings.detect_every and last.shape == image.shape
                                 and 0 <= stamp - last.stamp < self.settings.track_timeout / 2):
            tracks = self._tracker.carried_on(stamp)
            if tracks:
                self._last_detection = replace(last, frames=last.frames + 1)
                watch.stop('detect')
                return sorted(tracks, key=lambda track: -track.box[2] * track.box[3])[:self.settings.max_faces]
        detections = self._detector.detect(image)
        detections.sort(key=lambda d: -d.box[2] * d.box[3])
        self._last_detection = _Detected(image.shape, stamp)
        watch.stop('detect')
        return self._tracker.update(detections[:self.settings.max_faces], stamp)

    def apply(self, settings: PipelineSettings) -> None:
        """Change settings while running; faces keep their ids and what is known of them.

        Raises:
            ValueError: a setting is out of its range, or one of `STRUCTURAL` differs: make a new pipeline for these.
        """
        _check(settings)
        fixed = [name for name in STRUCTURAL if getattr(settings, name) != getattr(self.settings, name)]
        if fixed:
            raise ValueError(f'{", ".join(fixed)} cannot change in a running pipeline: make a new one')
        self._detector.confidence = settings.detection_confidence
        self._tracker.timeout = settings.track_timeout
        self.classifier.smoother.half_life = settings.half_life
        self._primary_face.policy = settings.primary_face
        self._primary_face.hold = settings.primary_hold
        self.settings = settings

    def reset(self) -> None:
        """Forget all faces, as for another video."""
        self._tracker.reset()
        self._last_detection = None
        self.classifier.reset()
        self._primary_face.reset()
        self.primary = None

    def close(self) -> None:
        """Release detector and network; the pipeline cannot be used afterwards. May be called again."""
        if hasattr(self, 'classifier'):
            self._detector.close()
            # MediaPipe keeps the stack of its first import, and with it the pipeline that led there, for good.
            del self.classifier, self._detector

    def __enter__(self) -> 'FacePipeline':
        return self

    def __exit__(self, *exception) -> None:
        self.close()


@dataclass(frozen=True)
class _Detected:
    """When the detector last looked, and at what."""

    shape: tuple[int, ...]
    stamp: float
    frames: int = 1
    """Since then, that one included."""


class _Stopwatch:
    def __init__(self, times: dict[str, float]):
        self._times = times
        self._last = time.perf_counter()

    def stop(self, stage: str) -> None:
        now = time.perf_counter()
        self._times[stage] = now - self._last
        self._last = now


def _check(settings: PipelineSettings) -> None:
    table = {parameter.name: parameter for parameter in FER_NODE}
    for field in fields(settings):
        parameter, value = table.get(field.name), getattr(settings, field.name)
        if parameter and parameter.range and not parameter.range[0] <= value <= parameter.range[1]:
            raise ValueError(f'{field.name} must be {parameter.range[0]} to {parameter.range[1]}'
                             f'{" " + parameter.unit if parameter.unit else ""}, got {value}')
        if field.name == 'primary_face' and value not in parameter.choices:
            raise ValueError(f'{field.name} must be one of {", ".join(parameter.choices)}, got {value!r}')


def _check_image(image: np.ndarray, stamp: float) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f'{image.dtype} {image.shape}' if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f'the image must be uint8 (height, width, 3) BGR, got {got}')
    if not image.size:
        raise ValueError(f'the image has no pixels: its shape is {image.shape}')
    if not np.isfinite(stamp):
        raise ValueError(f'the stamp must be a finite number of seconds, got {stamp}')
