"""Jobs in their real processes: results, limits, damaged and malicious files, and what is left behind: nothing."""

import json
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from slow_job import SlowJob
from video_files import (
    RATE,
    avi_with_playlist,
    clip_frames,
    cut,
    index_first,
    playlist,
    two_faces,
    write_video,
)

from fer_ros.web.confined.confinement import landlock
from fer_ros.web.server.settings import WebSettings
from fer_ros.web.texts import VideoErrors
from fer_ros.web.video import jobs as jobs_module
from fer_ros.web.video.jobs import ENDED, Jobs, JobsError, Limits

PATIENCE = 120.0
QUICK = replace(Limits.of(WebSettings()), niceness=0, ready=False)
NEEDS_LANDLOCK = pytest.mark.skipif(landlock() < 4, reason='the kernel has no Landlock, or an older one')


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    return two_faces(tmp_path_factory.mktemp('videos') / 'two.mp4')


@pytest.fixture
def jobs(tmp_path):
    made = []

    def make(**limits) -> Jobs:
        folder = tmp_path / 'temporary'
        folder.mkdir(exist_ok=True)
        made.append(Jobs(replace(QUICK, **limits), folder))
        return made[-1]
    yield make
    for one in made:
        one.close()
    assert not made or list((tmp_path / 'temporary').iterdir()) == []


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """Lets the processes of jobs wait, with the options of `SlowJob`."""
    return lambda **options: SlowJob(tmp_path / 'slow', **options).start(monkeypatch)


def submit(jobs, owner, path, container='mp4'):
    """Let a file be read that was uploaded; the job's id and folder."""
    job_id, folder = jobs.begin(owner, path.name)
    (folder / 'upload.x').write_bytes(path.read_bytes())
    jobs.submit(job_id, 'upload.x', container)
    return job_id, folder


def wait(jobs, owner, condition=lambda view: view.state in ENDED):
    end = time.monotonic() + PATIENCE
    while not condition(view := jobs.view(owner)):
        assert time.monotonic() < end, view
        time.sleep(0.02)
    return view


def failure(jobs, path, container='mp4') -> str:
    """The message with which reading a file fails; its folder is gone then."""
    _, folder = submit(jobs, 'a', path, container)
    view = wait(jobs, 'a')
    assert view.state == 'failed'
    assert not folder.exists()
    return view.message


def test_results_are_the_owners_until_dropped(jobs, good, slow):
    slow = slow(first=20)
    jobs = jobs()
    job_id, folder = submit(jobs, 'a', good)
    seen = []
    wait(jobs, 'a', lambda view: seen.append(view) or view.frames)
    assert jobs.working, 'it is known meanwhile that a video is analysed'
    slow.go_on()
    view = wait(jobs, 'a', lambda view: seen.append(view) or view.state in ENDED)
    assert view.state == 'done', view
    wait(jobs, 'a', lambda _: not jobs.working)
    assert (view.frames, view.name, view.message) == (30, 'two.mp4', '')
    assert view.seconds == pytest.approx(3.0, abs=0.01)
    shares = [v.share for v in seen if v.state == 'running' and v.frames]
    assert shares == sorted(shares)
    assert not (folder / 'upload.x').exists()
    assert jobs.playback('b', job_id) is None
    assert jobs.result('b', job_id, 'csv') is None
    assert jobs.playback('a', 'x' * len(job_id)) is None
    assert jobs.result('a', job_id, 'csv')[0].read_text().startswith('time_s,frame,face_id')
    playback = jobs.playback('a', job_id)
    assert len(playback) == 30
    picture = cv2.imdecode(np.frombuffer(playback.picture(29), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (240, 320, 3)
    with pytest.raises(IndexError):
        playback.picture(30)
    with pytest.raises(IndexError):
        playback.picture(-1)
    jobs.drop('a', 'of another job')
    assert jobs.view('a') is not None
    jobs.drop('a')
    assert jobs.view('a') is None
    assert not folder.exists()


def test_a_video_is_turned_and_its_faces_are_hidden_in_playback_and_annotated_video(jobs, good, tmp_path):
    on_its_side = write_video(tmp_path / 'side.mp4', [np.rot90(frame).copy() for frame in clip_frames(6.5, 7.0, RATE)],
                              RATE)
    jobs = jobs(hide_faces='cover')
    job_id, folder = jobs.begin('a', 'side')
    (folder / 'upload.x').write_bytes(on_its_side.read_bytes())
    jobs.submit(job_id, 'upload.x', 'mp4', 90)
    view = wait(jobs, 'a')
    assert view.state == 'done', view
    playback = jobs.playback('a', job_id)
    capture = cv2.VideoCapture(str(jobs.result('a', job_id, 'mp4')[0]))
    for index, line in enumerate(json.loads(playback.lines())):
        assert len(line['faces']) == 2, 'they are analysed'
        picture = cv2.imdecode(np.frombuffer(playback.picture(index), np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (480, 640, 3)
        video = capture.read()[1][:480, :640]
        for x, y, w, h in (face[7:] for face in line['faces']):
            inside = np.s_[round((y + 0.3 * h) * 480):round((y + 0.7 * h) * 480),
                           round((x + 0.3 * w) * 640):round((x + 0.7 * w) * 640)]
            assert picture[inside].std() < 6 and video[inside].std() < 6, 'grey'


def test_what_is_wrong_with_the_images_is_told_beside_the_results(jobs, tmp_path):
    jobs = jobs()
    path = write_video(tmp_path / 'dark.mp4', [frame // 24 for frame in clip_frames(6.5, 8.5, RATE)], RATE)
    submit(jobs, 'a', path)
    view = wait(jobs, 'a')
    assert view.state == 'done'
    assert view.message.startswith('image too dark: ')


def test_a_video_that_ends_half_way_gives_what_could_be_read_and_a_warning(jobs, good, tmp_path):
    path = tmp_path / 'cut.mp4'
    path.write_bytes(good.read_bytes())
    index_first(path)
    cut(path, 0.6)
    jobs = jobs()
    submit(jobs, 'a', path)
    view = wait(jobs, 'a')
    assert view.state == 'done'
    assert 5 < view.frames < 29
    assert view.message.startswith(f'The video ends after {view.frames} of 30 frames: it is damaged')


def test_files_that_are_no_videos(jobs, good, tmp_path):
    jobs = jobs()
    path = tmp_path / 'a.mp4'
    path.write_text('a text ' * 1000)
    assert failure(jobs, path) == VideoErrors.unreadable
    path.write_bytes(good.read_bytes()[:1000])
    assert failure(jobs, path) == VideoErrors.unreadable


@NEEDS_LANDLOCK
def test_other_files_are_neither_read_nor_connections_made(jobs, good, tmp_path):
    """Even if a playlist passed for a video."""
    avi = tmp_path / 'good.avi'
    writer = cv2.VideoWriter(str(avi), cv2.VideoWriter_fourcc(*'MJPG'), 10, (320, 240))
    for value in range(10):
        writer.write(np.full((240, 320, 3), 20 * value, np.uint8))
    writer.release()
    jobs = jobs(frames=9)
    with socket.create_server(('127.0.0.1', 0)) as server:
        address = f'http://127.0.0.1:{server.getsockname()[1]}/a.ts'
        # FFmpeg does follow this one to the other file, but for the confinement.
        link = playlist(tmp_path / 'a.m3u8', f'file://{good}')
        assert failure(jobs, link) == VideoErrors.unreadable
        concat = tmp_path / 'concat'
        concat.write_text(f'ffconcat version 1.0\nfile {good}\n')
        assert failure(jobs, concat) == VideoErrors.unreadable
        assert failure(jobs, playlist(tmp_path / 'b.m3u8', address)) == VideoErrors.unreadable
        evil = avi_with_playlist(tmp_path / 'evil.avi', avi, address)
        assert failure(jobs, evil, 'avi') == VideoErrors.frames.format(frames=9)  # it was opened
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()


CONFINED = '''
import socket, sys
from pathlib import Path
from fer_ros.web.confined.confinement import confine
folder, secret = map(Path, sys.argv[1:])
assert confine(folder)
(folder / 'a').write_text('a')
(folder / 'a').rename(folder / 'b')
(folder / 'b').unlink()
import json.tool, wave
for forbidden in (secret.read_text, lambda: secret.with_name('new').write_text('a'),
                  lambda: socket.create_connection(('127.0.0.1', 9))):
    try:
        forbidden()
    except PermissionError:
        continue
    sys.exit(f'{forbidden} succeeded')
'''


@NEEDS_LANDLOCK
def test_confined_process_reads_and_writes_in_its_folder_alone(tmp_path):
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'secret').write_text('secret')
    subprocess.run([sys.executable, '-c', CONFINED, tmp_path / 'mine', tmp_path / 'secret'], check=True)


def test_limits_of_size_and_length(jobs, good, tmp_path):
    jobs_of_small = jobs(pixels=320 * 240 - 1)
    assert failure(jobs_of_small, good) == VideoErrors.resolution.format(width=320, height=240, pixels=76_799)
    assert failure(jobs(seconds=2.5), good) == VideoErrors.length.format(seconds=2.5)
    assert failure(jobs(frames=29), good) == VideoErrors.frames.format(frames=29)


def test_a_container_that_lies_about_its_length_is_found_out(jobs, good, tmp_path):
    path = tmp_path / 'a.mkv'
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*'mp4v'), 10, (320, 240))
    capture = cv2.VideoCapture(str(good))
    while (frame := capture.read()[1]) is not None:
        writer.write(frame)
    writer.release()
    data = path.read_bytes()
    duration = data.index(b'\x44\x89\x88') + 3
    path.write_bytes(data[:duration] + struct.pack('>d', 500.0) + data[duration + 8:])  # ms
    assert failure(jobs(seconds=1.0), path, 'mkv') == VideoErrors.length.format(seconds=1.0)


def test_limits_of_time_and_memory(jobs, good):
    assert failure(jobs(wall_s=0.5), good) == VideoErrors.time.format(seconds=0.5)
    assert failure(jobs(cpu_s=1.0), good) == VideoErrors.time.format(seconds=1.0)
    message = failure(jobs(memory=150 << 20), good)
    assert message in (VideoErrors.memory.format(megabytes=150), VideoErrors.died)


def process_of(jobs) -> int:
    """Of the job that is worked on."""
    end = time.monotonic() + PATIENCE
    while not (found := [job.process.pid for job in list(jobs._jobs.values()) if job.process]):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found[0]


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] == 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_process_that_is_killed_fails_its_job_and_the_next_is_read(jobs, good, tmp_path, slow):
    slow()
    jobs = jobs()
    submit(jobs, 'a', good)
    pid = process_of(jobs)
    text = tmp_path / 'text.mp4'
    text.write_text('text')
    submit(jobs, 'b', text)
    assert jobs.view('b').state == 'waiting'
    assert os.getsid(pid) != os.getsid(0)
    os.kill(pid, signal.SIGKILL)
    assert wait(jobs, 'a').message == VideoErrors.died
    assert wait(jobs, 'b').message == VideoErrors.unreadable


def test_cancelled_job_ends_at_once_and_places_are_bounded(jobs, good, slow):
    slow()
    jobs = jobs(count=2)
    _, folder = submit(jobs, 'a', good)
    pid = process_of(jobs)
    with pytest.raises(JobsError, match='already being analysed'):
        jobs.begin('a', 'again')
    jobs.begin('b', 'second')
    with pytest.raises(JobsError, match='maximum number of videos'):
        jobs.begin('c', 'third')
    jobs.drop('a', 'of another tab')
    assert not gone(pid)
    jobs.drop('a')
    wait_until(lambda: gone(pid) and not folder.exists())
    jobs.begin('c', 'third')


def test_what_has_been_analysed_is_read_while_the_rest_is_analysed_and_kept_when_that_is_stopped(jobs, slow):
    slow(first=40, seconds=0.25)
    jobs = jobs()
    job_id, _ = jobs.begin('a', 'clip')
    jobs.submit(job_id)
    view = wait(jobs, 'a', lambda view: view.frames > 30)
    assert view.state == 'running' and view.seconds == pytest.approx(16.0, abs=2)
    playback = jobs.playback('a', job_id)
    count = len(playback)
    assert cv2.imdecode(np.frombuffer(playback.picture(count - 1), np.uint8), cv2.IMREAD_COLOR) is not None
    lines = json.loads(playback.lines())
    assert len(lines) >= count and lines[-1]['faces'] and playback.lines(len(playback))[:1] == b'['
    assert jobs.result('a', job_id, 'csv') is None and jobs.playback('b', job_id) is None
    jobs.stop('b', job_id)
    jobs.stop('a', 'another')
    jobs.stop('a', job_id)
    view = wait(jobs, 'a')
    assert view.state == 'done' and view.stopped and count <= view.frames < 400
    assert len(playback) == view.frames == len(playback.session()[0].times)
    rows = jobs.result('a', job_id, 'csv')[0].read_text().splitlines()[1:]
    assert len(rows) == sum(len(line['faces']) for line in json.loads(playback.lines()))
    assert all(jobs.result('a', job_id, kind)[0].stat().st_size for kind in ('png', 'mp4'))


def test_a_process_is_ready_while_a_video_is_chosen(jobs, good, monkeypatch, slow):
    monkeypatch.setenv('FER_ROS_ACCESS_TOKEN', 'a secret of the program')
    slow = slow(first=20)
    monkeypatch.setattr(jobs_module, 'AGAIN', 0.0)
    jobs = jobs(ready=True)
    time.sleep(0.3)
    assert jobs._ready is None, 'nobody looks'

    def ready() -> int:
        wait_until(lambda: jobs.view('a') is None and jobs._ready is not None)
        return jobs._ready.pid
    pid = ready()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: jobs._ready is None or ready() != pid)
    pid = ready()
    assert 'secret' not in Path(f'/proc/{pid}/environ').read_text()
    wait_until(lambda: ready() and jobs._ready._wall_s == math.inf)  # it has loaded everything
    assert jobs._ready.pid == pid
    submit(jobs, 'a', good)
    wait(jobs, 'a', lambda view: view.frames)
    assert process_of(jobs) == pid
    slow.go_on()
    assert wait(jobs, 'a').state == 'done'
    wait_until(lambda: gone(pid))
    with monkeypatch.context() as patch:
        patch.setattr(jobs_module, 'CHOOSING', 1.0)
        wait_until(lambda: jobs.view('a') and jobs._ready is None)  # the owner looks at results
    jobs.drop('a')
    pid = ready()
    monkeypatch.setattr(jobs_module, 'CHOOSING', 1.0)
    wait_until(lambda: gone(pid) and jobs._ready is None)  # nobody looks any more


def test_who_leaves_and_what_is_old_is_forgotten(jobs, tmp_path):
    jobs = jobs()
    _, folder = jobs.begin('a', 'a')
    (folder / 'upload').write_text('half')
    jobs.limits = replace(jobs.limits, away_s=1.0)
    wait_until(lambda: not folder.exists())
    assert jobs.view('a') is None


STARTED = '''
import sys, time
from fer_ros.web.confined.confinement import landlock
from fer_ros.web.server.settings import WebSettings
from fer_ros.web.video.jobs import Jobs, Limits
from pathlib import Path
jobs = Jobs(Limits.of(WebSettings()), Path(sys.argv[1]))
job_id, folder = jobs.begin('a', 'clip')
jobs.submit(job_id)
while not (process := next(job.process for job in jobs._jobs.values())):
    time.sleep(0.05)
print(process.pid, flush=True)
time.sleep(600)
'''


def test_job_ends_with_the_program_however_that_ends(tmp_path):
    program = subprocess.Popen([sys.executable, '-c', STARTED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    pid = int(program.stdout.readline())
    program.kill()
    program.wait()
    wait_until(lambda: gone(pid))
    assert list(tmp_path.iterdir())
    Jobs(QUICK, tmp_path).close()
    assert list(tmp_path.iterdir()) == []
