"""Sessions that are kept when their video is gone: numbers and notes, no images."""

import json
import logging
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from fer_ros.atomic_files import write_file
from fer_ros.emotions import EMOTIONS, GROUPS
from fer_ros.results import wire
from fer_ros.results.session_summary import ROW, Session
from fer_ros.web.notes import LONGEST_NAME, LONGEST_TEXT, Marker, Notes

_log = logging.getLogger(__name__)

MOST = 50
"""Maximum number of sessions that are kept."""
LARGEST = 64 << 20
"""Maximum bytes of a file, and of all sessions in memory four times that."""
VERSION = 1
_ID = re.compile(r'[0-9a-f]{32}', re.ASCII)
_STYLE = re.compile(r'#[0-9a-f]{6}', re.ASCII)


class KeptError(Exception):
    """There are too many sessions."""


@dataclass(frozen=True)
class KeptSession:
    """What is kept of a video."""

    title: str
    when: str
    """Local time at which it was kept."""
    session: Session
    styles: Mapping[str, Mapping]
    """``light`` and ``dash`` of the line of each face."""
    notes: Notes
    warning: str = ''

    @property
    def size(self) -> int:
        """Bytes of the numbers."""
        return self.session.times.nbytes + sum(rows.nbytes for rows in self.session.faces.values())


class KeptSessions:
    """Sessions by owner, as long as the program runs; or with a folder, those of everybody, until they are removed.

    Args:
        folder: folder of the files; None: they are kept in memory only.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[str, KeptSession]] = {}
        """Owner and session by id; everybody's have no owner."""
        for path in sorted(folder.glob('*.json'))[:MOST] if folder is not None else ():
            if _ID.fullmatch(path.stem):
                try:
                    if path.stat().st_size > LARGEST:
                        raise ValueError('the file is too large')
                    self._kept[path.stem] = '', decode(path.read_text(encoding='utf-8'))
                except (OSError, ValueError) as error:
                    _log.warning('a session was left out, %s: %s', path.name, error)

    def keep(self, owner: str, one: KeptSession) -> str:
        """Keep a session; its id. Raises KeptError, OSError."""
        name = secrets.token_hex(16)
        with self._lock:
            if len(self._kept) >= MOST or sum(kept.size for _, kept in self._kept.values()) + one.size > 4 * LARGEST:
                raise KeptError
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_file(self._folder / f'{name}.json', encode(one).encode())
            self._kept[name] = '' if self._folder is not None else owner, one
        return name

    def of(self, owner: str) -> dict[str, KeptSession]:
        """The sessions that this owner may see, by id, the newest first."""
        with self._lock:
            found = {name: one for name, (whose, one) in self._kept.items() if whose in ('', owner)}
        return dict(sorted(found.items(), key=lambda item: item[1].when)[::-1])

    def forget(self, owner: str, name: str) -> None:
        """Remove a session of this owner, if there is one. Raises OSError."""
        if name in self.of(owner):
            with self._lock:
                self._kept.pop(name, None)
            if self._folder is not None:
                (self._folder / f'{name}.json').unlink(missing_ok=True)


def now() -> str:
    """The local time, as of `KeptSession.when`."""
    return f'{datetime.now():%Y-%m-%d %H:%M:%S}'


def encode(one: KeptSession) -> str:
    """The JSON of a session."""
    return json.dumps({
        'version': VERSION, 'title': one.title, 'when': one.when, 'warning': one.warning, 'styles': dict(one.styles),
        'names': dict(one.notes.names), 'markers': [[marker.time_s, marker.text] for marker in one.notes.markers],
        'times': np.round(one.session.times, 6).tolist(),
        'faces': {face_id: {name: np.round(rows[name], 4).tolist() for name in ROW.names or ()}
                  for face_id, rows in one.session.faces.items()}}, separators=(',', ':'))


def decode(text: str) -> KeptSession:
    """The session encoded in `text`. Raises ValueError: it is none, or damaged."""
    try:
        data = json.loads(text)
        if data['version'] != VERSION:
            raise ValueError(f'version {wire.shortened(data["version"])}, expected {VERSION}')
        times = np.array(data['times'], np.float64)
        if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times) < 0).any():
            raise ValueError('times are not in order')
        faces = {wire.face_id(face_id): _rows(columns, len(times)) for face_id, columns in data['faces'].items()}
        styles = {face_id: _style(data['styles'][face_id]) for face_id in faces}
        names = {face_id: wire.line(name, LONGEST_NAME, 'name') for face_id, name in data['names'].items()}
        markers = tuple(Marker(number, wire.number(time, 0, 1e6, 'time'), wire.line(said, LONGEST_TEXT, 'text'))
                        for number, (time, said) in enumerate(data['markers'], 1))
        return KeptSession(wire.line(data['title'], wire.LONGEST_TEXT, 'title'), wire.line(data['when'], 40, 'when'),
                           Session(times, faces), styles, Notes(markers, names), wire.shown(data['warning']))
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise ValueError(f'not a session: {type(error).__name__} {wire.shortened(str(error))}') from None


def _rows(columns: Mapping[str, list], frames: int) -> np.ndarray:
    rows = np.zeros(len(columns['frame']), ROW)
    for name in ROW.names or ():
        values = np.array(columns[name], np.float64)
        least, most = {'frame': (0, frames - 1), 'emotion': (0, len(EMOTIONS) - 1), 'group': (0, len(GROUPS) - 1),
                       'valence': (-1, 1), 'quality': (0, 1)}[name]
        if values.shape != rows.shape or not ((values >= least) & (values <= most)).all():
            raise ValueError(f'{name} is not from {least} to {most}, or of another length')
        rows[name] = values
    if not len(rows) or (np.diff(rows['frame']) <= 0).any():
        raise ValueError('frames of a face are not in order')
    return rows


def _style(style: Mapping) -> dict:
    if not _STYLE.fullmatch(style['light']):
        raise ValueError(f'{wire.shortened(style["light"])} is not a colour')
    return {'light': style['light'], 'dash': [wire.whole(length, 0, 100, 'dash') for length in style['dash']]}
