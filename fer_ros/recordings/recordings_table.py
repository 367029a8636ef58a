"""A table with one row per recording, from the summaries in an output folder."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_ros.atomic_files import completed, write_file
from fer_ros.emotions import EMOTIONS, GROUPS
from fer_ros.recordings.dataset import TABLES
from fer_ros.results import faces_parquet, wire
from fer_ros.results.faces_csv import text_cell

_TEXTS = ('recording', 'warning')
_COUNTS = ('frames', 'frames_with_face', 'faces_seen', 'faces_seen_shortly', 'cuts', 'photos')
COLUMNS = ('recording', 'duration_s', *_COUNTS[:-1], 'face_seconds', 'mean_valence', *EMOTIONS,
           *(f'group_{name}' for name in GROUPS), 'spread', 'usable', 'photos', 'warning')
"""As in the summaries; emotions and groups are fractions of the time with a face, the groups with ``group_`` before."""
_UNITS = {'duration_s': 's', 'face_seconds': 's', 'mean_valence': '1, −1 to 1', 'spread': '1, standard deviation',
          **dict.fromkeys((*EMOTIONS, *(f'group_{name}' for name in GROUPS), 'usable'), '1, fraction of time')}


def write_table(folder: Path, parquet: bool) -> None:
    """Write recordings.csv, and with `parquet` recordings.parquet, into `TABLES` of the output folder.

    Files that would not change are left alone. Without recordings, nothing is written.

    Raises:
        ParquetError: pyarrow cannot be imported.
        OSError: a file cannot be read or written.
    """
    rows = [row for path in sorted(folder.glob('*.json')) if (row := _row(path)) is not None]
    if not rows:
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(text_cell(row[name]) if name in _TEXTS else row[name] for name in COLUMNS)
    path, data = folder / TABLES / 'recordings.csv', text.getvalue().encode()
    if not path.exists() or path.read_bytes() != data:
        write_file(path, data)
    other = path.with_suffix('.parquet')
    if parquet:
        _write_parquet(other, rows)
    else:
        other.unlink(missing_ok=True)  # it would be of an earlier run


def _row(path: Path) -> dict[str, Any] | None:
    """The row of a summary; None for another JSON file."""
    try:
        summary = json.loads(path.read_text(encoding='utf-8'))
    except (ValueError, RecursionError):
        return None
    if not isinstance(summary, dict) or not {'input', 'settings', 'frames', 'mean_valence', 'emotions'} <= set(summary):
        return None
    flat = {**summary, **{name: _entry(summary, 'emotions', name) for name in EMOTIONS},
            **{f'group_{name}': _entry(summary, 'groups', name) for name in GROUPS}}
    # Absent in summaries of older versions, and photos in those of videos.
    return {name: wire.shown(path.stem if name == 'recording' else str(flat.get(name, ''))) if name in _TEXTS
            else _number(flat.get(name), name in _COUNTS) for name in COLUMNS}


def _entry(summary: Mapping, group: str, name: str) -> object:
    values = summary.get(group)
    return values.get(name) if isinstance(values, dict) else None


def _number(value: object, whole: bool) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return None
    return value if abs(value) < 1e15 else None


def _write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    faces_parquet.check()
    import pyarrow as pa
    import pyarrow.parquet as pq

    def field(name: str) -> pa.Field:
        kind = pa.string() if name in _TEXTS else pa.int64() if name in _COUNTS else pa.float64()
        return pa.field(name, kind, metadata={'unit': _UNITS[name]} if name in _UNITS else None)
    schema = pa.schema([field(name) for name in COLUMNS],
                       metadata={'fer_ros.schema_version': str(faces_parquet.SCHEMA_VERSION)})
    with completed(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema), temporary)
