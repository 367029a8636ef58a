"""What goes from ROS to the page."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from dashboard_harness import face

from fer_ros.media.image_decoding import ConversionError
from fer_ros.results.faces import FacesFrame
from fer_ros.results.health import Health
from fer_ros.results.session_summary import summarise
from fer_ros.web.live import state as state_module
from fer_ros.web.live.recorder import LiveRecorder, RecordingLimits
from fer_ros.web.live.state import NO_IMAGE, UNDO, WANTED, LiveState

STEP = 100_000_000
LIMITS = RecordingLimits(1 << 26, 600.0, 30.0, 640, reserve=0)
RECORDER = LiveRecorder(Path('/nonexistent'), LIMITS)
"""One that records nothing."""


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def state(clock):
    live = LiveState(60.0, '/fer/faces', RECORDER, clock)
    live.publishers(1)
    return live


def frame(index: int, *faces, start: int = 10**18) -> FacesFrame:
    return FacesFrame(start + index * STEP, 'camera', 640, 480, faces, faces[0].face_id if faces else None)


def points(update: dict) -> dict:
    return {line['id']: line['points'] for line in update['lines']}


def test_only_new_points_are_handed_over_with_gaps_where_the_face_was_away(state):
    for index in range(3):
        state.frame(frame(index, face('fa', 0.9, 0.7)), 0.05)
    first = state.update()
    assert points(first) == {'fa': [[0.0, 0.8, 0.4], [0.1, 0.8, 0.4], [0.2, 0.8, 0.4]]}
    assert points(state.update(first['epoch'], first['frame'])) == {}
    state.frame(frame(3), 0.05)
    assert points(state.update(first['epoch'], first['frame'])) == {}
    state.frame(frame(4, face('fa', 0.9), face('fb', 0.1)), 0.05)
    second = state.update(first['epoch'], first['frame'])
    assert points(second) == {'fa': [None, [0.4, 0.8, 0.8]], 'fb': [[0.4, -0.8, -0.8]]}
    assert points(state.update()) == {'fa': [*points(first)['fa'], *points(second)['fa']], 'fb': points(second)['fb']}


def test_a_pause_of_all_frames_is_a_gap(state):
    for index in (0, 1, 2, 30, 31):
        state.frame(frame(index, face('fa', 0.5)), None)
    assert [point and point[0] for point in points(state.update())['fa']] == [0.0, 0.1, 0.2, None, 3.0, 3.1]


@pytest.mark.parametrize('clear', [False, True])
def test_another_time_line_begins_anew(state, clear):
    for index in range(50):
        state.frame(frame(index, face('fa', 0.5)), None)
    old = state.update()
    if clear:
        state.clear()
        assert state.update(old['epoch'], old['frame'])['lines'] == []
    state.frame(frame(0, face('fb', 0.5)), None)
    new = state.update(old['epoch'], old['frame'])
    assert new['epoch'] != old['epoch'] and new['frame'] == 1
    assert points(new) == {'fb': [[0.0, 0.0, 0.0]]}


def test_cleared_lines_come_back_for_a_while_with_what_came_since(state, clock):
    for index in range(3):
        state.frame(frame(index, face('fa', 0.5)), None)
    old = state.update()
    state.clear()
    state.frame(frame(3, face('fa', 0.9)), None)
    cleared = state.update(old['epoch'], old['frame'])
    assert cleared['epoch'] != old['epoch'] and points(cleared) == {'fa': [[0.3, 0.8, 0.8]]} and cleared['cleared']
    clock.now += UNDO
    assert state.restore()
    restored = state.update(cleared['epoch'], cleared['frame'])
    assert points(restored)['fa'] == [*points(old)['fa'], [0.3, 0.8, 0.8]] and not restored['cleared']
    assert not state.restore()
    state.clear()
    clock.now += UNDO + 1
    assert not state.restore() and not state.update()['cleared'] and state.update()['lines'] == []
    state.clear()
    state.frame(frame(0, face('fb', 0.5), start=10**17), None)
    assert not state.restore() and points(state.update()) == {'fb': [[0.0, 0.0, 0.0]]}, 'another time line'


def test_a_frame_out_of_order_is_left_out(state):
    for index in (5, 4, 6):
        state.frame(frame(index, face('fa', 0.5)), None)
    assert [point[0] for point in points(state.update())['fa']] == [0.0, 0.1]


def test_memory_is_bounded(clock):
    live = LiveState(5.0, '/fer/faces', RECORDER, clock)
    for index in range(1000):
        live.frame(frame(index, face('fa', 0.5)), 0.1)
    assert len(points(live.update())['fa']) <= 51


def test_faces_and_numbers_of_the_newest_frame(state, clock):
    state.health(Health(0, 'fine', device='cpu', dropped=4))
    for index in range(20):
        clock.now += 0.1
        state.frame(frame(index, face('fa', 0.9), face('fb', 0.2)), 0.04)
    update = state.update()
    assert [f['id'] for f in update['faces']] == ['fa', 'fb'] and update['primary'] == 'fa'
    assert update['faces'][0]['emotion'] == 'happy' and update['faces'][0]['probabilities'][3] == 0.9
    assert update['size'] == [640, 480]
    status = update['status']
    assert (status['level'], status['rate'], status['latency'], status['dropped'], status['device']) == (
        'ok', 10.0, 40, 4, 'cpu')
    clock.now += NO_IMAGE
    late = state.update()
    assert late['faces'] == [] and late['primary'] is None
    assert late['now'] == pytest.approx(1.9 + NO_IMAGE)


def test_what_is_wrong_is_said(state, clock):
    state.publishers(0)
    assert state.update()['status']['text'] == 'The node fer is not running: no publisher on /fer/faces'
    state.publishers(1)
    assert state.update()['status']['level'] == 'warn'
    clock.now += NO_IMAGE
    assert state.update()['status']['text'] == 'No result for 3 s'
    state.health(Health(2, 'remap the topic', image_topic='/camera/image_raw'))
    status = state.update()['status']
    assert status['text'] == 'No image for 3 s on /camera/image_raw: 0 publishers'
    assert status['detail'] == 'remap the topic' and status['level'] == 'error'
    state.health(Health(2, '', image_topic='/camera/image_raw', publishers=1))
    assert state.update()['status']['text'].endswith(': 1 publisher')
    state.frame(frame(0), 0.1)
    clock.now += NO_IMAGE
    state.health(Health(2, 'remap the topic', image_topic='/camera/image_raw'))
    assert state.update()['status']['text'] == 'Camera lost: no image for 3 s on /camera/image_raw: 0 publishers'
    state.health(Health(0, 'inactive', 'inactive'))
    assert state.update()['status']['text'] == 'The node fer is inactive'
    state.health(Health(1, 'latency 0.50 s'))
    state.frame(frame(1), 0.5)
    status = state.update()['status']
    assert (status['level'], status['detail']) == ('warn', 'latency 0.50 s')
    clock.now += 60
    state.frame(frame(2), 0.5)
    assert state.update()['status']['level'] == 'ok', 'old diagnostics do not speak of the present'


def test_pictures_are_wanted_as_long_as_someone_asks(state, clock):
    assert not state.pictures_wanted
    state.want_pictures()
    assert state.pictures_wanted
    clock.now += WANTED
    assert not state.pictures_wanted
    state.picture(7, lambda: np.zeros((2, 2, 3), np.uint8))
    assert state.newest_picture.stamp_ns == 7
    state.forget_picture()
    assert state.newest_picture is None
    state.picture(8, lambda: np.zeros((2, 2, 3), np.uint8))
    assert state.newest_picture.number == 2, 'no page takes it for the one that it has'


def test_ros_and_the_page_at_the_same_time():
    state, ended, failures = LiveState(2.0, '/fer/faces', RECORDER), threading.Event(), []

    def read() -> None:
        epoch = after = 0
        try:
            while not ended.is_set():
                update = state.update(epoch, after)
                epoch, after = update['epoch'], update['frame']
        except Exception as error:  # told in the main thread
            failures.append(error)
    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for index in range(1500):
        state.frame(frame(index % 400, face(f'f{index % 7}', 0.5)), 0.1)
        if index % 100 == 0:
            state.clear()
    ended.set()
    for reader in readers:
        reader.join()
    assert failures == []


def test_images_are_shown_with_hidden_faces_or_not_at_all(clock, monkeypatch):
    state = LiveState(60.0, '/fer/faces', RECORDER, clock, 'cover')
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
    stamp = frame(3).stamp_ns
    state.picture(stamp, lambda: noise)
    with pytest.raises(ConversionError, match='cannot be hidden'):
        state.newest_picture.image()
    monkeypatch.setattr(state_module, 'FACES_LATE', 60.0)
    later = threading.Timer(0.1, lambda: state.frame(frame(3, face('fa', 0.9)), 0.05))  # 120 pixels from 100, 80
    later.start()
    shown = state.newest_picture.image()
    later.join()
    inside = shown[110:150, 120:200]
    assert (inside == 128).all() and (noise[110:150, 120:200] != 128).any()
    assert (shown[300:] == noise[300:]).all()


def test_a_recording_wants_images_and_has_hidden_faces(clock, tmp_path):
    av = pytest.importorskip('av')
    recorder = LiveRecorder(tmp_path, LIMITS)
    state = LiveState(60.0, '/fer/faces', recorder, clock, 'cover')
    assert not state.pictures_wanted
    assert recorder.start(True) == '' and state.pictures_wanted
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
    for index in range(3):
        state.frame(frame(index, face('fa', 0.9)), 0.05)
        state.picture(frame(index).stamp_ns, lambda: noise)
        end = time.monotonic() + 60
        while recorder.state()['pictures'] <= index:  # one is left out if the next one comes before it is written
            assert time.monotonic() < end
            time.sleep(0.01)
    recorder.close()
    assert not state.pictures_wanted
    name = recorder.state()['list'][0]['name']
    with av.open(str(recorder.files.file(name, 'video.mp4'))) as container:
        shown = [image.to_ndarray(format='bgr24') for image in container.decode(video=0)]
    assert len(shown) == 3
    for image in shown:
        assert image[110:150, 120:200].std() < 5 < 40 < image[300:].std()


def test_the_session_is_summarised_since_the_lines_were_cleared(state, clock):
    for index in range(50):
        state.frame(frame(index, face('fa', 0.9)), None)
    told = summarise(state.session())
    assert told['duration_s'] == pytest.approx(5.0) and [one['name'] for one in told['people']] == ['fa']
    assert told['all']['mean_valence'] == pytest.approx(0.8) and told['all']['emotions']['happy'] == pytest.approx(5.0)
    state.clear()
    for index in range(50, 60):
        state.frame(frame(index, face('fb', 0.1)), None)
    assert [one['name'] for one in summarise(state.session())['people']] == ['fb']
    assert state.restore()
    assert [one['name'] for one in summarise(state.session())['people']] == ['fa']
    state.frame(frame(0, face('fc', 0.9), start=1), None)
    assert list(state.session().faces) == ['fc'], 'a new time line'


def test_the_session_is_bounded(state, monkeypatch):
    monkeypatch.setattr(state_module, 'SESSION', 2.0)
    state.clear()
    for index in range(200):
        state.frame(frame(index // 2, face('fa' if index < 190 else 'fb', 0.9)) if index % 2 == 0 else FacesFrame(
            10**18 + index // 2 * STEP + STEP // 2, 'camera', 640, 480, (face('fa', 0.9),)), None)
    session = state.session()
    assert len(session.times) == 21 and session.times[-1] == pytest.approx(2.0), 'of every second frame'
    assert session.faces['fb']['frame'].tolist() == list(range(16, 21))
    assert summarise(session)['frames'] == 21


def test_markers_are_on_the_time_line_and_gone_with_it(state):
    def marked() -> list:
        return [(marker['time_s'], marker['text']) for marker in state.update()['markers']]
    with pytest.raises(ValueError, match='1 s'):
        state.mark(0, 1, 'before the first frame')
    for index in range(31):
        state.frame(frame(index, face('fa', 0.9)), None)
    epoch = state.update()['epoch']
    state.mark(epoch, 2.5, 'late')
    state.mark(epoch, 1.0, 'early\n')
    state.mark(epoch, 3.2, 'now')
    assert marked() == [(1.0, 'early'), (2.5, 'late'), (3.0, 'now')]
    for wrong in (-0.1, 1e9, float('nan')):
        with pytest.raises(ValueError, match=' s'):
            state.mark(epoch, wrong, '')
    state.unmark(1)
    assert marked() == [(1.0, 'early'), (3.0, 'now')]
    state.clear()
    assert marked() == [(3.0, 'now')]
    with pytest.raises(ValueError, match=' s'):
        state.mark(epoch, 2.0, 'of a line that was cleared')
    assert state.restore() and len(marked()) == 2
    state.frame(frame(0, face('fa', 0.9), start=1), None)
    assert marked() == []
