"""From a frame and its stamp to its faces and emotions: shared by node, demo and recordings."""

from dataclasses import dataclass, replace

import numpy as np

from fer_ros.perception import quality
from fer_ros.perception.cropping import FRAMING, crop_faces
from fer_ros.perception.face_classifier import FaceClassifier
from fer_ros.perception.primary import PrimaryFace
from fer_ros.perception.recognition import EmotionRecognizer
from fer_ros.perception.search import create_finder
from fer_ros.perception.settings import STRUCTURAL, PipelineSettings, check
from fer_ros.perception.still_image import StillImage
from fer_ros.perception.stopwatch import Stopwatch
from fer_ros.perception.tracking import FaceTracker, Track
from fer_ros.results.frame_result import FrameResult

__all__ = ['FacePipeline', 'PipelineSettings']


class FacePipeline:
    """Detection, tracking, cropping, inference and smoothing in one straight line.

    Must not be used from several threads at once.

    Args:
        settings: see `PipelineSettings`.

    Raises:
        PipelineError: the model, the device or the detector cannot be used (`RecognizerError`, `DetectorError`).
        ValueError: a setting is out of its range.
    """

    def __init__(self, settings: PipelineSettings | None = None):
        settings = settings or PipelineSettings()
        check(settings)
        self.classifier = FaceClassifier(settings)
        self._finder = create_finder(settings)
        self._tracker = FaceTracker(settings.track_timeout, settings.deterministic_ids)
        self._primary_face = PrimaryFace(settings.primary_face, settings.primary_hold)
        self._still_image = StillImage()
        self._last_detection: _Detected | None = None
        self.settings = settings

    @property
    def recognizer(self) -> EmotionRecognizer:
        """The network, with the device and the runtime that really run it."""
        return self.classifier.recognizer

    def process(self, image: np.ndarray, stamp: float) -> FrameResult:
        """Find the faces of a frame and classify them.

        Args:
            image: uint8 (H, W, 3) BGR.
            stamp: time of capture, in seconds of any clock. Smoothing is reset when it jumps back or far ahead.

        Returns:
            The faces, with the timings of the stages detect, track, crop, recognise and smooth.

        Raises:
            ValueError: the image has another dtype or shape, or no pixels, or the stamp is not finite.
            PipelineError: the detector or the device fails on this frame; the next one may be processed.
        """
        _check_image(image, stamp)
        watch = Stopwatch()
        tracks = self._find(image, stamp, watch)
        living = frozenset(self._tracker.living_ids)
        watch.stop('track')
        height, width = image.shape[:2]
        squares = [FRAMING[track.detection.detector].square(track.detection) for track in tracks]
        crops = crop_faces(image, squares)
        seen = quality.of_faces(crops, squares, [track.detection for track in tracks], width, height)
        usable = [track for track, value in zip(tracks, seen, strict=True) if value >= self.settings.min_quality]
        primary = self._primary_face.choose(usable, living, stamp, (width, height))
        watch.stop('crop')
        faces = self.classifier.classify([track.face_id for track in tracks], [track.box for track in tracks], crops,
                                         seen, living, stamp, watch)
        return FrameResult(faces, primary, living, {track.face_id: track.detection.score for track in tracks},
                           {track.face_id: square.tilt for track, square in zip(tracks, squares, strict=True)},
                           watch.timings)

    def _find(self, image: np.ndarray, stamp: float, watch: Stopwatch) -> list[Track]:
        """The tracks seen in this frame, the largest first: detected, or extrapolated.

        They are extrapolated if `detect_every` allows while there is a face, and in a still image for `still_period`.
        Detection runs after a gap or a jump of the stamps in any case, and when the image size changes.
        """
        still = self.settings.still_period > 0 and self._still_image.see(image, stamp)
        last, self._last_detection = self._last_detection, None  # if the detector fails, the next frame is detected
        if last is not None and (last.shape == image.shape
                                 and 0 <= stamp - last.stamp < self.settings.track_timeout / 2):
            tracks = self._tracker.carried_on(stamp)
            still = still and stamp - last.stamp < self.settings.still_period
            if still or (tracks and last.frames < self.settings.detect_every):
                self._last_detection = replace(last, frames=last.frames + 1)
                watch.stop('detect')
                return sorted(tracks, key=lambda track: -track.box[2] * track.box[3])[:self.settings.max_faces]
        detections = self._finder.find(image, stamp, self._tracker.expected(stamp))
        detections.sort(key=lambda d: -d.box[2] * d.box[3])
        self._last_detection = _Detected(image.shape, stamp)
        watch.stop('detect')
        return self._tracker.update(detections[:self.settings.max_faces], stamp)

    def apply(self, settings: PipelineSettings) -> None:
        """Change settings while running; tracks and their state are kept.

        Raises:
            ValueError: a setting is out of its range, or one of `STRUCTURAL` differs, which requires a new pipeline.
        """
        check(settings)
        fixed = [name for name in STRUCTURAL if getattr(settings, name) != getattr(self.settings, name)]
        if fixed:
            raise ValueError(f'{", ".join(fixed)} cannot change in a running pipeline: create a new one')
        self._finder.apply(settings)
        self._tracker.timeout = settings.track_timeout
        self.classifier.apply(settings)
        self._primary_face.policy = settings.primary_face
        self._primary_face.hold = settings.primary_hold
        self.settings = settings

    def reset(self) -> None:
        """Discard all tracks, as for another video."""
        self._finder.reset()
        self._still_image.reset()
        self._tracker.reset()
        self._last_detection = None
        self.classifier.reset()
        self._primary_face.reset()

    def close(self) -> None:
        """Release detector and network; the pipeline cannot be used afterwards. May be called repeatedly."""
        if hasattr(self, 'classifier'):
            self._finder.close()
            # MediaPipe keeps the stack of its first import alive, and with it the pipeline that triggered the import.
            del self.classifier, self._finder

    def __enter__(self) -> 'FacePipeline':
        return self

    def __exit__(self, *exception) -> None:
        self.close()


@dataclass(frozen=True)
class _Detected:
    """The last run of the detector."""

    shape: tuple[int, ...]
    stamp: float
    frames: int = 1
    """Number of frames since then, including that one."""


def _check_image(image: np.ndarray, stamp: float) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f'{image.dtype} {image.shape}' if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f'the image must be uint8 (height, width, 3) BGR, got {got}')
    if not image.size:
        raise ValueError(f'the image has no pixels: its shape is {image.shape}')
    if not np.isfinite(stamp):
        raise ValueError(f'the stamp must be a finite number of seconds, got {stamp}')
