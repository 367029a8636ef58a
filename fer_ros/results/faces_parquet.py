"""Faces as a Parquet file: the rows of the CSV with types, units, and a schema that is the same in every file.

pyarrow is imported when a file is written or read, since nothing else needs it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fer_ros.emotions import EMOTIONS
from fer_ros.results import wire
from fer_ros.results.faces import FaceEmotion
from fer_ros.results.faces_csv import COLUMNS
from fer_ros.results.session_summary import USABLE

SCHEMA_VERSION = 1
"""Of the columns; it grows when one changes its name, type, unit or meaning."""
MORE_COLUMNS = ('photo', 'usable', 'recording_name')
"""Columns after those of the CSV."""
ROWS = 20_000
"""Rows that are kept in memory and written together."""
_KEY = 'fer_ros.schema_version'
_RANGE, _PIXELS = '1, −1 to 1', 'px of the turned image'
_UNITS = {'time_s': 's since the first frame', 'frame': 'number from 0', 'x': _PIXELS, 'y': _PIXELS, 'width': _PIXELS,
          'height': _PIXELS, 'confidence': '1, 0 to 1', 'valence': _RANGE, 'raw_valence': _RANGE,
          **dict.fromkeys(EMOTIONS, '1, 0 to 1'), 'quality': '1, 0 to 1'}
"""Unit of each column that has one; 1 is a number without."""


class ParquetError(Exception):
    """Parquet cannot be written or read; the message is one line with the remedy."""


def check() -> None:
    """Raise ParquetError if pyarrow cannot be imported."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:  # it is absent, or for another NumPy than is installed
        raise ParquetError(f'Parquet needs `pip install pyarrow==25.0.1` ({error})') from error


def _schema(recording: str) -> Any:
    import pyarrow as pa
    types = {'time_s': pa.float64(), 'frame': pa.int64(), 'face_id': pa.string(), 'emotion': pa.string(),
             'photo': pa.string(), 'usable': pa.bool_(), 'recording_name': pa.string()}
    fields = [pa.field(name, types.get(name, pa.float32()), metadata={'unit': _UNITS[name]} if name in _UNITS else None)
              for name in (*COLUMNS, *MORE_COLUMNS)]
    return pa.schema(fields, metadata={_KEY: str(SCHEMA_VERSION), 'fer_ros.recording': recording,
                                       'fer_ros.usable': f'quality >= {USABLE:g}'})


class FacesParquet:
    """Writes a file with one row per face and frame; `close` completes it.

    Args:
        path: replaced if it exists.
        recording: name of the recording.

    Raises:
        ParquetError: pyarrow cannot be imported.
        OSError: also in every method: the file cannot be written.
    """

    def __init__(self, path: Path, recording: str) -> None:
        check()
        import pyarrow.parquet as pq
        self._schema = _schema(recording)
        self._recording = recording
        self._rows: list[tuple] = []
        self._writer = pq.ParquetWriter(path, self._schema, compression='zstd')

    def write(self, time_ns: int, frame: int, face: FaceEmotion, photo: str | None = None) -> None:
        """Add the row of one face.

        Args:
            time_ns: nanoseconds since the first frame.
            frame: number of the frame.
            face: the face.
            photo: file name of the photo, if it is one.
        """
        self._rows.append((time_ns / 1e9, frame, wire.shown(face.face_id), *face.box, face.emotion, face.confidence,
                           face.valence, face.raw_valence, *face.probabilities, face.quality,
                           None if photo is None else wire.shown(photo), face.quality >= USABLE, self._recording))
        if len(self._rows) >= ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        if self._rows:
            columns = [pa.array(values, field.type) for values, field in zip(zip(*self._rows, strict=True),
                                                                            self._schema, strict=True)]
            self._rows.clear()
            self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))

    def close(self) -> None:
        """Write what is left; a file without rows is valid too. No effect the second time."""
        if self._writer.is_open:
            try:
                self._flush()
            finally:
                self._writer.close()


def read_columns(path: Path) -> tuple[str, Mapping[str, Sequence]]:
    """The name of the recording in a file, and its columns by name: lists of texts, and arrays.

    Raises:
        ParquetError: pyarrow cannot be imported, or the file is damaged, of another program or of a newer version.
        OSError: the file cannot be read.
    """
    check()
    import pyarrow as pa
    import pyarrow.parquet as pq
    try:
        # Not read_table, which takes the folder's name for a column.
        table = pq.ParquetFile(path).read()
    except pa.ArrowInvalid as error:
        raise ParquetError(f'{path} is not a complete Parquet file') from error
    known = {key.decode(): value.decode(errors='replace') for key, value in (table.schema.metadata or {}).items()}
    version = known.get(_KEY)
    if version != str(SCHEMA_VERSION) or not set(COLUMNS) <= set(table.column_names):
        found = 'was not written by process_video' if version is None else f'has schema version {wire.shown(version)}'
        raise ParquetError(f'{path} {found}: version {SCHEMA_VERSION} of process_video --format parquet is read')
    columns = {name: column.to_pylist() if pa.types.is_string(column.type) else column.to_numpy()
               for name, column in zip(table.column_names, table.columns, strict=True)}
    return known.get('fer_ros.recording', ''), columns
