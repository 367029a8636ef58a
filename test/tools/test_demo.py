"""The demo as its users start it."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
from process_tree import children
from ros_domain import free_port

from fer_ros.fastdds import PROFILE_VARIABLES, profile_variable
from fer_ros.tools import demo

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180.0


@pytest.fixture
def start():
    """Start the demo; what a failed test leaves running ends with it."""
    started = []

    def start(*arguments) -> subprocess.Popen:
        command = [sys.executable, '-m', 'fer_ros.tools.demo', *map(str, arguments)]
        started.append(subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return started[-1]
    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=PATIENCE)


def processes_with(text: str) -> list[str]:
    """Command lines of running processes."""
    found = []
    for path in Path('/proc').glob('[0-9]*/cmdline'):
        try:
            line = path.read_bytes().replace(b'\0', b' ').decode(errors='replace')
        except OSError:
            continue
        if text in line and 'fer_ros.nodes' in line:
            found.append(line)
    return found


def test_it_shows_a_table_leaves_its_files_and_ends_by_itself(start, tmp_path):
    output = tmp_path / 'out'
    process = start('--seconds', 6, '--output', output)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert 'confidence' in out and 'frames/s, latency' in out
    assert {path.name for path in output.iterdir()} == {'annotated.mp4', 'valence.csv', 'valence.png', 'logs'}
    rows = list(csv.DictReader((output / 'valence.csv').open()))
    assert len(rows) > 10
    assert all(-1 <= float(row['valence']) <= 1 for row in rows)
    assert cv2.imread(str(output / 'valence.png')).shape[2] == 3
    capture = cv2.VideoCapture(str(output / 'annotated.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) > 20
    assert (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (640, 480)


def test_the_page_is_served_until_it_is_interrupted(start, tmp_path):
    pytest.importorskip('nicegui', reason='nicegui is not installed')
    port = free_port()
    process = start('--dashboard', '--port', port, '--output', tmp_path / 'out')
    assert f'http://127.0.0.1:{port} ' in process.stdout.readline()
    deadline = time.monotonic() + PATIENCE
    frames = 0
    while not frames and time.monotonic() < deadline:
        with urllib.request.urlopen(f'http://127.0.0.1:{port}/live/state', timeout=60) as answer:
            frames = json.load(answer)['frame']
        time.sleep(0.2)
    assert frames
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err == ''
    assert not processes_with(f'port:={port}')


def process_of(module: str, among: list[int]) -> int | None:
    for pid in among:
        with suppress(OSError):
            if f'fer_ros.nodes.{module}'.encode() in Path(f'/proc/{pid}/cmdline').read_bytes():
                return pid
    return None


@pytest.mark.parametrize('module', ['video_source', 'fer_node'])
def test_the_page_outlives_the_camera_and_the_node_which_come_back(start, tmp_path, module):
    pytest.importorskip('nicegui', reason='nicegui is not installed')
    port = free_port()
    process = start('--dashboard', '--port', port, '--output', tmp_path / 'out')
    assert f'http://127.0.0.1:{port} ' in process.stdout.readline()

    def state() -> dict:
        with urllib.request.urlopen(f'http://127.0.0.1:{port}/live/state', timeout=60) as answer:
            return json.load(answer)

    def wait_until(condition) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.2)
    wait_until(lambda: state()['frame'] > 10)
    page = process_of('dashboard', children(process.pid))
    started = time.monotonic()
    for delay in (1, 2):
        frames = state()['frame']
        killed = process_of(module, children(process.pid))
        os.kill(killed, signal.SIGKILL)
        line = process.stdout.readline()
        # On a slow machine the second comes so late that it counts as the first.
        delays = {delay, 1} if time.monotonic() - started > demo.STABLE else {delay}
        assert line in [f'{module} was killed by SIGKILL; starting it again in {delay} s\n' for delay in delays]
        started = time.monotonic()
        wait_until(lambda before=killed: process_of(module, children(process.pid)) not in (None, before))
        wait_until(lambda before=frames: state()['frame'] > before + 10 or state()['epoch'] > 1)
        wait_until(lambda: state()['status']['level'] != 'error')
    assert process_of('dashboard', children(process.pid)) == page
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and err == ''
    assert not processes_with(f'port:={port}')


def test_a_part_is_started_again_after_longer_and_longer_times_and_then_no_more():
    now = [0.0]
    restarts = demo.Restarts(lambda: now[0])
    delays = []
    while (delay := restarts.ended()) is not None:
        delays.append(delay)
        assert restarts.waiting and not restarts.start_now()
        now[0] += delay
        assert restarts.start_now() and not restarts.waiting and not restarts.start_now()
        now[0] += 5.0
    assert delays == [1, 2, 4, 8, 16, *[30] * (demo.MOST_RESTARTS - 5)]
    now[0] += 10**6
    assert restarts.waiting and not restarts.start_now()
    restarts = demo.Restarts(lambda: now[0])
    assert [restarts.ended(), restarts.ended()] == [1, 2]
    now[0] += demo.STABLE
    assert restarts.start_now()
    now[0] += demo.STABLE
    assert restarts.ended() == 1, 'it ran for long enough'


def test_a_port_in_use_ends_it_with_one_line(start, tmp_path):
    pytest.importorskip('nicegui', reason='nicegui is not installed')
    with socket.create_server(('127.0.0.1', 0)) as other:
        process = start('--dashboard', '--video', 'none', '--port', other.getsockname()[1], '--output', tmp_path)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert err.startswith('demo: dashboard exited: cannot listen on host 127.0.0.1') and err.count('\n') == 1


def test_a_missing_video_ends_it_with_one_line(start, tmp_path):
    process = start('--video', '/no/such/video.mp4', '--output', tmp_path / 'out')
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert err == ('demo: video_source exited: no video at /no/such/video.mp4: give a camera number, a video file '
                   'or an image folder\n')
    assert not processes_with(str(tmp_path))


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_it_started(start, tmp_path, number):
    process = start('--output', tmp_path / 'out')
    deadline = time.monotonic() + PATIENCE
    while not processes_with(f'{tmp_path}/out/annotated.mp4') and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_with(str(tmp_path))
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err == ''
    assert not processes_with(str(tmp_path))


@pytest.fixture
def raising_sigterm():
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures('raising_sigterm')
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_process_starts_leaves_none_behind(tmp_path, monkeypatch, number):
    """Also not where it comes again, impatiently, while the processes end."""
    started = []

    def popen(*_, **__):
        started.append(subprocess.Popen(['sleep', '600'], start_new_session=True))
        signal.raise_signal(number)
        return started[0]

    processes = demo.Processes(tmp_path, dict(os.environ))
    monkeypatch.setattr(demo, 'subprocess', SimpleNamespace(Popen=popen, **{
        name: getattr(subprocess, name) for name in ('DEVNULL', 'TimeoutExpired')}))
    with pytest.raises(KeyboardInterrupt):
        processes.start('fer_node')
    monkeypatch.setattr(demo.os, 'killpg', lambda group, sent: (signal.raise_signal(number), os.kill(group, sent)))
    with pytest.raises(KeyboardInterrupt):
        processes.end()
    assert started[0].poll() == -signal.SIGINT


def test_a_process_that_does_not_end_is_killed_with_its_group(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, 'GRACE', 0.5)
    processes = demo.Processes(tmp_path, dict(os.environ))
    stubborn = subprocess.Popen(['sh', '-c', 'trap "" INT; echo stubborn; sleep 600 & wait; sleep 600'],
                                start_new_session=True, stdout=subprocess.PIPE)
    processes._running['stubborn'] = stubborn
    with stubborn.stdout as said:
        assert said.readline() == b'stubborn\n'
        processes.end()
        assert stubborn.wait(PATIENCE) == -signal.SIGKILL
        assert said.read() == b'', 'open as long as one of the group lives'


def test_what_the_user_has_set_stays_but_for_the_range_of_discovery(monkeypatch):
    for name in (*PROFILE_VARIABLES, 'ROS_DOMAIN_ID'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET')
    chosen = demo.environment()
    assert chosen['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    assert 0 < int(chosen['ROS_DOMAIN_ID']) <= 101
    assert chosen[profile_variable()] == str(ROOT / 'config' / 'fastdds_local.xml')
    assert len(set(PROFILE_VARIABLES) & set(chosen)) == 1
    monkeypatch.setenv('ROS_DOMAIN_ID', '7')
    monkeypatch.setenv(PROFILE_VARIABLES[1], '/my/profile.xml')
    chosen = demo.environment()
    assert chosen['ROS_DOMAIN_ID'] == '7'
    assert chosen[PROFILE_VARIABLES[1]] == '/my/profile.xml'
    assert PROFILE_VARIABLES[0] not in chosen


@pytest.mark.parametrize('seconds', ['0', '-1', 'long'])
def test_seconds_out_of_range(seconds, capsys):
    with pytest.raises(SystemExit) as caught:
        demo.main(['--seconds', seconds])
    assert caught.value.code == 2
    assert '--seconds' in capsys.readouterr().err
