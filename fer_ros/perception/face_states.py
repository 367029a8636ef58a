"""The state of each face over time: resting-face baseline and smoothing, from what the network says to emotions."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from fer_ros.emotions import EMOTIONS, decide, valence
from fer_ros.perception.image_parts import Box
from fer_ros.perception.neutral_baseline import NeutralBaselines
from fer_ros.perception.smoothing import ProbabilitySmoother
from fer_ros.results.faces import FaceEmotion


class FaceStates:
    """Baselines and smoothers of the living faces.

    Args:
        half_life: of the smoothing, seconds.
    """

    def __init__(self, half_life: float):
        self.baselines = NeutralBaselines()
        self.smoother = ProbabilitySmoother(half_life)
        self._shown: dict[str, FaceEmotion] = {}

    def update(self, face_ids: Sequence[str], boxes: Sequence[Box], inferred: np.ndarray, quality: Sequence[float],
               living: Collection[str], stamp: float, classified: Sequence[bool]) -> tuple[FaceEmotion, ...]:
        """Add a frame.

        Args:
            face_ids: ids of the N faces.
            boxes: bounding boxes of the N faces, passed through unchanged.
            inferred: (N, 7) probabilities of the network.
            quality: N values, 0 to 1; the square is the weight of this frame in the smoothing.
            living: ids of all living tracks; the state of other faces is discarded.
            stamp: stamp of the frame, seconds.
            classified: N values. A face that was not classified in this frame keeps its emotion, and the time until it
                is classified again counts as between two frames.

        Returns:
            N faces in the order of `face_ids`.
        """
        self.smoother.forget(self.smoother.face_ids - set(living))
        self.baselines.forget(set(self.baselines.calibrated) - set(living))
        new = [i for i, face_id in enumerate(face_ids) if classified[i] or face_id not in self._shown]
        corrected = self.baselines.apply([face_ids[i] for i in new], inferred[new], stamp)
        shown = {face_ids[i]: self._face(face_ids[i], boxes[i], raw, quality[i], stamp)
                 for i, raw in zip(new, corrected, strict=True)}
        self._shown = {face_id: face for face_id, face in {**self._shown, **shown}.items() if face_id in living}
        return tuple(shown.get(face_id) or replace(self._shown[face_id], box=box, quality=value)
                     for face_id, box, value in zip(face_ids, boxes, quality, strict=True))

    def _face(self, face_id: str, box: Box, raw: np.ndarray, quality: float, stamp: float) -> FaceEmotion:
        smoothed = self.smoother.update(face_id, raw, stamp, quality ** 2)
        shown = int(decide(smoothed))
        return FaceEmotion(face_id, box, tuple(smoothed.tolist()), EMOTIONS[shown], float(smoothed[shown]),
                           float(valence(smoothed)), float(valence(raw)), quality)

    def reset(self) -> None:
        """Discard the state of all faces."""
        self.smoother.reset()
        self.baselines.reset()
        self._shown.clear()
