"""What a session was like: of each person, and of all of them, for a page, a report or a file.

A session is a recording of any length with the faces of all its frames. People are named by whoever looks at it: faces
with the same name are one person, since a person who returns has a new id.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from fer_ros.emotions import EMOTIONS, GROUPS, group_scores
from fer_ros.parameters import FER_NODE, defaults
from fer_ros.results.history import FacesHistory

LONGEST = 1.0
"""Maximum seconds that one frame counts for: a pause of the recording has no information about a face."""
BRIDGED = 0.5
"""Maximum seconds without a face that do not end a stretch."""
USABLE: float = defaults(FER_NODE)['min_quality']
"""Quality below which the emotion of a face cannot be told."""

ROW = np.dtype([('frame', 'i8'), ('emotion', 'u1'), ('group', 'u1'), ('valence', 'f8'), ('quality', 'f8')])
"""One face in one frame: `frame` indexes the times, `emotion` `EMOTIONS`, and `group` `GROUPS`."""


class SessionError(ValueError):
    """Faces cannot be one person; the message is one line for the user."""


@dataclass(frozen=True)
class Session:
    """The faces of a session."""

    times: np.ndarray
    """Seconds since the first frame (float64) of all frames, also of those without a face, in order."""
    faces: Mapping[str, np.ndarray]
    """By id, the rows of each face: arrays of dtype `ROW` in order, not empty."""

    @classmethod
    def of_history(cls, history: FacesHistory) -> 'Session':
        """The session in a history to which nothing is added meanwhile."""
        stamps, first = history.stamps(), history.first
        faces = {}
        for series in history.series():
            rows = faces[series.face_id] = np.zeros(len(series.samples), ROW)
            for name in ('frame', 'emotion', 'valence', 'quality'):
                rows[name] = series.samples[name]
            rows['frame'] -= first
            rows['group'] = group_scores(series.samples['probabilities']).argmax(1)
        return cls((stamps - stamps[:1]) * 1e-9, faces)

    def lasting(self, least: float) -> dict[str, np.ndarray]:
        """The faces seen for at least this many seconds from first to last."""
        return {face_id: rows for face_id, rows in self.faces.items()
                if self.times[rows['frame'][-1]] - self.times[rows['frame'][0]] >= least}

    def seen_together(self, face_ids: Iterable[str]) -> tuple[str, str, float] | None:
        """Two of the faces that are in one frame, and its time in seconds: they cannot be one person."""
        owner: dict[int, str] = {}
        for face_id in face_ids:
            for frame in self.faces[face_id]['frame'].tolist() if face_id in self.faces else ():
                if frame in owner:
                    return owner[frame], face_id, float(self.times[frame])
                owner[frame] = face_id
        return None


def summarise(session: Session, names: Mapping[str, str] | None = None, least: float = 0.5) -> dict:
    """Summarise a session; for JSON.

    Means and times are over time: each frame counts until the next, the last as long as the one before. All times are
    in seconds; ``spread`` is the standard deviation of valence, −1 to 1; ``unusable`` is a fraction.

    Args:
        session: the session.
        names: names of people by id of their faces; faces without one are people of their own.
        least: seconds; faces seen for less are only counted.

    Returns:
        ``duration_s``, ``frames``, ``faces_seen_shortly``, ``without_face_s``, ``all`` and ``people``. Of each person,
        and of all together: name, ids, first_s, last_s, seconds, mean_valence, spread, emotions and groups (seconds of
        each), longest_positive and longest_negative ([start, end] or None), quality (mean, 0 to 1), and unusable: the
        share of the time in which the quality is below `USABLE`. Values without data are None.

    Raises:
        SessionError: faces with the same name are in one frame.
    """
    names = names or {}
    steps = np.minimum(np.diff(session.times), LONGEST)
    steps = np.append(steps, steps[-1:]) if len(steps) else np.zeros(len(session.times))
    lasting = session.lasting(least)
    people: dict[str, list[str]] = {}
    for face_id in lasting:
        people.setdefault(names.get(face_id) or face_id, []).append(face_id)
    for name, ids in people.items():
        if (both := session.seen_together(ids)) is not None:
            raise SessionError(f'{both[0]} and {both[1]} are both in the frame at {both[2]:.1f} s: they cannot both be '
                               f'{name}')
    rows = list(session.faces.values())
    seen = np.zeros(len(session.times), bool)
    for one in rows:
        seen[one['frame']] = True
    return {
        'duration_s': round(float(session.times[-1] + steps[-1]), 3) if len(steps) else 0.0,
        'frames': len(session.times),
        'faces_seen_shortly': len(session.faces) - len(lasting),
        'without_face_s': round(float(steps[~seen].sum()), 3),
        'all': _statistics(session.times, steps, rows),
        'people': [{'name': name, 'ids': ids, **_statistics(session.times, steps, [lasting[i] for i in ids])}
                   for name, ids in people.items()],
    }


def _statistics(times: np.ndarray, steps: np.ndarray, faces: list[np.ndarray]) -> dict:
    rows = np.concatenate(faces) if faces else np.zeros(0, ROW)
    rows = rows[np.argsort(rows['frame'], kind='stable')]
    weights = steps[rows['frame']]
    total = float(weights.sum())

    def mean(values: np.ndarray) -> float | None:
        return float(values @ weights) / total if total else None
    valence = mean(rows['valence'])
    spread = None if valence is None else mean((rows['valence'] - valence) ** 2)
    quality, unusable = mean(rows['quality']), mean((rows['quality'] < USABLE).astype(np.float64))

    def seconds(column: str, labels: tuple[str, ...]) -> dict[str, float]:
        sums = np.bincount(rows[column], weights, len(labels))
        return {label: round(float(value), 3) for label, value in zip(labels, sums, strict=True)}
    longest = {name: max((_longest(times, steps, one, GROUPS.index(name)) for one in _streams(faces)), default=None,
                         key=lambda found: found[1] - found[0] if found else 0.0) for name in ('positive', 'negative')}
    return {
        'first_s': round(float(times[rows['frame'][0]]), 3) if len(rows) else None,
        'last_s': round(float(times[rows['frame'][-1]]), 3) if len(rows) else None,
        'seconds': round(total, 3), 'mean_valence': _rounded(valence),
        'spread': None if spread is None else _rounded(spread ** 0.5),
        'emotions': seconds('emotion', EMOTIONS), 'groups': seconds('group', GROUPS),
        **{f'longest_{name}': found for name, found in longest.items()},
        'quality': _rounded(quality), 'unusable': _rounded(unusable),
    }


def _streams(faces: list[np.ndarray]) -> list[np.ndarray]:
    """Faces that are never in one frame as one, since they are those of a person; otherwise each alone."""
    if not faces:
        return []
    rows = np.concatenate(faces)
    rows = rows[np.argsort(rows['frame'], kind='stable')]
    return [rows] if len(np.unique(rows['frame'])) == len(rows) else faces


def _longest(times: np.ndarray, steps: np.ndarray, rows: np.ndarray, group: int) -> list[float] | None:
    """Start and end of the longest stretch in which the face is in this group."""
    inside = np.flatnonzero(rows['group'] == group)
    if not len(inside):
        return None
    at = times[rows['frame']]
    # A stretch goes on with the next row, if no more than `BRIDGED` seconds are missing.
    ends = (np.diff(inside) > 1) | (np.diff(at[inside]) > BRIDGED)
    runs = np.split(inside, np.flatnonzero(ends) + 1)
    start, end = max(((at[run[0]], at[run[-1]] + steps[rows['frame'][run[-1]]]) for run in runs),
                     key=lambda run: run[1] - run[0])
    return [round(float(start), 3), round(float(end), 3)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
