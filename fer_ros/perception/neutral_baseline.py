"""Neutral calibration: the resting face of a person becomes the zero of their valence.

Some faces at rest are classified as sad or angry. While the person looks neutral for two seconds, the mean of the
log-probabilities of the network is taken as the baseline of the face. Of all distributions with valence 0 and at least
half of the probability on neutral, the one with the least relative entropy to the baseline is an exponential tilt: a
constant added to the logits of the negative emotions, its opposite added to happy, and another constant to neutral.
These offsets are then added to the logits of that face in every later frame.

Consequences of the form of the offsets:

* The sign of the calibrated valence is that of log(P(happy) / P(negative)) minus its value at rest: expressions more
  positive than the resting face are positive, more negative ones are negative.
* The negative emotions keep their proportions, and expressions far from rest keep their certainty.

Limits: the shift is bounded, more tightly towards the negative side; if the bound is reached, the remainder is assigned
    to neutral. A smile or another strong expression is rejected as a baseline, since it would turn later smiles into
    frowns. The baseline is valid for one head pose and lighting; it belongs to the track and is lost with it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fer_ros.emotions import EMOTIONS, valence

DURATION = 2.0
"""Seconds during which the samples of a baseline are collected."""
MIN_SAMPLES = 8
"""Minimum number of frames of the face within `DURATION`: 4 frames/s."""
MIN_SPAN = 0.6
"""Fraction of `DURATION` that the samples must cover."""
MAX_SPREAD = 0.2
"""Standard deviation of the samples' valence above which the face was not at rest."""
NEUTRAL_SHARE = 0.5
"""Minimum calibrated probability of neutral for the resting face."""
MAX_HAPPY = 0.5
"""A baseline with a higher probability of happy is a smile."""
MAX_RAISE = 3.0
MAX_LOWER = 1.0
"""Maximum nats by which happy is raised and the negative emotions are lowered, and vice versa.

With MAX_LOWER = 1 every face with P(happy) above e² ≈ 7.4 times P(negative) remains positive.
"""
MAX_NEUTRAL = 4.0
"""Maximum nats by which neutral is raised."""
MAX_RESIDUE = 0.1
"""Maximum |valence| at rest after a calibration."""
FLOOR = 1e-4
"""Lower bound of probabilities: a single frame must not dominate the mean of the logarithms."""

_HAPPY = EMOTIONS.index('happy')
_NEUTRAL = EMOTIONS.index('neutral')
_NEGATIVE = [EMOTIONS.index(e) for e in ('angry', 'disgusted', 'scared', 'sad')]


class BaselineError(ValueError):
    """The samples are not a valid baseline; the message says why and what to do."""


def baseline_of(samples: np.ndarray) -> np.ndarray:
    """Mean of the samples in logit space, as probabilities.

    Args:
        samples: (N, 7) probabilities, N ≥ 1.

    Returns:
        (7,) float64, sum 1.
    """
    logs = np.log(np.maximum(np.asarray(samples, np.float64), FLOOR)).mean(axis=0)
    weights = np.exp(logs - np.max(logs))
    return weights / weights.sum()


def neutral_offsets(baseline: np.ndarray) -> np.ndarray:
    """Offsets of the logits with which `baseline` becomes a neutral face.

    Args:
        baseline: (7,) probabilities of the resting face.

    Returns:
        (7,) float64.

    Raises:
        BaselineError: the baseline is a smile, or further from neutral than the limits allow.
    """
    happy, neutral = baseline[_HAPPY], baseline[_NEUTRAL]
    if happy > MAX_HAPPY:
        raise BaselineError(_not_at_rest(baseline))
    negative = baseline[_NEGATIVE].sum()
    raise_happy = 0.5 * np.log(negative / happy)
    raise_happy = float(np.clip(raise_happy, -MAX_LOWER, MAX_RAISE))

    tilted_happy, tilted_negative = happy * np.exp(raise_happy), negative * np.exp(-raise_happy)
    others = tilted_happy + tilted_negative + baseline[EMOTIONS.index('surprised')]
    # Neutral gets at least its share, and more if the bounded shift alone leaves too much valence.
    wanted = max(others * NEUTRAL_SHARE / (1 - NEUTRAL_SHARE),
                 abs(tilted_happy - tilted_negative) / MAX_RESIDUE - others)
    raise_neutral = max(0.0, float(np.log(wanted / neutral))) if wanted > 0 else 0.0
    if raise_neutral > MAX_NEUTRAL:
        raise BaselineError(_not_at_rest(baseline))

    offsets = np.zeros(len(EMOTIONS))
    offsets[_HAPPY] = raise_happy
    offsets[_NEGATIVE] = -raise_happy
    offsets[_NEUTRAL] = raise_neutral
    return offsets


def corrected(probabilities: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Add `offsets` to the logits.

    Args:
        probabilities: (..., 7).
        offsets: (7,).

    Returns:
        (..., 7) float64, rows summing to 1.
    """
    weights = np.asarray(probabilities, np.float64) * np.exp(offsets - np.max(offsets))
    return weights / weights.sum(axis=-1, keepdims=True)


def check_samples(samples: np.ndarray, stamps: Sequence[float]) -> None:
    """Check that `samples` show a face at rest for long enough.

    Args:
        samples: (N, 7) probabilities.
        stamps: N ascending times in seconds.

    Raises:
        BaselineError: there are too few, they cover too little of the time, or the expression changed.
    """
    if len(samples) < MIN_SAMPLES or stamps[-1] - stamps[0] < MIN_SPAN * DURATION:
        raise BaselineError(f'the face was seen in only {len(samples)} frames of {DURATION:g} s; at least '
                               f'{MIN_SAMPLES} over {MIN_SPAN * DURATION:g} s are needed: keep it in view and '
                               'calibrate again')
    spread = float(np.std(valence(samples)))
    if spread > MAX_SPREAD:
        raise BaselineError(f'the expression changed while calibrating (standard deviation of valence {spread:.2f}, '
                               f'allowed {MAX_SPREAD:g}): keep a neutral face and calibrate again')


@dataclass(frozen=True)
class BaselineResult:
    """Outcome of a calibration."""

    face_id: str
    success: bool
    message: str


class NeutralBaselines:
    """The baselines of living tracks, and the calibration in progress."""

    def __init__(self) -> None:
        self._offsets: dict[str, np.ndarray] = {}
        self._face_id: str | None = None
        self._start = 0.0
        self._stamps: list[float] = []
        self._samples: list[np.ndarray] = []

    @property
    def collecting(self) -> str | None:
        """Id of the face that is being calibrated."""
        return self._face_id

    @property
    def calibrated(self) -> tuple[str, ...]:
        """Ids of the faces that have a baseline."""
        return tuple(self._offsets)

    def start(self, face_id: str, stamp: float) -> None:
        """Collect the baseline of `face_id` from frames with stamps in [stamp, stamp + `DURATION`) seconds.

        Raises:
            BaselineError: another calibration is in progress.
        """
        if self._face_id is not None:
            raise BaselineError(f'face {self._face_id} is being calibrated: wait until it is done')
        self._face_id, self._start = face_id, stamp
        self._stamps, self._samples = [], []

    def apply(self, face_ids: Sequence[str], probabilities: np.ndarray, stamp: float) -> np.ndarray:
        """Collect samples of the face being calibrated, and correct the faces that have a baseline.

        Args:
            face_ids: of the N faces of this frame.
            probabilities: (N, 7) of the network.
            stamp: of the frame, in seconds.

        Returns:
            (N, 7) of the same dtype, rows summing to 1; faces without a baseline are unchanged.
        """
        result = np.array(probabilities)
        for i, face_id in enumerate(face_ids):
            if face_id == self._face_id and self._start <= stamp < self._start + DURATION:
                # The output of the network, not corrected by an earlier baseline.
                self._samples.append(np.array(probabilities[i], np.float64))
                self._stamps.append(stamp)
            offsets = self._offsets.get(face_id)  # `reset` may be called from another thread
            if offsets is not None:
                result[i] = corrected(result[i], offsets)
        return result

    def finish(self, stamp: float) -> BaselineResult | None:
        """End the calibration if its time is over at `stamp`; an earlier baseline is kept if it fails.

        Returns:
            None while there is no calibration, or while it is not over.
        """
        if self._face_id is None or self._start <= stamp < self._start + DURATION:
            return None
        face_id, self._face_id = self._face_id, None
        if stamp < self._start:
            return BaselineResult(face_id, False, 'the image stamps jumped back: calibrate again')
        samples = np.array(self._samples).reshape(-1, len(EMOTIONS))
        try:
            check_samples(samples, self._stamps)
            baseline = baseline_of(samples)
            self._offsets[face_id] = offsets = neutral_offsets(baseline)
        except BaselineError as error:
            return BaselineResult(face_id, False, str(error))
        after = valence(corrected(baseline, offsets))
        return BaselineResult(face_id, True, f'valence at rest {valence(baseline):+.2f} -> {after:+.2f} '
                                                f'({len(samples)} frames)')

    def cancel(self, reason: str) -> BaselineResult | None:
        """End the calibration without a baseline; None if there was none in progress."""
        if self._face_id is None:
            return None
        face_id, self._face_id = self._face_id, None
        return BaselineResult(face_id, False, reason)

    def forget(self, face_ids: Iterable[str]) -> None:
        """Discard the baselines of lost tracks. A calibration in progress continues and fails for lack of frames."""
        for face_id in face_ids:
            self._offsets.pop(face_id, None)

    def reset(self) -> None:
        """Discard all baselines and the calibration in progress."""
        self._offsets.clear()
        self._face_id = None


def _not_at_rest(baseline: np.ndarray) -> str:
    strongest = int(np.argmax(baseline))
    return (f'the face was classified as {EMOTIONS[strongest]} ({baseline[strongest]:.2f}) during the calibration, too '
            'strongly for a resting face: look neutral and calibrate again')
