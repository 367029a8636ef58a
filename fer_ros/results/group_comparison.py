"""Two groups of sessions compared by their means, with an interval and an effect size.

The unit is the session: its frames are no independent observations, so that their number says nothing about certainty.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEWEST = 3
"""Sessions in each group below which no interval is given."""
FEW = 10
"""Sessions in a group below which an interval is an indication only."""
LEVEL = 0.95
"""Of the interval."""
_RESAMPLES = 10_000
_SIZES = ((0.2, 'negligible'), (0.5, 'small'), (0.8, 'medium'), (np.inf, 'large'))
"""Effect sizes up to which a word stands for them (Cohen, Statistical power analysis, 1988)."""


@dataclass(frozen=True)
class Comparison:
    """The second group compared with the first."""

    difference: float
    """Mean of the second group minus that of the first."""
    interval: tuple[float, float] | None
    """Of the difference, for `LEVEL`; None with fewer than `FEWEST` sessions in a group."""
    effect: float | None
    """Hedges' g: the difference in standard deviations between sessions; None if it cannot be told."""

    @property
    def size(self) -> str:
        """A word for the effect, or nothing."""
        return '' if self.effect is None else next(word for end, word in _SIZES if abs(self.effect) < end)


def compare(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Comparison | None:
    """Compare the values of sessions; None if a group has none.

    The interval is a percentile bootstrap over sessions: in each of 10,000 draws, as many sessions as a group has are
    drawn from it with replacement. Deviations from a group's mean are enlarged by √(n/(n − 1)), without which intervals
    of small groups are too narrow (Hesterberg, What teachers should know about the bootstrap, 2015). The effect size is
    Hedges' g with its correction for small groups (Hedges, Distribution theory for Glass's estimator, 1981).

    Args:
        first: a value for each session of the first group.
        second: of the second.
        seed: of the draws, so that the same sessions give the same interval.
    """
    groups = [np.asarray(values, np.float64) for values in (first, second)]
    if not all(len(values) for values in groups):
        return None
    random = np.random.default_rng(seed)
    difference = float(groups[1].mean() - groups[0].mean())
    freedom = len(groups[0]) + len(groups[1]) - 2
    interval = effect = None
    if min(map(len, groups)) >= FEWEST:
        means = [_resampled_means(values, random) for values in groups]
        low, high = np.quantile(means[1] - means[0], ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
        interval = float(low), float(high)
    if freedom > 0:
        spread = np.sqrt(sum(float(((values - values.mean()) ** 2).sum()) for values in groups) / freedom)
        if spread > 1e-9:
            effect = float(difference / spread * (1 - 3 / (4 * freedom - 1)))
    return Comparison(difference, interval, effect)


def _resampled_means(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    mean, count = values.mean(), len(values)
    enlarged = mean + (values - mean) * np.sqrt(count / (count - 1))
    # In parts, since large groups would take gigabytes.
    parts = np.array_split(np.arange(_RESAMPLES), max(1, _RESAMPLES * count // 10_000_000))
    return np.concatenate([enlarged[random.integers(0, count, (len(part), count))].mean(1) for part in parts])
