"""Valence over time as the points of a line."""

import numpy as np

from fer_ros.results.session_summary import BRIDGED, ROW, Session


def mean_line(session: Session, columns: int) -> list[np.ndarray]:
    """The `runs` of the mean valence of all faces in each frame; empty without faces."""
    if not session.faces:
        return []
    rows = np.concatenate(list(session.faces.values()))
    count = np.bincount(rows['frame'])
    frames = np.flatnonzero(count)
    means = np.zeros(len(frames), ROW)
    means['frame'] = frames
    means['valence'] = np.bincount(rows['frame'], rows['valence'])[frames] / count[frames]
    return runs(session.times, means, max(float(session.times[-1]), 0.1), columns)


def runs(times: np.ndarray, rows: np.ndarray, end: float, columns: int) -> list[np.ndarray]:
    """The line of a face, split at gaps, thinned to the columns of a chart.

    Args:
        times: seconds (float64) of all frames of the session, in order.
        rows: of dtype `ROW`, in order.
        end: seconds at the right edge of the chart, more than 0.
        columns: each point is the mean of what falls into one of so many parts of the time.

    Returns:
        Arrays (N, 2) of times and valences.
    """
    at, valence = times[rows['frame']], rows['valence']
    parts = []
    # Of a slow camera, or where only every N-th frame was processed, steps as long as all others are no gaps.
    longest = max(BRIDGED, 2 * float(np.median(np.diff(times)))) if len(times) > 1 else BRIDGED
    gaps = np.flatnonzero((np.diff(rows['frame']) > 1) | (np.diff(at) > longest)) + 1
    for part in np.split(np.arange(len(rows)), gaps):
        column = np.floor(at[part] / end * columns)
        starts = np.flatnonzero(np.diff(column, prepend=-1.0))
        count = np.diff(np.append(starts, len(part)))
        parts.append(np.stack([np.add.reduceat(values[part], starts) / count for values in (at, valence)], 1))
    return parts
