"""What the heavy half found in a part of a recording: the record that passes between processes, and its file.

Files are NumPy's .npz without pickled objects, so that reading a damaged or foreign one can run nothing.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fer_ros.perception.image_problems import Look
from fer_ros.perception.seen_frame import SeenFace, SeenFrame

VERSION = 1
"""Of the record and its file; grows with every change of what they mean."""
_NONE = np.nan


@dataclass(frozen=True, eq=False)
class FrameRecord:
    """One frame of a part."""

    index: int
    """Number of the frame in the part from 0, counting skipped frames too."""
    stamp_ns: int
    """Its time in the recording, as it is there."""
    recorded_ns: int
    """The time of recording of a message; otherwise as `stamp_ns`."""
    cut: bool = False
    """Whether it begins another shot."""
    seen: SeenFrame | None = None
    """What it shows; None if it could not be analysed."""
    look: Look | None = None
    """Of the frames that are looked at for image problems."""
    error: str = ''
    """Why it could not be analysed."""


@dataclass(frozen=True, eq=False)
class PartResult:
    """All frames of a part."""

    number: int
    frames: tuple[FrameRecord, ...] = ()
    report: Mapping[str, Any] = field(default_factory=dict)
    """Of the reader, see `fer_ros.recordings.frame_readers.Report`."""
    machine: str = ''
    """Where it was made."""


class PartFileError(ValueError):
    """A file is no part, or one of another version."""


def to_bytes(result: PartResult, key: str = '') -> bytes:
    """A part as the contents of a .npz file; `key` says what it was made of."""
    frames = result.frames
    seen = [frame.seen or SeenFrame(0, 0) for frame in frames]
    looks = [frame.look for frame in frames]
    faces = [face for each in seen for face in each.faces]
    head = {'version': VERSION, 'key': key, 'number': result.number, 'report': dict(result.report),
            'machine': result.machine, 'errors': {i: frame.error for i, frame in enumerate(frames) if frame.error}}
    file = io.BytesIO()
    np.savez_compressed(
        file, head=np.frombuffer(json.dumps(head).encode('ascii'), np.uint8),
        times=np.array([(f.index, f.stamp_ns, f.recorded_ns) for f in frames], np.int64).reshape(-1, 3),
        flags=np.array([(f.cut, f.seen is not None, s.searched) for f, s in zip(frames, seen, strict=True)],
                       bool).reshape(-1, 3),
        sizes=np.array([(s.width, s.height, len(s.faces)) for s in seen], np.int64).reshape(-1, 3),
        looks=np.array([(_NONE,) * 4 if look is None else
                        [_NONE if value is None else value for value in
                         (look.bright, look.clipped, look.size, look.sharpness)] for look in looks]).reshape(-1, 4),
        faces=np.array([(*f.box, f.score, f.tilt, f.quality) for f in faces], np.float64).reshape(-1, 7),
        sources=np.array([face.source for face in faces], np.int64),
        probabilities=np.concatenate([np.zeros((0, 7), np.float32), *(each.probabilities for each in seen)]))
    return file.getvalue()


def from_bytes(data: bytes) -> tuple[PartResult, str]:
    """The part in the contents of a file, and its key.

    Raises:
        PartFileError: it is damaged, or of another version.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            columns = {name: file[name] for name in file.files}
        head = json.loads(columns['head'].tobytes())
        if head['version'] != VERSION:
            raise PartFileError(f'version {head["version"]}, expected {VERSION}')
        frames = tuple(_frames(columns, head['errors']))
        return PartResult(head['number'], frames, head['report'], head['machine']), head['key']
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OSError, EOFError,
            zipfile.BadZipFile) as error:
        raise PartFileError(' '.join(str(error).split()) or type(error).__name__) from error


def _frames(columns: Mapping[str, np.ndarray], errors: Mapping[str, str]):
    faces, sources, place = columns['faces'].tolist(), columns['sources'].tolist(), 0
    rows = zip(columns['times'].tolist(), columns['flags'].tolist(), columns['sizes'].tolist(),
               columns['looks'].tolist(), strict=True)
    for i, ((index, stamp_ns, recorded_ns), (cut, analysed, searched), (width, height, count), look) in enumerate(rows):
        own = slice(place, place + count)
        place += count
        seen = SeenFrame(width, height, tuple(
            SeenFace((x, y, w, h), score, tilt, quality, source)
            for (x, y, w, h, score, tilt, quality), source in zip(faces[own], sources[own], strict=True)),
            columns['probabilities'][own], searched) if analysed else None
        yield FrameRecord(index, stamp_ns, recorded_ns, cut, seen, _look(look), errors.get(str(i), ''))


def _look(values: list[float]) -> Look | None:
    bright, clipped, size, sharpness = (None if np.isnan(value) else value for value in values)
    return None if bright is None or clipped is None else Look(bright, clipped, size, sharpness)
