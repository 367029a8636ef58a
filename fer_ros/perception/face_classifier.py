"""From cropped faces to their emotions: inference, resting-face baseline and smoothing, for both pipelines."""

from collections.abc import Collection, Sequence

import numpy as np

from fer_ros.perception.face_states import FaceStates
from fer_ros.perception.image_parts import Box
from fer_ros.perception.neutral_baseline import NeutralBaselines
from fer_ros.perception.recognition import EmotionRecognizer
from fer_ros.perception.settings import PipelineSettings
from fer_ros.perception.smoothing import ProbabilitySmoother
from fer_ros.perception.stopwatch import Stopwatch
from fer_ros.perception.turns import TurnTaking
from fer_ros.results.faces import FaceEmotion


class FaceClassifier:
    """The network, and the state of each face over time.

    Args:
        recognizer: the network.
        states: the state of the faces.
        most: maximum number of faces classified in one frame, as of `TurnTaking`; 0: no limit.
    """

    def __init__(self, recognizer: EmotionRecognizer, states: FaceStates, most: int = 0):
        self.recognizer, self.states = recognizer, states
        self._turns = TurnTaking(recognizer, most)

    @property
    def baselines(self) -> NeutralBaselines:
        """The resting faces."""
        return self.states.baselines

    @property
    def smoother(self) -> ProbabilitySmoother:
        """The smoothed probabilities."""
        return self.states.smoother

    def classify(self, face_ids: Sequence[str], boxes: Sequence[Box], crops: np.ndarray, quality: np.ndarray,
                 living: Collection[str], stamp: float, watch: Stopwatch) -> tuple[FaceEmotion, ...]:
        """Classify the faces of a frame whose turn it is in one batch.

        Args:
            face_ids: ids of the N faces, the largest first.
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
        inferred, classified = self._turns.probabilities(face_ids, crops, living)
        watch.stop('recognise')
        faces = self.states.update(face_ids, boxes, inferred, quality.tolist(), living, stamp, classified)
        watch.stop('smooth')
        return faces

    def apply(self, settings: PipelineSettings) -> None:
        """Change half-life and `max_faces_per_frame` while running; the other settings require a new classifier."""
        self.smoother.half_life = settings.half_life
        self._turns.most = settings.max_faces_per_frame

    def reset(self) -> None:
        """Discard the state of all faces."""
        self.states.reset()
        self._turns.reset()


def create_classifier(settings: PipelineSettings) -> FaceClassifier:
    """A classifier with its network.

    Args:
        settings: model, device, threads, runtime, precision, half-life and `max_faces_per_frame` are used.

    Raises:
        PipelineError: the model, the device or the runtime cannot be used.
    """
    return FaceClassifier(EmotionRecognizer(settings.model, settings.device, settings.threads, settings.runtime,
                                            settings.precision), FaceStates(settings.half_life),
                          settings.max_faces_per_frame)
