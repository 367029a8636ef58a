"""What the programs ask of the network, told by the kernel: nothing beyond this machine, and no name is looked up."""

import ipaddress
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from harness import PATIENCE, ROOT, Robot
from process_tree import children
from std_msgs.msg import String

from fer_ros.media.built_in_clip import portraits
from fer_ros.media.frame_sources import open_source
from fer_ros.perception.detector_models import find_model

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'recordings'))
from videos import write_video

_CALLS = 'bind,connect,listen,sendto,sendmsg,sendmmsg,open,openat'
_ADDRESS = re.compile(r'(?:inet_addr\("|inet_pton\(AF_INET6, "|TCP(?:v6)?:\[\[?)([0-9a-fA-F.:]*[0-9a-fA-F.:])')
_LOOK_UP = re.compile(r'"/etc/resolv\.conf"|io\.systemd\.Resolve|sin6?_port=htons\((?:53|853|5353)\)')
# Of Fast DDS: it tries whether its own ports are taken on all interfaces too, and has sockets there that only send.
_HARMLESS = re.compile(r'AF_NETLINK|bind\(.* = -1 EADDRINUSE|bind\(\d+<UDP.*sin_port=htons\(0\)')


def strace() -> str:
    """Why it cannot be used here, or nothing."""
    if shutil.which('strace') is None:
        return 'strace is not installed'
    tried = subprocess.run(['strace', '-f', '-o', '/dev/null', 'true'], capture_output=True, text=True, check=False)
    return f'strace may not trace here: {tried.stderr.strip()}' if tried.returncode else ''


pytestmark = pytest.mark.skipif(bool(strace()), reason=strace() or 'never')


class Traced:
    """A Python module as a program under strace, with all its threads and children."""

    def __init__(self, folder: Path, *command: str):
        self._trace, self._log = folder / 'trace', folder / 'log'
        with self._log.open('w') as file:
            self.process = subprocess.Popen(
                ['strace', '-f', '-qq', '-yy', '--seccomp-bpf', '-e', f'trace={_CALLS}', '-e', 'signal=none',
                 '-o', self._trace, sys.executable, *command], cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def end(self) -> int:
        """As Ctrl-C does: to the program, not to strace, which would let go of it."""
        for child in children(self.process.pid):
            subprocess.run(['kill', f'-{signal.SIGINT.value}', str(child)], check=False)
        return self.process.wait(PATIENCE)

    def beyond(self) -> list[str]:
        """The calls that name another machine or listen to one, or a service that knows names."""
        return [call for call in self.calls()
                if _LOOK_UP.search(call) or (not _HARMLESS.search(call) and any(map(foreign, _ADDRESS.findall(call))))]

    def calls(self) -> list[str]:
        """One line each, also where the other threads' calls came in between."""
        begun, calls = {}, []
        lines = self._trace.read_text(errors='replace').splitlines() if self._trace.exists() else []
        for line in lines:
            task, _, call = line.partition(' ')
            call = call.lstrip()
            if call.endswith('<unfinished ...>'):
                begun[task] = call.removesuffix('<unfinished ...>')
            elif resumed := re.match(r'<\.\.\. \w+ resumed>(.*)', call):
                calls.append(begun.pop(task, '') + resumed[1])
            else:
                calls.append(call)
        return calls + list(begun.values())


def foreign(address: str) -> bool:
    host = address.rsplit(':', 1)[0] if '.' in address and address.count(':') == 1 else address
    try:
        place = ipaddress.ip_address(host)
    except ValueError:  # of a socket that is not bound yet there is only a number
        return False
    return not (getattr(place, 'ipv4_mapped', None) or place).is_loopback


@pytest.mark.parametrize('program', [
    'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 9))',
    'import socket; socket.create_server(("0.0.0.0", 0))',
    'import socket; socket.create_server(("::", 0), family=socket.AF_INET6)',
    'import socket; s = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]; '
    's[0].bind(("127.0.0.1", 0)); port = s[0].getsockname()[1]; s[0].close(); s[1].bind(("0.0.0.0", port))',
    'import threading, socket; t = threading.Thread(target=lambda: socket.socket().connect_ex(("192.0.2.1", 9)), '
    'daemon=True); t.start(); t.join(60)',
    'import socket\ntry: socket.getaddrinfo("somewhere.invalid", 80)\nexcept OSError: pass'])
def test_what_goes_beyond_would_be_seen(tmp_path, program):
    traced = Traced(tmp_path, '-c', program)
    while traced.process.poll() is None and not traced.beyond():  # a connection may take as long as it likes
        time.sleep(0.05)
    if traced.process.poll() is None:
        traced.end()
    assert traced.beyond(), traced.log


def test_what_stays_on_this_machine_is_let_be(tmp_path):
    traced = Traced(tmp_path, '-c', 'import socket\nfor family, host in (2, "127.0.0.1"), (10, "::1"):\n'
                    '    try: socket.create_server((host, 0), family=family)\n    except OSError: pass')
    traced.process.wait(PATIENCE)
    assert not traced.beyond()
    assert traced.calls()


@pytest.mark.parametrize('model', ['', 'litert'])
def test_fer_node(tmp_path, model):
    given = ('-p', 'detector:=short', '-p', f'detector_model:={find_model("short")}') if model else ()
    robot = Robot()
    faces = robot.listen(String, 'fer/faces')
    traced = Traced(tmp_path, '-m', 'fer_ros.nodes.fer_node', '--ros-args', '-p', 'ros4hri:=false', *given)
    try:
        robot.show(robot.camera('image'), portraits()['astronaut'],
                   until=lambda: any('"face_id"' in message.data for message in faces))
    finally:
        code = traced.end()
        robot.close()
    assert code == 0, traced.log
    assert not traced.beyond()
    assert len(traced.calls()) > 100


def test_process_video(tmp_path):
    video = tmp_path / 'clip.mp4'
    source = open_source('clip')
    write_video(video, [source.read() for _ in range(12)])
    traced = Traced(tmp_path, '-m', 'fer_ros.tools.process_video', str(video), '--output', str(tmp_path / 'out'))
    assert traced.process.wait(PATIENCE) == 0, traced.log
    assert (tmp_path / 'out' / 'clip.csv').exists()
    assert not traced.beyond()
    assert len(traced.calls()) > 100


def test_dashboard(tmp_path):
    pytest.importorskip('nicegui', reason='nicegui is not installed')
    traced = Traced(tmp_path, '-m', 'fer_ros.nodes.dashboard', '--ros-args', '-p', 'port:=0')
    try:
        end = time.monotonic() + PATIENCE
        while (address := re.search(r'the page is at (http://\S+)', traced.log)) is None:
            assert traced.process.poll() is None and time.monotonic() < end, traced.log
            time.sleep(0.1)
        with urllib.request.urlopen(address[1], timeout=PATIENCE) as page:
            assert page.status == 200
    finally:
        code = traced.end()
    assert code == 0, traced.log
    assert not traced.beyond()
    assert len(traced.calls()) > 100
