"""A session from the columns of the tables of process_video, which have no rows for frames without a face."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fer_ros.emotions import EMOTIONS, group_scores
from fer_ros.results import wire
from fer_ros.results.session_summary import ROW, Session

MOST_FRAMES = 20_000_000
"""Maximum number of a frame: 90 hours of 60 frames/s."""
TEXTS = ('face_id', 'emotion')
NEEDED = (*TEXTS, 'time_s', 'frame', 'valence', *EMOTIONS, 'quality')
"""Columns; those that are not in `TEXTS` have numbers."""


class TableError(ValueError):
    """A value that process_video does not write; the message is one line that names row and column."""


def session_of(columns: Mapping[str, Sequence], frames: int = 0, duration_s: float = 0.0, every: int = 0,
               photos: bool = False) -> Session:
    """The session.

    The times of frames without a face are interpolated between those of their neighbours. Photos have no times: each
    counts for a second.

    Args:
        columns: `NEEDED`, by name, of equal lengths; values may be texts.
        frames: number of frames of the recording; 0: not known, it ends with the last face.
        duration_s: duration in seconds.
        every: step between the numbers of successive frames; 0: not known.
        photos: the frames are photos.

    Raises:
        TableError: see there.
    """
    number = _within(columns, 'frame', 0, MOST_FRAMES).astype(np.int64)
    times = number.astype(np.float64) if photos else _within(columns, 'time_s', 0, 1e9)
    for name, values in (('frame', number), ('time_s', times)):
        if len(back := np.flatnonzero(np.diff(values) < 0)):
            raise TableError(f'row {back[0] + 2}: {name} is less than in the row before')
    first = np.flatnonzero(np.diff(number, prepend=-1))  # rows of new frames
    every = every or math.gcd(*np.unique(number).tolist()) or 1
    grid = np.union1d(np.arange(min(frames, MOST_FRAMES), dtype=np.int64) * every if frames
                      else np.arange(0, number[-1] + 1, every) if len(number) else number, number)
    rows = np.zeros(len(number), ROW)
    rows['frame'] = np.searchsorted(grid, number)
    rows['valence'] = _within(columns, 'valence', -1, 1)
    rows['quality'] = _within(columns, 'quality', 0, 1)
    rows['group'] = group_scores(np.stack([_within(columns, name, 0, 1) for name in EMOTIONS], 1)).argmax(1)
    emotions = {name: index for index, name in enumerate(EMOTIONS)}
    for row, name in enumerate(columns['emotion']):
        if name not in emotions:
            raise TableError(f'row {row + 1}: emotion {wire.shortened(name)} is unknown')
        rows['emotion'][row] = emotions[name]
    all_times = grid.astype(np.float64) if photos else _times(grid, number[first], times[first], duration_s)
    return Session(all_times, _faces(columns['face_id'], rows))


def _times(grid: np.ndarray, known: np.ndarray, times: np.ndarray, duration_s: float) -> np.ndarray:
    """Seconds of all frames of the grid from those of the frames known."""
    if not len(grid):
        return np.zeros(0)
    if not len(known) or known[0] != grid[0]:
        known, times = np.insert(known, 0, grid[0]), np.insert(times, 0, 0.0)
    if known[-1] != grid[-1]:  # the last frame counts as long as the one before
        end = max(float(times[-1]), duration_s * (1 - 1 / len(grid)))
        known, times = np.append(known, grid[-1]), np.append(times, end)
    return np.interp(grid, known, times)


def _faces(ids: Sequence[Any], rows: np.ndarray) -> dict[str, np.ndarray]:
    indices: dict[str, list[int]] = {}
    for row, face_id in enumerate(ids):
        indices.setdefault(face_id, []).append(row)
    faces = {}
    for face_id, of_face in indices.items():
        try:
            faces[wire.face_id(face_id)] = rows[of_face]
        except wire.BadValue as error:
            raise TableError(f'row {of_face[0] + 1}: {error}') from error
        twice = np.flatnonzero(np.diff(rows['frame'][of_face]) == 0)
        if len(twice):
            raise TableError(f'row {of_face[twice[0] + 1] + 1}: {face_id} is twice in a frame')
    return faces


def numbers(name: str, values: Sequence, first_row: int = 1) -> np.ndarray:
    """The values of a column, numbers or texts of such, as float64; `first_row` is the number of the first.

    Raises:
        TableError: one is no number.
    """
    try:
        return np.asarray(values, np.float64)
    except (ValueError, TypeError):
        row = next(row for row, value in enumerate(values) if not _is_number(value))
        raise TableError(f'row {first_row + row}: {name} {wire.shortened(values[row])} is not a number') from None


def _within(columns: Mapping[str, Sequence], name: str, least: float, most: float) -> np.ndarray:
    found = numbers(name, columns[name])
    bad = np.flatnonzero(~((found >= least) & (found <= most)))  # NaN is neither
    if len(bad):
        raise TableError(f'row {bad[0] + 1}: {name} {float(found[bad[0]]):g} is not a number from {least:g} to '
                         f'{most:g}')
    return found


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (ValueError, TypeError):
        return False
    return True
