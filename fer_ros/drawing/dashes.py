"""Dashed lines, which OpenCV does not draw."""

from collections.abc import Sequence

import numpy as np


def dashed(line: np.ndarray, dash: Sequence[float], start: float = 0.0, width: float = 0.0,
           across: bool = False) -> np.ndarray:
    """The parts of a line that are drawn.

    Args:
        line: points, float (N, 2).
        dash: lengths of dashes and gaps, alternately; empty: solid.
        start: where in the pattern the line begins.
        width: of the pen; its round ends make each dash longer by as much, so the dashes are shortened by it.
        across: measure along the x axis instead of along the line, for one that goes up and down in each pixel.

    Returns:
        Their points, float (K, M, 2); adjacent parts of a dash where the line bends are apart.
    """
    if not dash or len(line) < 2:
        return line[None]
    steps = np.diff(line, axis=0)
    along = np.concatenate([[0.0], np.cumsum(np.abs(steps[:, 0]) if across else np.hypot(*steps.T))])
    if along[-1] <= 0:
        return line[None]
    # Where dashes begin and end within one period, on the line.
    edges = np.concatenate([[0.0], np.cumsum(dash)])
    period = edges[-1]
    begins, lengths = edges[:-1:2], np.asarray(dash[::2], np.float64)
    shorter = np.minimum(width, lengths - 0.1)  # a dot remains
    first = np.floor(start / period) * period - start
    bases = first + period * np.arange(int(np.ceil((along[-1] - first) / period)))
    left = (bases[:, None] + begins + shorter / 2).ravel()
    right = left + np.tile(lengths - shorter, len(bases))
    # All places where something begins, ends or bends, in order; between two of them it is all dash or all gap.
    inside = (right > 0) & (left < along[-1])
    left, right = np.clip(left[inside], 0, along[-1]), np.clip(right[inside], 0, along[-1])
    places = np.unique(np.concatenate([left, right, along]))
    middles = (places[1:] + places[:-1]) / 2
    owner = np.searchsorted(left, middles, 'right') - 1
    drawn = (owner >= 0) & (middles < right[np.maximum(owner, 0)]) if len(left) else np.zeros(len(middles), bool)
    points = np.stack([np.interp(places, along, line[:, column]) for column in (0, 1)], axis=1)
    return np.stack([points[:-1][drawn], points[1:][drawn]], axis=1)
