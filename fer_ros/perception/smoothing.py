"""Probabilities over time: an exponential filter in seconds, the same at 10 and at 60 frames a second."""

import math

import numpy as np

RESET_AFTER = 2.0
"""A face not updated for longer than this many seconds starts anew: what it showed before says nothing of now."""


class ProbabilitySmoother:
    """Averages each face's probabilities with exponentially falling weights.

    Between two frames the input is taken to go in a straight line, and the filter dy/dt = λ (x − y) is solved
    exactly for it. So the curve depends on the stamps and not on how many frames there were, up to what happened
    between two frames. All weights are positive and sum to 1: probabilities stay probabilities.

    Args:
        half_life: seconds after which an old expression counts half; 0: no smoothing. May be changed at any time.
    """

    def __init__(self, half_life: float):
        self.half_life = half_life
        self._faces: dict[str, tuple[float, np.ndarray, np.ndarray]] = {}

    def update(self, face_id: str, probabilities: np.ndarray, stamp: float) -> np.ndarray:
        """Add a frame's probabilities (7,) of one face at `stamp` (seconds) and return the smoothed ones, float64.

        The face starts anew when the stamp lies before its last one or more than `RESET_AFTER` past it.
        A stamp equal to the last one has no weight.
        """
        new = np.array(probabilities, np.float64)
        smoothed = new
        if face_id in self._faces:
            last_stamp, last, before = self._faces[face_id]
            elapsed = stamp - last_stamp
            if elapsed == 0 and self.half_life > 0:
                return before.copy()
            if 0 <= elapsed <= RESET_AFTER and self.half_life > 0:
                exponent = math.log(2) * elapsed / self.half_life
                kept = math.exp(-exponent)
                ramp = -math.expm1(-exponent) / exponent if exponent > 1e-9 else 1.0  # mean weight of the interval
                smoothed = kept * before + (ramp - kept) * last + (1 - ramp) * new
        self._faces[face_id] = stamp, new, smoothed
        return smoothed.copy()

    def forget(self, face_ids: set[str]) -> None:
        """Drop faces that are no longer followed."""
        for face_id in face_ids:
            self._faces.pop(face_id, None)

    def reset(self) -> None:
        """Drop all faces."""
        self._faces.clear()

    @property
    def face_ids(self) -> set[str]:
        """Of the faces that the smoother remembers."""
        return set(self._faces)
