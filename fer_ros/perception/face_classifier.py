"""From cropped faces to their emotions: recognition, neutral calibration and smoothing."""

from collections.abc import Collection, Sequence

import numpy as np

from fer_ros.emotions import EMOTIONS, valence
from fer_ros.perception.neutral_baseline import NeutralBaselines
from fer_ros.perception.recognition import EmotionRecognizer
from fer_ros.perception.smoothing import ProbabilitySmoother
from fer_ros.results.faces import FaceEmotion

Box = tuple[float, float, float, float]


class FaceClassifier:
    """What is known of each face, and the network that reads it.

    Args:
        recognizer: the network.
        half_life: of the smoothing, seconds.
    """

    def __init__(self, recognizer: EmotionRecognizer, half_life: float):
        self.recognizer = recognizer
        self.baselines = NeutralBaselines()
        self.smoother = ProbabilitySmoother(half_life)

    def calibrate(self, face_ids: Sequence[str], probabilities: np.ndarray, stamp: float) -> np.ndarray:
        """The network's (N, 7) probabilities, corrected for faces that have a neutral baseline."""
        return self.baselines.apply(face_ids, probabilities, stamp)

    def smooth(self, face_ids: Sequence[str], boxes: Sequence[Box], probabilities: np.ndarray,
               stamp: float) -> list[FaceEmotion]:
        """One `FaceEmotion` for each of N faces.

        Args:
            probabilities: (N, 7) of this frame alone.
            stamp: seconds.
        """
        return [self._face(*face, stamp) for face in zip(face_ids, boxes, probabilities, strict=True)]

    def _face(self, face_id: str, box: Box, raw: np.ndarray, stamp: float) -> FaceEmotion:
        smoothed = self.smoother.update(face_id, raw, stamp)
        best = int(smoothed.argmax())
        return FaceEmotion(face_id, box, tuple(smoothed.tolist()), EMOTIONS[best], float(smoothed[best]),
                           float(valence(smoothed)), float(valence(raw)))

    def keep(self, living: Collection[str]) -> None:
        """Forget every face that is not among the `living`."""
        self.smoother.forget(self.smoother.face_ids - set(living))
        self.baselines.forget(set(self.baselines.calibrated) - set(living))

    def reset(self) -> None:
        """Forget all faces."""
        self.smoother.reset()
        self.baselines.reset()
