"""Faces as Parquet: the values, types and units of every column, and files that are not ours."""

import subprocess
import sys

import pytest

from fer_ros.emotions import EMOTIONS
from fer_ros.results import faces_parquet
from fer_ros.results.faces import FaceEmotion
from fer_ros.results.faces_csv import COLUMNS
from fer_ros.results.faces_parquet import ROWS, FacesParquet, ParquetError, read_columns

pa = pytest.importorskip('pyarrow')
pq = pytest.importorskip('pyarrow.parquet')


def face(face_id='f1', valence=0.25, quality=0.75) -> FaceEmotion:
    return FaceEmotion(face_id, (1.5, -2.0, 30.25, 40.0), (0.0, 0.0, 0.0, 0.625, 0.125, 0.0, 0.25), 'happy', 0.625,
                       valence, 0.5, quality)


def test_values_types_units_and_version(tmp_path):
    writer = FacesParquet(tmp_path / 'a.parquet', 'grün 007')
    writer.write(40_000_000, 1, face())
    writer.write(80_000_000, 2, face(quality=0.0), 'ü.jpg')
    writer.close()
    writer.close()
    table = pq.ParquetFile(tmp_path / 'a.parquet').read()
    assert table.column_names == [*COLUMNS, 'photo', 'usable', 'recording_name']
    assert table.to_pylist()[0] == {
        'time_s': 0.04, 'frame': 1, 'face_id': 'f1', 'x': 1.5, 'y': -2.0, 'width': 30.25, 'height': 40.0,
        'emotion': 'happy', 'confidence': 0.625, 'valence': 0.25, 'raw_valence': 0.5,
        **dict(zip(EMOTIONS, face().probabilities, strict=True)), 'quality': 0.75, 'photo': None, 'usable': True,
        'recording_name': 'grün 007'}
    assert table.to_pylist()[1]['usable'] is False and table.to_pylist()[1]['photo'] == 'ü.jpg'
    types = {field.name: str(field.type) for field in table.schema}
    assert types == {**dict.fromkeys(table.column_names, 'float'), 'time_s': 'double', 'frame': 'int64',
                     **dict.fromkeys(('face_id', 'emotion', 'photo', 'recording_name'), 'string'), 'usable': 'bool'}
    for field in table.schema:
        assert (field.metadata is not None) == (field.type not in (pa.string(), pa.bool_())), field.name
    assert table.schema.field('width').metadata == {b'unit': b'px of the turned image'}
    assert table.schema.metadata[b'fer_ros.schema_version'] == b'1'
    assert table.schema.metadata[b'fer_ros.usable'].startswith(b'quality >= 0.')
    name, columns = read_columns(tmp_path / 'a.parquet')
    assert name == 'grün 007' and columns['frame'].tolist() == [1, 2]


def test_many_rows_are_written_in_parts_and_none_are_a_file_too(tmp_path):
    writer = FacesParquet(tmp_path / 'a.parquet', 'a')
    for frame in range(ROWS + 5):
        writer.write(frame, frame, face())
    writer.close()
    file = pq.ParquetFile(tmp_path / 'a.parquet')
    assert file.num_row_groups == 2 and file.read()['frame'].to_pylist() == list(range(ROWS + 5))
    FacesParquet(tmp_path / 'b.parquet', 'b').close()
    assert pq.ParquetFile(tmp_path / 'b.parquet').read().num_rows == 0
    assert read_columns(tmp_path / 'b.parquet')[0] == 'b'


def test_files_that_cannot_be_read_are_told_apart(tmp_path, monkeypatch):
    path = tmp_path / 'a.parquet'
    path.write_bytes(b'PAR1 and no end')
    with pytest.raises(ParquetError, match=r'a\.parquet is not a complete Parquet file'):
        read_columns(path)
    pq.write_table(pa.table({'x': [1]}), path)
    with pytest.raises(ParquetError, match=r'a\.parquet was not written by process_video'):
        read_columns(path)
    monkeypatch.setattr(faces_parquet, 'SCHEMA_VERSION', 9)
    FacesParquet(path, 'a').close()
    monkeypatch.undo()
    with pytest.raises(ParquetError, match='has schema version 9: version 1 of'):
        read_columns(path)


def test_without_pyarrow_the_remedy_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    monkeypatch.setitem(sys.modules, 'pyarrow.parquet', None)
    with pytest.raises(ParquetError, match='pip install pyarrow=='):
        FacesParquet(tmp_path / 'a.parquet', 'a')


def test_it_is_imported_only_when_it_is_needed():
    code = ('import sys, fer_ros.recordings.processing, fer_ros.recordings.recordings_table, '
            "fer_ros.tools.process_video; sys.exit('pyarrow' in sys.modules)")
    subprocess.run([sys.executable, '-c', code], check=True, timeout=120)
