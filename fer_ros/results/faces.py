"""The faces of a frame, and the JSON in which the node publishes them on ``~/faces``."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from fer_ros.emotions import EMOTIONS
from fer_ros.results import wire

SCHEMA_VERSION = 1
LONGEST_MESSAGE = 1 << 20
"""Maximum characters of a message; a face takes 400."""
MOST_FACES = 256
"""Maximum number of faces in a message; a node tracks 64."""
LARGEST_SIDE = 100_000
"""Maximum width and height of an image in pixels, and the unit of the bounds of a box."""


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
    quality: float = 1.0
    """How well the face can be seen in this frame, 0 to 1 (`fer_ros.perception.quality`)."""


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
    left_out: tuple[str, ...] = ()
    """Why values of the message were left out by `decode`: one line for each."""

    @property
    def stamp(self) -> float:
        """The stamp in seconds."""
        return self.stamp_ns * 1e-9


def numbered(faces: Iterable[FaceEmotion], ids: dict[str, str]) -> tuple[FaceEmotion, ...]:
    """The faces with ids f1, f2, … in order of appearance; `ids` has those given so far and takes new ones."""
    return tuple(replace(face, face_id=ids.setdefault(face.face_id, f'f{len(ids) + 1}')) for face in faces)


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
            'quality': round(face.quality, 3),
            'probabilities': {e: round(p, 5) for e, p in zip(EMOTIONS, face.probabilities, strict=True)},
        } for face in frame.faces],
    }, allow_nan=False)


def decode(text: str) -> FacesFrame:
    """The frame encoded in a ``~/faces`` message.

    A face that does not follow the schema is left out, as are an invalid frame_id and primary; ``left_out`` says why.

    Raises:
        ValueError: `text` is not JSON of this schema, or too long; the message says in one line what is wrong.
    """
    if len(text) > LONGEST_MESSAGE:
        raise ValueError(f'message of {len(text)} characters, at most {LONGEST_MESSAGE} are read')
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
        version = data['version']
        if version != SCHEMA_VERSION or isinstance(version, bool):
            raise wire.BadValue(f'schema version {wire.shortened(version)}, expected {SCHEMA_VERSION}')
        stamp_ns = (wire.whole(data['stamp']['sec'], 0, (1 << 31) - 1, 'stamp.sec') * 1_000_000_000
                    + wire.whole(data['stamp']['nanosec'], 0, 999_999_999, 'stamp.nanosec'))
        width, height = (wire.whole(data['image'][key], 0, LARGEST_SIDE, f'image.{key}') for key in ('width', 'height'))
        given = data['faces']
        if not isinstance(given, list):
            raise wire.BadValue(f'faces {wire.shortened(given)} is not a list')
        left_out: list[str] = []
        faces = _decode_faces(given, left_out)
        frame_id = _or_else('', left_out, lambda: wire.line(data['frame_id'], 255, 'frame_id'))
        return FacesFrame(stamp_ns, frame_id, width, height, faces, _decode_primary(data['primary'], faces, left_out),
                          tuple(left_out))
    except wire.BadValue as error:
        raise ValueError(f'not a faces message of version {SCHEMA_VERSION}: {error}') from None
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        reason = f'{type(error).__name__} {wire.shortened(str(error))}'
        raise ValueError(f'not a faces message of version {SCHEMA_VERSION}: {reason}') from None


def _decode_faces(given: list, left_out: list[str]) -> tuple[FaceEmotion, ...]:
    faces: dict[str, FaceEmotion] = {}
    for entry in given[:MOST_FACES]:
        try:
            face = _decode_face(entry)
            if face.face_id in faces:
                raise wire.BadValue(f'face_id {face.face_id} occurs twice')
            faces[face.face_id] = face
        except wire.BadValue as error:
            left_out.append(str(error))
        except (KeyError, TypeError) as error:
            left_out.append(f'face without a valid field {wire.shortened(str(error))}')
    left_out += [f'more than {MOST_FACES} faces'] * (len(given) - MOST_FACES)
    return tuple(faces.values())


def _decode_face(face: dict) -> FaceEmotion:
    face_id = wire.face_id(face['face_id'])

    def decoded(values: dict, key: str, least: float, most: float) -> float:
        return wire.number(values[key], least, most, f'face {face_id}: {key}')
    x, y = (decoded(face['box'], key, -LARGEST_SIDE, LARGEST_SIDE) for key in ('x', 'y'))
    width, height = (decoded(face['box'], key, 0.0, 2.0 * LARGEST_SIDE) for key in ('width', 'height'))
    probabilities = tuple(decoded(face['probabilities'], emotion, 0.0, 1.0) for emotion in EMOTIONS)
    emotion = face['emotion']
    if not isinstance(emotion, str) or emotion not in EMOTIONS:
        raise wire.BadValue(f'face {face_id}: unknown emotion {wire.shortened(emotion)}')
    return FaceEmotion(face_id, (x, y, width, height), probabilities, emotion, decoded(face, 'confidence', 0.0, 1.0),
                       decoded(face, 'valence', -1.0, 1.0), decoded(face, 'raw_valence', -1.0, 1.0),
                       decoded(face, 'quality', 0.0, 1.0) if 'quality' in face else 1.0)


def _decode_primary(primary: object, faces: tuple[FaceEmotion, ...], left_out: list[str]) -> str | None:
    if primary is None or any(face.face_id == primary for face in faces):
        return primary if isinstance(primary, str) else None
    left_out.append(f'primary {wire.shortened(primary)} is none of the faces')
    return None


def _or_else(default: str, left_out: list[str], decoded: Callable[[], str]) -> str:
    try:
        return decoded()
    except wire.BadValue as error:
        left_out.append(str(error))
        return default


def _refuse_constant(name: str) -> float:
    raise wire.BadValue(f'{name} is not a number')
