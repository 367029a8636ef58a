"""From cropped faces to their emotions: inference, resting-face baseline and smoothing, for both pipelines."""

from collections.abc import Collection, Sequence

import numpy as np

from fer_ros.emotions import EMOTIONS, decide, valence
from fer_ros.perception.image_parts import Box
from fer_ros.perception.neutral_baseline import NeutralBaselines
from fer_ros.perception.recognition import EmotionRecognizer
from fer_ros.perception.settings import PipelineSettings
from fer_ros.perception.smoothing import ProbabilitySmoother
from fer_ros.perception.stopwatch import Stopwatch
from fer_ros.results.faces import FaceEmotion


class FaceClassifier:
    """The network, and the state of each face over time.

    Args:
        settings: model, device, threads, runtime and half-life are used.

    Raises:
        PipelineError: the model, the device or the runtime cannot be used.
    """

    def __init__(self, settings: PipelineSettings):
        self.recognizer = EmotionRecognizer(settings.model, settings.device, settings.threads, settings.runtime,
                                            settings.precision)
        self.baselines = NeutralBaselines()
        self.smoother = ProbabilitySmoother(settings.half_life)

    def classify(self, face_ids: Sequence[str], boxes: Sequence[Box], crops: np.ndarray, quality: np.ndarray,
                 living: Collection[str], stamp: float, watch: Stopwatch) -> tuple[FaceEmotion, ...]:
        """Classify all faces of a frame in one batch.

        Args:
            face_ids: ids of the N faces.
            boxes: bounding boxes of the N faces, passed through unchanged.
            crops: uint8 (N, 48, 48) grey.
            quality: (N,) 0 to 1; its square is the weight of this frame in the smoothing.
            living: ids of all living tracks; the state of other faces is discarded.
            stamp: stamp of the frame, seconds.
            watch: times the stages ``recognise`` and ``smooth``.

        Returns:
            N faces in the order of `face_ids`.

        Raises:
            PipelineError: the device fails on this batch.
        """
        self._forget_all_but(living)
        inferred = self.recognizer.probabilities(crops)
        watch.stop('recognise')
        corrected = self.baselines.apply(face_ids, inferred, stamp)
        faces = tuple(self._face(*face, stamp)
                      for face in zip(face_ids, boxes, corrected, quality.tolist(), strict=True))
        watch.stop('smooth')
        return faces

    def _face(self, face_id: str, box: Box, raw: np.ndarray, quality: float, stamp: float) -> FaceEmotion:
        smoothed = self.smoother.update(face_id, raw, stamp, quality ** 2)
        shown = int(decide(smoothed))
        return FaceEmotion(face_id, box, tuple(smoothed.tolist()), EMOTIONS[shown], float(smoothed[shown]),
                           float(valence(smoothed)), float(valence(raw)), quality)

    def _forget_all_but(self, living: Collection[str]) -> None:
        self.smoother.forget(self.smoother.face_ids - set(living))
        self.baselines.forget(set(self.baselines.calibrated) - set(living))

    def apply(self, settings: PipelineSettings) -> None:
        """Change the half-life while running; the other settings require a new classifier."""
        self.smoother.half_life = settings.half_life

    def reset(self) -> None:
        """Discard the state of all faces."""
        self.smoother.reset()
        self.baselines.reset()
