"""Smooths probabilities with an exponential filter over time, the same at 10 and at 60 frames per second."""

import math

import numpy as np

RESET_AFTER = 2.0
"""Seconds without an update after which the filter of a face is reset: older expressions are no longer relevant."""
LEAST_WEIGHT = 0.02


class ProbabilitySmoother:
    """Averages the probabilities of each face with exponentially decaying weights.

    Between two frames the input is interpolated linearly, and the filter dy/dt = λ (x − y) is solved exactly for it.
    The curve therefore depends on the stamps and not on the frame rate, except for changes between two frames. All
    weights are positive and sum to 1, so the result is a probability distribution.

    A frame counts by its weight: weighted probabilities and weights go through the same filter, and the result is their
    ratio. So a face that is hard to see moves the result little, and one that is seen well after that moves it at once.

    Args:
        half_life: seconds after which the weight of an expression is halved; 0: no smoothing. May be changed at any
            time.
    """

    def __init__(self, half_life: float):
        self.half_life = half_life
        self._faces: dict[str, tuple[float, np.ndarray, np.ndarray]] = {}

    def update(self, face_id: str, probabilities: np.ndarray, stamp: float, weight: float = 1.0) -> np.ndarray:
        """Add the probabilities (7,) of one face at `stamp` (seconds) and return the smoothed ones, float64 (7,).

        The filter is reset if the stamp is older than the previous one or more than `RESET_AFTER` newer.
        A stamp equal to the previous one has no weight, and `weight` (0 to 1) is `LEAST_WEIGHT` at least.
        """
        weight = max(weight, LEAST_WEIGHT)
        new = weight * np.append(np.array(probabilities, np.float64), 1.0)
        smoothed = new
        if face_id in self._faces:
            last_stamp, last, before = self._faces[face_id]
            elapsed = stamp - last_stamp
            if elapsed == 0 and self.half_life > 0:
                return before[:-1] / before[-1]
            if 0 <= elapsed <= RESET_AFTER and self.half_life > 0:
                exponent = math.log(2) * elapsed / self.half_life
                kept = math.exp(-exponent)
                ramp = -math.expm1(-exponent) / exponent if exponent > 1e-9 else 1.0  # mean weight over the interval
                smoothed = kept * before + (ramp - kept) * last + (1 - ramp) * new
        self._faces[face_id] = stamp, new, smoothed
        return np.array(probabilities, np.float64) if smoothed is new else smoothed[:-1] / smoothed[-1]

    def forget(self, face_ids: set[str]) -> None:
        """Discard the state of these faces."""
        for face_id in face_ids:
            self._faces.pop(face_id, None)

    def reset(self) -> None:
        """Discard the state of all faces."""
        self._faces.clear()

    @property
    def face_ids(self) -> set[str]:
        """Ids of the faces with a state."""
        return set(self._faces)
