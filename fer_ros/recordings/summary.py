"""The statistics of a recording."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fer_ros.emotions import EMOTIONS, GROUPS, group
from fer_ros.results.faces import FaceEmotion
from fer_ros.results.session_summary import LONGEST, USABLE


@dataclass
class _Face:
    first_s: float
    last_s: float = 0.0
    frames: int = 0
    seconds: float = 0.0
    valence: float = 0.0
    """Sum of valence times seconds."""
    squares: float = 0.0
    """Sum of valence² times seconds."""
    usable: float = 0.0
    """Seconds in which the quality is at least `USABLE`."""
    emotions: dict[str, float] = field(default_factory=lambda: dict.fromkeys(EMOTIONS, 0.0))
    """Seconds."""
    groups: dict[str, float] = field(default_factory=lambda: dict.fromkeys(GROUPS, 0.0))

    def add(self, face: FaceEmotion, seconds: float) -> None:
        self.seconds += seconds
        self.valence += seconds * face.valence
        self.squares += seconds * face.valence ** 2
        self.usable += seconds * (face.quality >= USABLE)
        self.emotions[face.emotion] += seconds
        self.groups[group(face.probabilities)] += seconds


class Summary:
    """Accumulates the faces of successive frames.

    Means and fractions are over time, so that variable frame rates are weighted correctly: each frame counts until the
    next.

    Args:
        min_life: seconds; faces tracked for less are counted separately.
    """

    def __init__(self, min_life: float) -> None:
        self._min_life = min_life
        self._faces: dict[str, _Face] = {}
        self._all = _Face(0.0)
        self._shown: Sequence[FaceEmotion] = ()
        self._time = 0.0
        self._step = 0.0
        self.frames = 0
        self.cuts = 0
        """Number of cuts found; tracks start anew at each."""
        self.hints: tuple[str, ...] = ()
        """What is wrong with most of the images."""
        self._frames_with_face = 0

    def add(self, time_s: float, faces: Sequence[FaceEmotion]) -> None:
        """Add the faces of the frame at `time_s`."""
        if self.frames:
            self._step = min(time_s - self._time, LONGEST)
            self._count()
        self._time, self._shown = time_s, faces
        self.frames += 1
        self._frames_with_face += bool(faces)
        for face in faces:
            known = self._faces.setdefault(face.face_id, _Face(time_s))
            known.last_s = time_s
            known.frames += 1

    def _count(self) -> None:
        for face in self._shown:
            self._faces[face.face_id].add(face, self._step)
            self._all.add(face, self._step)

    def result(self) -> dict:
        """The statistics of all frames; the last frame counts as long as the one before."""
        self._count()
        self._shown = ()
        lasting = {i: f for i, f in self._faces.items() if f.last_s - f.first_s >= self._min_life}
        return {
            'duration_s': round(self._time + self._step, 3),
            'frames': self.frames,
            'frames_with_face': self._frames_with_face,
            'faces_seen': len(lasting),
            'faces_seen_shortly': len(self._faces) - len(lasting),
            'cuts': self.cuts,
            'hints': list(self.hints),
            **_shares(self._all),
            'faces': {face_id: {'first_s': round(face.first_s, 3), 'last_s': round(face.last_s, 3),
                                'frames': face.frames, **_shares(face), **_more(face)}
                      for face_id, face in lasting.items()},
            **_more(self._all),
        }


class PhotoSummary(Summary):
    """Accumulates the faces of photos, of which each counts once: there is no time."""

    def __init__(self) -> None:
        super().__init__(min_life=0.0)

    def add(self, time_s: float, faces: Sequence[FaceEmotion]) -> None:
        """Add the faces of a photo."""
        self.frames += 1
        self._frames_with_face += bool(faces)
        for face in faces:
            known = self._faces.setdefault(face.face_id, _Face(0.0))
            known.frames += 1
            known.add(face, 1.0)
            self._all.add(face, 1.0)

    def result(self) -> dict:
        """The statistics: fractions and means are over the faces; durations are 0."""
        result = super().result()
        for shares in (result, *result['faces'].values()):
            shares['face_seconds'] = 0.0
        return {**result, 'cuts': 0, 'photos': self.frames}


def _shares(face: _Face) -> dict:
    total = face.seconds
    return {
        'face_seconds': round(total, 3),
        'mean_valence': round(face.valence / total, 4) if total else None,
        'emotions': {name: round(seconds / total, 4) if total else 0.0 for name, seconds in face.emotions.items()},
        'groups': {name: round(seconds / total, 4) if total else 0.0 for name, seconds in face.groups.items()},
    }


def _more(face: _Face) -> dict:
    """``spread`` is the standard deviation of valence, ``usable`` the fraction of time in which quality suffices."""
    total = face.seconds
    if not total:
        return {'spread': None, 'usable': None}
    variance = max(0.0, face.squares / total - (face.valence / total) ** 2)
    return {'spread': round(variance ** 0.5, 4), 'usable': round(face.usable / total, 4)}
