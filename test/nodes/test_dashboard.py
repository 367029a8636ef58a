"""The node `dashboard` as a program; test/web has the page that it serves."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from harness import PATIENCE, ROOT, Program

MODULE = 'fer_ros.nodes.dashboard'


def start(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """The program, which must end by itself."""
    return subprocess.run([sys.executable, '-m', MODULE, '--ros-args', *arguments], cwd=tmp_path, text=True,
                          env={**os.environ, 'PYTHONPATH': str(ROOT), **environment}, capture_output=True,
                          timeout=PATIENCE, check=False)


def fatal(done: subprocess.CompletedProcess) -> str:
    lines = [line for line in done.stderr.splitlines() if line]
    assert done.returncode == 1 and len(lines) == 1 and lines[0].startswith('[FATAL]'), done.stderr
    return lines[0]


@pytest.mark.parametrize('host', ['0.0.0.0', '192.168.7.7', '::'])
def test_other_machines_are_not_let_in_without_a_token(tmp_path, host):
    line = fatal(start(tmp_path, '-p', f'host:="{host}"', '-p', 'port:=0'))
    assert f'host {host} is reachable from other machines: also set an access_token' in line


def test_a_token_that_could_be_guessed_is_refused(tmp_path):
    line = fatal(start(tmp_path, '-p', 'port:=0', FER_ROS_ACCESS_TOKEN='short'))
    assert 'access_token has 5 characters, which is too short: use at least 12' in line and 'short' not in line[-20:]


def test_a_port_in_use_is_named(tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as other:
        port = other.getsockname()[1]
        assert f'cannot listen on host 127.0.0.1, port {port}' in fatal(start(tmp_path, '-p', f'port:={port}'))


def test_without_nicegui_the_remedy_is_named(tmp_path):
    (tmp_path / 'nicegui.py').write_text('raise ModuleNotFoundError("No module named \'nicegui\'", name="nicegui")\n')
    line = fatal(start(tmp_path, '-p', 'port:=0', PYTHONPATH=f'{tmp_path}{os.pathsep}{ROOT}'))
    assert 'nicegui is not installed: pip install nicegui' in line


def page_of(program: Program) -> str:
    return program.log.split('the page is at ')[1].split()[0]


def test_two_signals_end_it_as_quietly_as_one(tmp_path):
    """Ctrl-C under ros2 launch: one comes from the terminal, one from launch."""
    pytest.importorskip('nicegui', reason='nicegui is not installed')
    with Program(tmp_path / 'log', module=MODULE, port=0) as program:
        end = time.monotonic() + PATIENCE
        while 'the page is at' not in program.log:
            assert program.process.poll() is None and time.monotonic() < end, program.log
            time.sleep(0.05)
        with urllib.request.urlopen(page_of(program), timeout=PATIENCE):  # the server handles signals by now
            pass
        for _ in range(3):
            program.process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        assert program.end() == 0, program.log
        assert 'Traceback' not in program.log and 'ERROR' not in program.log


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly_also_while_someone_is_connected_and_nothing_is_left(tmp_path, number):
    pytest.importorskip('nicegui', reason='nicegui is not installed')
    (tmp_path / 'here').mkdir()
    with Program(tmp_path / 'log', module=MODULE, folder=tmp_path / 'here', port=0) as program:
        end = time.monotonic() + PATIENCE
        while 'the page is at' not in program.log:
            assert time.monotonic() < end and program.process.poll() is None, program.log
            time.sleep(0.05)
        url = page_of(program)
        assert url.startswith('http://127.0.0.1:')
        with urllib.request.urlopen(url, timeout=PATIENCE) as page:
            assert b'fer_ros dashboard' in page.read()
            assert 'set-cookie' not in page.headers
        client = socket.create_connection(('127.0.0.1', int(url.rpartition(':')[2])))
        client.sendall(b'GET /live/frame HTTP/1.1\r\nHost: localhost\r\n\r\n')
        assert program.end(number) == 0
        client.close()
    assert len(program.log.splitlines()) == 1, program.log
    assert not list((tmp_path / 'here').iterdir())
