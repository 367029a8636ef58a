"""The faces of a frame, and the JSON in which the node publishes them on ``~/faces``."""

import json
import math
from dataclasses import dataclass

from fer_ros.emotions import EMOTIONS

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class FaceEmotion:
    """One face in one frame."""

    face_id: str
    """Id of the track: starts with a letter, is not persistent over visits."""
    box: tuple[float, float, float, float]
    """Bounding box (x, y, width, height) in pixels of the image; may extend beyond it."""
    probabilities: tuple[float, ...]
    """Probabilities of the seven emotions in the order of `EMOTIONS`, smoothed over time; their sum is 1."""
    emotion: str
    """One of `EMOTIONS`: the likeliest of the group that wins, see `fer_ros.emotions.decide`."""
    confidence: float
    """Probability of `emotion`, 0 to 1."""
    valence: float
    """Valence of the smoothed probabilities, −1 to 1."""
    raw_valence: float
    """Valence of this frame alone, −1 to 1."""


@dataclass(frozen=True)
class FacesFrame:
    """All faces of one frame; empty if no face was seen."""

    stamp_ns: int
    """Header stamp of the image in nanoseconds."""
    frame_id: str
    width: int
    height: int
    """Size of the image in pixels."""
    faces: tuple[FaceEmotion, ...] = ()
    primary: str | None = None
    """face_id of the face that is reported on ``~/emotion`` and ``~/valence``."""

    @property
    def stamp(self) -> float:
        """The stamp in seconds."""
        return self.stamp_ns * 1e-9


def encode(frame: FacesFrame) -> str:
    """The JSON of `frame`, in the schema described in docs/faces.md."""
    return json.dumps({
        'version': SCHEMA_VERSION,
        'stamp': {'sec': frame.stamp_ns // 1_000_000_000, 'nanosec': frame.stamp_ns % 1_000_000_000},
        'frame_id': frame.frame_id,
        'image': {'width': frame.width, 'height': frame.height},
        'primary': frame.primary,
        'faces': [{
            'face_id': face.face_id,
            'box': dict(zip(('x', 'y', 'width', 'height'), (round(v, 2) for v in face.box), strict=True)),
            'emotion': face.emotion,
            'confidence': round(face.confidence, 5),
            'valence': round(face.valence, 5),
            'raw_valence': round(face.raw_valence, 5),
            'probabilities': {e: round(p, 5) for e, p in zip(EMOTIONS, face.probabilities, strict=True)},
        } for face in frame.faces],
    }, allow_nan=False)


def decode(text: str) -> FacesFrame:
    """The frame encoded in a ``~/faces`` message.

    Raises:
        ValueError: `text` is not JSON of this schema; the message says what is wrong.
    """
    try:
        data = json.loads(text)
        if data['version'] != SCHEMA_VERSION:
            raise ValueError(f'schema version {data["version"]!r}, expected {SCHEMA_VERSION}')
        faces = tuple(_decode_face(face) for face in data['faces'])
        sec, nanosec = int(data['stamp']['sec']), int(data['stamp']['nanosec'])
        if not (0 <= sec < 1 << 31 and 0 <= nanosec < 1_000_000_000):
            raise ValueError(f'stamp {sec} s {nanosec} ns is not a ROS time')
        return FacesFrame(sec * 1_000_000_000 + nanosec, data['frame_id'],
                          int(data['image']['width']), int(data['image']['height']), faces, data['primary'])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f'not a faces message of version {SCHEMA_VERSION}: {error!r}') from error


def _decode_face(face: dict) -> FaceEmotion:
    numbers = [float(face[key]) for key in ('confidence', 'valence', 'raw_valence')]
    x, y, width, height = (float(face['box'][key]) for key in ('x', 'y', 'width', 'height'))
    box = x, y, width, height
    probabilities = tuple(float(face['probabilities'][e]) for e in EMOTIONS)
    if not all(map(math.isfinite, (*numbers, *box, *probabilities))):
        raise ValueError(f'face {face["face_id"]!r} holds a number that is not finite')
    if face['emotion'] not in EMOTIONS:
        raise ValueError(f'face {face["face_id"]!r} has the unknown emotion {face["emotion"]!r}')
    if max(map(abs, numbers)) > 1:
        raise ValueError(f'face {face["face_id"]!r} has confidence or valence out of range')
    return FaceEmotion(str(face['face_id']), box, probabilities, str(face['emotion']), *numbers)
