import os
import signal
import sys
import time

import pytest

from fer_ros.web.live.webcam import Webcam


def wait(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def webcam(tmp_path):
    (tmp_path / 'video0').touch()
    (tmp_path / 'videotape').touch()
    program = 'import sys, time; print("reading", sys.argv[1], flush=True); time.sleep(600)'
    webcam = Webcam(lambda device: [sys.executable, '-c', program, device], tmp_path)
    yield webcam
    webcam.stop()


def test_only_a_camera_of_this_machine_is_started_and_only_one(webcam, tmp_path):
    device = f'{tmp_path}/video0'
    assert webcam.state() == {'devices': [device], 'running': False, 'problem': ''}
    assert not webcam.start('/etc/passwd')
    assert webcam.start(device)
    assert webcam.state()['running']
    assert not webcam.start(device)
    webcam.stop()
    assert webcam.state() == {'devices': [device], 'running': False, 'problem': ''}


def test_why_the_process_ended_is_said(tmp_path):
    (tmp_path / 'video3').touch()
    text = '[FATAL] [1.5] [video_source]: cannot read camera: it is in use'
    webcam = Webcam(lambda device: ['sh', '-c', f'echo "{text}"; exit 1'], tmp_path)
    assert webcam.start(f'{tmp_path}/video3')
    wait(lambda: not webcam.state()['running'])
    assert webcam.state()['problem'] == 'cannot read camera: it is in use'


def test_one_that_does_not_end_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr('fer_ros.web.live.webcam.GRACE', 0.3)
    (tmp_path / 'video0').touch()
    webcam = Webcam(lambda device: ['sh', '-c', 'trap "" INT; echo ready; while :; do sleep 0.1; done'], tmp_path)
    webcam.start(f'{tmp_path}/video0')
    process = webcam._process
    wait(lambda: os.pread(webcam._log.fileno(), 100, 0) == b'ready\n')  # it ignores the signal from here on
    webcam.stop()
    assert process.returncode == -signal.SIGKILL
