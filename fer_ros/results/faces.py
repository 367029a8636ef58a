"""What the pipeline says of a frame, and the JSON in which the node hands it to its companions."""

import json
import math
from dataclasses import dataclass

from fer_ros.emotions import EMOTIONS

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class FaceEmotion:
    """One face in one frame."""

    face_id: str
    """Of the track: starts with a letter, not persistent over visits."""
    box: tuple[float, float, float, float]
    """Bounding box (x, y, width, height) in pixels of the image; may reach over its border."""
    probabilities: tuple[float, ...]
    """Of the seven emotions in the order of `EMOTIONS`, smoothed over time, sum 1."""
    emotion: str
    """One of `EMOTIONS`: the likeliest of the group that wins, see `fer_ros.emotions.decide`."""
    confidence: float
    """Its probability, 0 to 1."""
    valence: float
    """−1 to 1, of the smoothed probabilities."""
    raw_valence: float
    """−1 to 1, of this frame alone."""


@dataclass(frozen=True)
class FacesFrame:
    """All faces of one frame; an empty list says that no face was seen."""

    stamp_ns: int
    """The image's header stamp in nanoseconds."""
    frame_id: str
    width: int
    height: int
    """Of the image, in pixels."""
    faces: tuple[FaceEmotion, ...] = ()
    primary: str | None = None
    """face_id of the face that ``~/emotion`` and ``~/valence`` speak of."""

    @property
    def stamp(self) -> float:
        """Seconds."""
        return self.stamp_ns * 1e-9


def encode(frame: FacesFrame) -> str:
    """JSON of `frame`, in the schema that docs/faces.md describes."""
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
    """The frame in a ``~/faces`` message.

    Raises:
        ValueError: the text is not JSON of this schema; the message says what is wrong.
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
    box = tuple(float(face['box'][key]) for key in ('x', 'y', 'width', 'height'))
    probabilities = tuple(float(face['probabilities'][e]) for e in EMOTIONS)
    if not all(map(math.isfinite, (*numbers, *box, *probabilities))):
        raise ValueError(f'face {face["face_id"]!r} holds a number that is not finite')
    if face['emotion'] not in EMOTIONS:
        raise ValueError(f'face {face["face_id"]!r} has the unknown emotion {face["emotion"]!r}')
    if max(map(abs, numbers)) > 1:
        raise ValueError(f'face {face["face_id"]!r} has confidence or valence out of range')
    return FaceEmotion(str(face['face_id']), box, probabilities, str(face['emotion']), *numbers)
