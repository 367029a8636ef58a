"""Live recordings on disk."""

import csv
import math
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

av = pytest.importorskip('av')

from dashboard_harness import PATIENCE, face  # noqa: E402

from fer_ros.results.faces import FacesFrame  # noqa: E402
from fer_ros.results.faces_csv import COLUMNS  # noqa: E402
from fer_ros.web.live.recorder import LARGEST_STEP, LiveRecorder, RecordingLimits, _Times  # noqa: E402
from fer_ros.web.live.recording_files import UNDO  # noqa: E402

START, STEP = 10**18, 50_000_000


def limits(**changed) -> RecordingLimits:
    return RecordingLimits(**({'size': 1 << 30, 'seconds': 600.0, 'rate': 30.0, 'width': 320, 'reserve': 0} | changed))


def frame(index: int, *faces) -> FacesFrame:
    return FacesFrame(START + index * STEP, 'camera', 640, 480, faces)


def image(index: int):
    return lambda: np.full((480, 640, 3), 10 * index, np.uint8)


def wait(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def over(recorder: LiveRecorder) -> bool:
    """Whether another recording can be started."""
    return recorder.state()['state'] == 'empty'


def record(recorder: LiveRecorder, frames: int = 10, video: bool = True) -> str:
    """Record; the name of the recording."""
    assert recorder.start(video) == ''
    before = len(recorder.state()['list'])
    for index in range(frames):
        recorder.add(frame(index, face('fa', 0.9), face('fb', 0.1)))
        if video:
            recorder.picture(START + index * STEP, image(index))
            wait(lambda count=index + 1: recorder.state()['pictures'] >= count)
    recorder.stop()
    wait(lambda: len(recorder.state()['list']) > before and over(recorder))
    return recorder.state()['list'][0]['name']


def test_markers_are_kept_with_the_recording(tmp_path):
    recorder = LiveRecorder(tmp_path, limits())
    recorder.mark(1, START, 'nothing runs')
    recorder.start(False)
    recorder.mark(2, START - STEP, 'before the first frame')
    for index in range(20):
        recorder.add(frame(index, face('fa', 0.9)))
    recorder.mark(3, START + 10 * STEP + 1, '=late')
    recorder.mark(4, START + 4 * STEP, 'early')
    recorder.mark(5, START + 5 * STEP, 'wrong')
    recorder.unmark(5)
    recorder.stop()
    wait(lambda: recorder.state()['list'] and over(recorder))
    found, = recorder.state()['list']
    assert found['markers'] and not found['video']
    assert recorder.files.file(found['name'], 'markers.csv').read_text() == (
        "time_s,frame,text\n0.200,4,early\n0.500,10,'=late\n")
    assert record(recorder, 2, video=False) and not recorder.state()['list'][0]['markers']
    recorder.close()
    again = LiveRecorder(tmp_path, limits())
    wait(lambda: len(again.state()['list']) == 2)
    assert [one['markers'] for one in again.state()['list']] == [False, True]
    again.close()


@pytest.fixture
def recorder(tmp_path):
    found = LiveRecorder(tmp_path / 'recordings', limits())
    yield found
    found.close()


def rows(path) -> list[dict]:
    with path.open(encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))


def test_csv_and_video_have_the_same_time(recorder, tmp_path):
    recorder.add(frame(0, face('fa', 0.9)))
    assert recorder.state()['state'] == 'empty' and not (tmp_path / 'recordings').exists()
    name = record(recorder)
    found = rows(recorder.files.file(name, 'faces.csv'))
    assert tuple(found[0]) == (*COLUMNS, 'stamp_s') and len(found) == 20
    assert [row['time_s'] for row in found[::2]] == [f'{0.05 * index:.6f}' for index in range(10)]
    assert [row['stamp_s'] for row in found[:4:2]] == ['1000000000.000000', '1000000000.050000']
    assert [row['frame'] for row in found[:4]] == ['0', '0', '1', '1']
    with av.open(str(recorder.files.file(name, 'video.mp4'))) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == 'h264' and (stream.width, stream.height) == (320, 240)
        shown = [(frame.time, float(frame.to_ndarray(format='bgr24').mean()) / 10)
                 for frame in container.decode(video=0)]
    assert len(shown) == 10
    for at, index in shown:
        assert at == pytest.approx(0.05 * index, abs=0.02)
    state = recorder.state()
    assert state['list'] == [{'name': name, 'seconds': 0.5, 'megabytes': 0.0, 'video': True,
                              'markers': False}] and state['told'] == ''
    assert os.stat(tmp_path / 'recordings').st_mode & 0o777 == 0o700
    assert recorder.files.file('..', 'faces.csv') is None and recorder.files.file(name, '../x') is None


def test_without_video_and_where_no_image_comes(recorder):
    name = record(recorder, video=False)
    assert recorder.files.file(name, 'video.mp4') is None and len(rows(recorder.files.file(name, 'faces.csv'))) == 20
    recorder.start(True)
    recorder.add(frame(0, face('fa', 0.9)))
    recorder.stop()
    wait(lambda: recorder.state()['state'] == 'empty')
    assert 'no images were received' in recorder.state()['told']
    assert len(recorder.state()['list']) == 2, 'another one begins beside it'


@pytest.mark.parametrize(('changed', 'text'), [
    ({'size': 3000}, 'maximum size'), ({'seconds': 0.3}, 'maximum length')])
def test_it_ends_at_its_limits_and_keeps_what_it_has(tmp_path, changed, text):
    now = [0.0]
    recorder = LiveRecorder(tmp_path, limits(**changed), lambda: now[0])
    recorder.start(False)
    for index in range(200):
        now[0] = 0.01 * index
        recorder.add(frame(index, face('fa', 0.9)))
        wait(lambda count=index + 1: recorder.state()['rows'] >= count or recorder.state()['state'] != 'running')
        if recorder.state()['state'] != 'running':
            break
    wait(lambda: recorder.state()['list'])
    assert text in recorder.state()['told'] and 10 < index < 199
    name = recorder.state()['list'][0]['name']
    assert index - 3 <= len(rows(recorder.files.file(name, 'faces.csv'))) <= index + 1
    recorder.close()


def test_a_disk_that_is_nearly_full_is_left_alone(tmp_path, monkeypatch):
    recorder = LiveRecorder(tmp_path, limits(reserve=1 << 30))
    usage = shutil.disk_usage(tmp_path)
    recorder.start(False)
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage._replace(free=(1 << 30) - 1))
    wait(lambda: recorder.state()['state'] == 'empty')
    assert 'less than 1 GB' in recorder.state()['told']
    assert 'less than 1 GB' in recorder.start(True) and recorder.state()['state'] == 'empty'
    recorder.close()


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / 'file').write_text('')
    recorder = LiveRecorder(tmp_path / 'file' / 'recordings', limits())
    assert 'Not a directory' in recorder.start(True) and recorder.state()['state'] == 'empty'
    recorder.close()


def test_a_disk_that_fails_ends_the_recording_with_the_reason(recorder, monkeypatch):
    recorder.start(False)
    def fail(path):
        raise OSError(5, 'Input/output error', str(path))
    monkeypatch.setattr(shutil, 'disk_usage', fail)
    wait(lambda: recorder.state()['state'] == 'empty')
    assert 'Input/output error' in recorder.state()['told']


def test_a_deleted_recording_can_be_restored_for_a_while(tmp_path):
    now = [0.0]
    recorder = LiveRecorder(tmp_path, limits(), lambda: now[0])
    name = record(recorder, 2, video=False)
    recorder.files.delete(name)
    assert recorder.state()['list'] == [] and recorder.files.file(name, 'faces.csv') is None
    now[0] = UNDO
    assert recorder.state()['restorable'] and recorder.files.restore() and recorder.state()['list'][0]['name'] == name
    assert not recorder.files.restore()
    recorder.files.delete(name)
    now[0] += UNDO + 1
    assert not recorder.state()['restorable'] and not recorder.files.restore()
    assert os.listdir(tmp_path) == []
    recorder.files.delete(record(recorder, 2, video=False))
    recorder.close()
    assert os.listdir(tmp_path) == [], 'what was deleted does not come back'


KILLED = '''
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from test_recorder import LiveRecorder, face, frame, image, limits, wait, START, STEP
recorder = LiveRecorder(Path({folder!r}), limits())
recorder.start(True)
for index in range(60):
    recorder.add(frame(index, face('fa', 0.9)))
    recorder.picture(START + index * STEP, image(index % 20))
    wait(lambda: recorder.state()['pictures'] > index)
print('recorded', flush=True)
sys.stdin.read()
'''


def test_what_was_recorded_before_the_program_was_killed_is_there(tmp_path):
    path = [os.path.dirname(__file__), *sys.path]
    with subprocess.Popen([sys.executable, '-c', KILLED.format(path=path, folder=str(tmp_path))],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b'recorded\n'
        other = LiveRecorder(tmp_path, limits())
        other.close()
        assert other.state()['list'] == [], 'that of a program that runs is left alone'
        process.send_signal(signal.SIGKILL)
    recorder = LiveRecorder(tmp_path, limits())
    recorder.close()
    (found,) = recorder.state()['list']
    assert found['video'] and found['seconds'] == pytest.approx(2.95, abs=0.06)
    assert len(rows(recorder.files.file(found['name'], 'faces.csv'))) in (59, 60)
    with av.open(str(recorder.files.file(found['name'], 'video.mp4'))) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 30, 'all but the last second'
    assert sorted(os.listdir(tmp_path / found['name'])) == ['faces.csv', 'video.mp4']


@pytest.mark.parametrize('jump', [-10.0, -1e9, 1e9, LARGEST_STEP + 1])
def test_where_the_clock_is_set_time_goes_on(jump):
    times = _Times()
    assert times.of_picture(START) is None
    assert times.of_frame(START, 7.0) == 0 and times.of_frame(START + STEP, 7.05) == STEP
    later = START + STEP + round(jump * 1e9)
    assert times.of_frame(later, 7.15) == pytest.approx(STEP + 100_000_000, abs=1000)
    assert times.of_frame(later + STEP, 7.2) == pytest.approx(2 * STEP + 100_000_000, abs=1000)
    assert math.isclose(times.of_picture(later + STEP), 0.2, abs_tol=1e-6)
    assert times.of_picture(START) is None, 'of the time before'
