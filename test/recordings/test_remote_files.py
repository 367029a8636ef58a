"""Recordings and results at URLs of fsspec: in memory, and from a web server on this computer."""

import csv
import functools
import http.server
import io
import json
import os
import threading
import time

import fsspec
import pytest
from reading import read
from test_inputs import bag_messages, photo, video
from videos import clip_frames, storage, write_bag, write_video

from fer_ros.recordings import remote_files
from fer_ros.recordings.inputs import search
from fer_ros.recordings.part_task import Order, analyse
from fer_ros.recordings.parts import Part
from fer_ros.recordings.remote_output import RemoteOutput
from fer_ros.recordings.settings import Settings
from fer_ros.tools.process_video import main


@pytest.fixture
def memory(monkeypatch, tmp_path):
    """An empty object store, and an empty cache."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    store = fsspec.filesystem('memory')
    store.store.clear()
    store.pseudo_dirs[:] = ['']
    yield store
    store.store.clear()


@pytest.fixture
def site(tmp_path, memory):
    """The URL of a web server, and the folder that it shows."""
    folder = tmp_path / 'site'
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f'http://127.0.0.1:{server.server_port}', folder
    server.shutdown()
    thread.join()
    server.server_close()


def upload(memory, path, url):
    memory.put(str(path), url.removeprefix('memory:/'), recursive=path.is_dir())


def test_a_study_is_found_as_it_is_in_a_folder(tmp_path, memory):
    root = tmp_path / 'study'
    video(root / 'a.mp4')
    video(root / 'no_suffix')
    write_bag(root / 'drive', bag_messages())
    storage(write_bag(tmp_path / '1', bag_messages())).rename(root / 'camera.MCAP')
    photo(root / 'photos' / '1.jpg')
    photo(root / 'photos' / '2.png')
    (root / 'notes.txt').write_text('x')
    (root / 'b.zip').write_bytes(b'PK\x03\x04')
    (root / 'c.mp4.gz').write_bytes(b'\x1f\x8b')
    video(root / '.hidden.mp4')
    upload(memory, root, 'memory://study')
    found = search(['memory://study'])
    local = search([str(root)])
    expected = {(item.source.removeprefix(f'{root}/'), item.kind, item.name) for item in local.inputs}
    assert {(item.source.removeprefix('memory:///study/').removeprefix('memory://study/'), item.kind, item.name)
            for item in found.inputs} == expected
    assert found.broken == ['memory:///study/c.mp4.gz is compressed or an archive: unpack it first']
    assert [path.rpartition('/')[2] for path in found.skipped] == ['b.zip', 'notes.txt']
    for item, same in zip(sorted(found.inputs, key=lambda item: item.name),
                          sorted(local.inputs, key=lambda item: item.name), strict=True):
        assert len(read(item.source)[0]) == len(read(same.source)[0]) > 0
        assert item.identity() == item.identity() and item.size == same.size > 1
    assert [item.name for item in search(['memory://study/*.mp4']).inputs] == ['a']
    (given,) = search(['memory://study/photos/2.png']).inputs
    assert (given.kind, given.name) == ('photos', '2')
    within = search(['memory://study'], leave_out_url='memory://study/photos/').inputs
    assert {item.name for item in within} == {item.name for item in found.inputs} - {'photos'}


def test_one_file_that_cannot_be_read_does_not_hide_the_others(tmp_path, memory, monkeypatch):
    for name in ('a.mp4', 'b.mp4', 'c.mp4'):
        upload(memory, video(tmp_path / name), f'memory://study/{name}')
    beginning = remote_files.head

    def head(url):
        if url.endswith('b.mp4'):
            raise OSError(f'{url}: no read access')
        return beginning(url)
    monkeypatch.setattr(remote_files, 'head', head)
    found = search(['memory://study'])
    assert [item.name for item in found.inputs] == ['a', 'c']
    assert [text.rpartition('/')[2] for text in found.broken] == ['b.mp4: no read access']


def test_a_folder_with_one_file_that_is_no_recording_has_none(tmp_path, memory):
    (tmp_path / 'notes.txt').write_text('x')
    upload(memory, tmp_path / 'notes.txt', 'memory://study/notes.txt')
    assert search(['memory://study']).broken == [
        'no recordings at memory://study: expected bags, videos or photos']


@pytest.mark.parametrize(('url', 'message'), [
    ('memory://none/a.mp4', 'memory://none/a.mp4 does not exist'),
    ('rtsp://user:secret@camera/stream', 'rtsp://camera/stream: Protocol not known: rtsp'),
    ('http://127.0.0.1:9/a.mp4?key=secret', 'http://127.0.0.1:9/a.mp4')])
def test_what_is_not_there_is_one_line(memory, capsys, url, message):
    assert main([url, '--output', 'memory://out']) == 1
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1 and 'secret' not in error


def test_a_copy_is_shared_until_it_is_released_or_old(tmp_path, memory, monkeypatch):
    upload(memory, video(tmp_path / 'a.mp4'), 'memory://a.mp4')
    upload(memory, video(tmp_path / 'b.mp4'), 'memory://b.mp4')
    first, second = search(['memory://a.mp4', 'memory://b.mp4']).inputs
    path = first.local()
    memory.store['/a.mp4'].seek(0, 2)
    memory.store['/a.mp4'].write(b'more')
    assert first.local() == path, 'it is not fetched again'
    first.release()
    with pytest.raises(OSError, match=r'memory://a\.mp4 has \d+ bytes now, \d+ before'):
        first.local()
    (changed,) = search(['memory://a.mp4']).inputs
    old = changed.local()
    past = time.time() - remote_files.KEPT - 1
    os.utime(old.parent, (past, past))
    second.local()
    assert not old.exists() and second.local().exists()


def test_a_worker_that_cannot_fetch_leaves_a_part_to_others(tmp_path, memory):
    upload(memory, video(tmp_path / 'a.mp4'), 'memory://a.mp4')
    (item,) = search(['memory://a.mp4']).inputs
    memory.store.clear()
    answer = analyse(Order(item, item.identity()['size'], Part(0), Settings(), ''))
    assert answer.elsewhere == 'file' and answer.error == 'memory://a.mp4 does not exist'


def test_from_a_web_server_into_a_store_and_resumed(site, memory, capsys):
    url, folder = site
    write_video(folder / 'clip.mp4', clip_frames(6.0, 7.0))
    arguments = [f'{url}/clip.mp4?key=secret', '--output', 'memory://results/one', '--jobs', '1', '--format', 'parquet']
    assert main(arguments) == 0
    names = {name.removeprefix('/results/one/') for name in memory.find('/results/one')}
    assert names == {'clip.csv', 'clip.json', 'clip.png', 'tables/recordings.csv', 'tables/recordings.parquet',
                     'tables/faces/recording=clip/faces.parquet'}
    rows = list(csv.DictReader(io.StringIO(memory.cat_file('/results/one/clip.csv').decode())))
    summary = json.loads(memory.cat_file('/results/one/clip.json'))
    assert len(rows) > 10 and summary['frames'] == 10
    assert summary['input']['path'] == f'{url}/clip.mp4'
    assert not any(b'secret' in memory.cat_file(name) for name in memory.find('/results/one'))
    cache = remote_files.cache_folder()
    assert cache.stat().st_mode & 0o77 == 0
    assert [path for path in cache.rglob('*') if path.is_file()] == [], 'nothing stays on this computer'
    capsys.readouterr()
    assert main([*arguments, '--resume']) == 0
    assert '1 of 1 inputs are already finished' in capsys.readouterr().out
    assert main(arguments[:-2]) == 0, 'without Parquet'
    assert not [name for name in memory.find('/results/one') if name.endswith('.parquet')]


def test_results_that_cannot_be_moved_are_kept_and_moved_by_the_next_run(tmp_path, memory, monkeypatch, capsys):
    write_video(tmp_path / 'clip.mp4', clip_frames(6.0, 6.5))
    arguments = [str(tmp_path / 'clip.mp4'), '--output', 'memory://results', '--jobs', '1']
    with monkeypatch.context() as broken:
        def refuse(*_, **__):
            raise PermissionError('no write access')
        broken.setattr(type(memory), 'put_file', refuse)
        assert main(arguments) == 1
    error = capsys.readouterr().err
    assert 'memory://results: no write access: the results are in ' in error
    assert memory.find('/results') == []
    RemoteOutput('memory://results').close()
    assert {'/results/clip.csv', '/results/clip.json', '/results/tables/recordings.csv'} <= set(memory.find('/results'))
