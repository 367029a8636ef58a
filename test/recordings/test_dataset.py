"""The tables of all recordings: what is in them, and that what the documents say about reading them is so."""

import csv
import json
import re
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from fer_ros.recordings.dataset import faces_file, faces_files
from fer_ros.recordings.output_files import OutputFiles
from fer_ros.recordings.recordings_table import COLUMNS, write_table
from fer_ros.recordings.summary import Summary
from fer_ros.results.faces import FaceEmotion, FacesFrame

DOCUMENT = Path(__file__).resolve().parents[2] / 'docs' / 'process_video.md'
IMAGE = np.zeros((48, 64, 3), np.uint8)
needs_pyarrow = pytest.mark.skipif(find_spec('pyarrow') is None, reason='pyarrow is not installed')


def write_recording(folder, name, valences=(0.5, -0.5), parquet=True, photos=(), complete=True):
    summary = Summary(0.5)
    with closing(OutputFiles(folder, name, photos=photos, parquet=parquet)) as outputs:
        for number, valence in enumerate(valences):
            faces = (FaceEmotion('f1', (1.0, 2.0, 9.0, 9.0), (0, 0, 0, 1, 0, 0, 0), 'happy', 1.0, valence, valence,
                                 float(valence > 0)),)
            outputs.add(number, IMAGE, FacesFrame(number * 10**9, '', 64, 48, faces))
            summary.add(float(number), faces)
        if complete:
            outputs.complete({'input': {'path': name}, 'settings': {}, 'warning': '', **summary.result()})


def rows_of(path):
    with path.open(encoding='utf-8') as file:
        return list(csv.DictReader(file))


@needs_pyarrow
@pytest.mark.parametrize('library', ['pandas', 'polars', 'duckdb'])
def test_each_library_reads_all_recordings_in_the_line_of_the_documents(tmp_path, monkeypatch, library):
    module = pytest.importorskip(library)
    lines = re.findall(rf'^faces = {library}\.\S.*$', DOCUMENT.read_text(encoding='utf-8'), re.MULTILINE)
    assert len(lines) == 1
    names = ['007', '2026-01-31', '_=cmd|calc grün', 'a b*[x]{y}+z&?~', "n'a:\"#<>%3D"]
    for name in names:
        write_recording(tmp_path / 'results', name)
    write_recording(tmp_path / 'results', 'photos', photos=('a.jpg', 'b.jpg'))
    write_recording(tmp_path / 'results', 'not finished', complete=False)
    monkeypatch.chdir(tmp_path)
    found: dict = {library: module}
    exec(lines[0], found)
    faces = found['faces']
    rows = (faces.to_dicts() if library == 'polars' else
            (faces.df() if library == 'duckdb' else faces).to_dict('records'))
    assert len(rows) == 12
    assert {row['recording_name'] for row in rows} == {*names, 'photos'}
    assert all(str(row['recording']) == row['recording_name'] for row in rows)
    assert all(bool(row['usable']) == (row['valence'] > 0) for row in rows)
    assert [row['photo'] for row in rows if row['recording_name'] == 'photos'] == ['a.jpg', 'b.jpg']


@needs_pyarrow
def test_a_name_like_a_number_alone_is_kept_as_text(tmp_path):
    pandas = pytest.importorskip('pandas')
    write_recording(tmp_path, '007')
    assert set(pandas.read_parquet(tmp_path / 'tables' / 'faces')['recording_name']) == {'007'}


@needs_pyarrow
def test_interrupted_rows_are_readable_and_outside_of_the_dataset(tmp_path):
    import pyarrow.parquet as pq
    write_recording(tmp_path, 'a', complete=False)
    assert {path.name for path in tmp_path.iterdir()} == {'a.partial.csv', 'a.partial.parquet'}
    assert pq.ParquetFile(tmp_path / 'a.partial.parquet').read().num_rows == 2
    write_recording(tmp_path, 'a')
    assert {path.name for path in tmp_path.iterdir()} == {'a.csv', 'a.json', 'a.png', 'tables'}
    files = [faces_file(tmp_path, 'a')]
    assert list(faces_files(tmp_path)) == list(faces_files(tmp_path / 'tables' / 'faces')) == files


@needs_pyarrow
def test_rows_of_an_earlier_run_do_not_stay_in_the_dataset(tmp_path):
    write_recording(tmp_path, 'a')
    write_recording(tmp_path, 'b')
    write_recording(tmp_path, 'a', parquet=False)
    assert [path.parent.name for path in faces_files(tmp_path)] == ['recording=b']


def test_long_names_fit_into_a_folder_and_stay_different():
    paths = [faces_file(Path(), '=' * 199 + end) for end in 'ab']
    assert len({*paths}) == 2
    assert all(len(path.parent.name.encode()) <= 255 and re.fullmatch('recording=(%3D)+_[0-9a-f]{8}', path.parent.name)
               for path in paths)


def test_one_row_per_recording(tmp_path):
    write_recording(tmp_path, 'a', parquet=False)
    write_recording(tmp_path, 'b', (1.0,), parquet=False)
    summary = json.loads((tmp_path / 'b.json').read_text())
    del summary['spread'], summary['usable']  # of an older version
    (tmp_path / 'b.json').write_text(json.dumps({**summary, 'frames': 'many', 'warning': '=1+1\nx'}))
    (tmp_path / 'notes.json').write_text('[1]')
    (tmp_path / 'cut.json').write_text('{"input": ')
    write_table(tmp_path, parquet=False)
    first, second = rows_of(tmp_path / 'tables' / 'recordings.csv')
    assert tuple(first) == COLUMNS
    expected = {'recording': 'a', 'duration_s': '2.0', 'frames': '2', 'faces_seen': '1', 'mean_valence': '0.0',
                'happy': '1.0', 'sad': '0.0', 'group_positive': '1.0', 'spread': '0.5', 'usable': '0.5', 'photos': ''}
    assert {name: first[name] for name in expected} == expected
    assert (second['recording'], second['frames'], second['spread'], second['warning']) == ('b', '', '', "'=1+1 x")
    before = (tmp_path / 'tables' / 'recordings.csv').stat().st_mtime_ns
    write_table(tmp_path, parquet=False)
    assert (tmp_path / 'tables' / 'recordings.csv').stat().st_mtime_ns == before


def test_without_recordings_there_is_no_table(tmp_path):
    write_table(tmp_path, parquet=False)
    assert not list(tmp_path.iterdir())


@needs_pyarrow
def test_the_table_as_parquet_has_types_and_units(tmp_path):
    import pyarrow.parquet as pq
    write_recording(tmp_path, 'a')
    write_table(tmp_path, parquet=True)
    table = pq.read_table(tmp_path / 'tables' / 'recordings.parquet')
    assert table.column_names == list(COLUMNS)
    (row,) = table.to_pylist()
    assert (row['recording'], row['frames'], row['spread'], row['photos']) == ('a', 2, 0.5, None)
    assert table.schema.field('duration_s').metadata == {b'unit': b's'}
    write_table(tmp_path, parquet=False)
    assert not (tmp_path / 'tables' / 'recordings.parquet').exists(), 'it would be of an earlier run'
