"""Attacks on the dashboard itself, each over loopback against the running program."""

import base64
import os
import random
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import nicegui
import pytest
from dashboard_harness import Dashboard
from harness import PATIENCE
from loopback import ended, still_open

from fer_ros.web.server.bodies import PATIENCE as SLOWEST
from fer_ros.web.server.connections import ConnectionLimits
from fer_ros.web.server.sessions import DELAY
from fer_ros.web.server.settings import TOKEN_VARIABLE

TOKEN = 'a token for the attacks'
LIMITS = ConnectionLimits()


class Transport(httpx.HTTPTransport):
    """Sends once more, as browsers do, where the kept connection has just timed out."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return super().handle_request(request)
        except (httpx.RemoteProtocolError, httpx.ReadError):
            return super().handle_request(request)


class Target:
    """A running dashboard, and ways to reach it."""

    def __init__(self, program: Dashboard, token: str = ''):
        self.program, self.url, self.token = program, program.url, token
        self.port = urlsplit(self.url).port

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """A browser that is let in."""
        with httpx.Client(base_url=self.url, headers={'Origin': self.url}, timeout=PATIENCE,
                          transport=Transport()) as client:
            if self.token:
                assert client.post('/login', data={'token': self.token}).status_code == 200
            yield client

    def connect(self, data: bytes = b'') -> socket.socket:
        client = socket.create_connection(('127.0.0.1', self.port), timeout=PATIENCE)
        client.sendall(data)
        return client

    def head(self, method: str, path: str, *lines: str) -> bytes:
        return '\r\n'.join([f'{method} {path} HTTP/1.1', f'Host: 127.0.0.1:{self.port}', f'Origin: {self.url}', *lines,
                            '', '']).encode()

    def websocket(self, cookie: str = '') -> socket.socket:
        """An accepted WebSocket of the page."""
        client = self.connect(self.head(
            'GET', '/_nicegui_ws/socket.io/?EIO=4&transport=websocket', 'Connection: Upgrade', 'Upgrade: websocket',
            'Sec-WebSocket-Version: 13', f'Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}',
            *([f'Cookie: {cookie}'] if cookie else [])))
        received = b''
        while b'\r\n\r\n' not in received:
            part = client.recv(4096)
            assert part, received
            received += part
        assert received.startswith(b'HTTP/1.1 101'), received
        return client

    @property
    def log(self) -> str:
        return self.program.log


@pytest.fixture(scope='module')
def locked(tmp_path_factory):
    """A dashboard with a token in its environment."""
    os.environ[TOKEN_VARIABLE] = TOKEN
    try:
        program = Dashboard(tmp_path_factory.mktemp('locked') / 'log')
    finally:
        del os.environ[TOKEN_VARIABLE]
    with program:
        yield Target(program, TOKEN)
        assert program.end() == 0
    assert TOKEN not in program.log and 'Traceback' not in program.log


@pytest.fixture(scope='module')
def open_to_all(tmp_path_factory):
    """A dashboard without a token."""
    with Dashboard(tmp_path_factory.mktemp('open') / 'log') as program:
        yield Target(program)
        assert program.end() == 0
    assert 'Traceback' not in program.log


def frame(payload: bytes, opcode: int = 1, final: bool = True) -> bytes:
    """A masked frame of a WebSocket."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b'\xfe' + struct.pack('>H', size) if size < 1 << 16 else (
        b'\xff' + struct.pack('>Q', size))
    return bytes([opcode | (0x80 if final else 0)]) + length + bytes(4) + payload


def test_hundreds_of_idle_connections_shut_out_nobody(locked):
    with locked.client() as viewer:
        idle = [locked.connect() for _ in range(400)]
        for _ in range(5):
            assert viewer.get('/live/state').status_code == 200
        with locked.client() as newcomer:
            assert newcomer.get('/live/state').status_code == 200
        end = time.monotonic() + PATIENCE
        while still_open(idle) > LIMITS.unauthenticated_by_address:
            assert time.monotonic() < end
            time.sleep(0.05)
        with locked.client() as later:
            later.get('/live/state')
        longest = [client for client in idle if client.fileno() >= 0][-1]
        assert ended(longest)
        for client in idle:
            client.close()


@pytest.mark.parametrize('kind', ['a header', 'headers', 'an address', 'a trailer'])
def test_endless_heads_before_the_login_cost_no_memory(locked, kind):
    start = {'a header': b'GET / HTTP/1.1\r\nHost: localhost\r\nA: ',
             'headers': b'GET / HTTP/1.1\r\nHost: localhost\r\n', 'an address': b'GET /',
             'a trailer': locked.head('POST', '/', 'Transfer-Encoding: chunked') + b'0\r\nA: '}
    before = locked.program.memory
    client = locked.connect(start[kind])
    client.settimeout(5)
    sent, block = 0, b'A: x\r\n' * 2000 if kind == 'headers' else b'x' * 12_000
    with suppress(OSError):
        while sent < 27 << 20:
            client.sendall(block)
            sent += len(block)
    received = b''
    with suppress(OSError):
        received = client.recv(4096)
    client.close()
    assert sent < 16 << 20, 'the connection was ended, and what its buffers took is all'
    assert locked.program.memory < before + 20
    if kind != 'a trailer':
        with httpx.Client(base_url=locked.url, timeout=PATIENCE) as short:
            assert short.get('/', headers={'A': 'x' * (65 << 10)}).status_code == 431
    assert b' 200 ' not in received


def test_four_trickled_uploads_block_nobody(open_to_all):
    trickling = []
    for _ in range(4):
        with open_to_all.client() as browser:
            browser.get('/video/state')
            cookie = browser.cookies['fer_video']
        trickling.append(open_to_all.connect(open_to_all.head(
            'POST', '/video/upload?name=a.mp4', 'Content-Length: 1000000', f'Cookie: fer_video={cookie}')))
    with open_to_all.client() as browser:
        browser.get('/video/state')
        video = b'\0\0\0\x20ftypisom' + bytes(600)
        end = time.monotonic() + SLOWEST + PATIENCE
        refused = 0
        while (answer := browser.post('/video/upload', params={'name': 'b.mp4'}, content=video)).status_code == 409:
            refused += 1
            assert time.monotonic() < end, answer.text
            for client in trickling:
                with suppress(OSError):
                    client.sendall(b'\0')
            time.sleep(1.0)
        assert refused and answer.status_code == 200
        job = browser.get('/video/state').json()['job']
        browser.post('/video/cancel', params={'job': job['id']})
    for client in trickling:
        client.settimeout(PATIENCE)
        assert client.recv(12) == b'HTTP/1.1 408'
        client.close()


ORIGINS = ('http://[bad', 'http://[::1', '//[', 'http://]', 'null', 'x' * 5000, '\u00ff', 'http://a:b:c')


def test_origins_that_are_none_cost_a_line_in_the_log_at_most(open_to_all):
    before = len(open_to_all.log.splitlines())
    with httpx.Client(base_url=open_to_all.url, timeout=PATIENCE) as client:
        for _ in range(25):
            for origin in ORIGINS:
                answer = client.get('/', headers={'Origin': origin.encode('latin-1')})
                assert answer.status_code == 403, answer.text
    assert len(open_to_all.log.splitlines()) - before <= 2


JUNK = ('', '0', '1', '2', '2probe', '3', '4', '5', '6', '7', '9', 'x', '40', '41', '42', '43', '44', '45', '46', '47',
        '40{', '40/other,', '42[', '42[]', '42{}', '42null', '42[1]', '42["event"]', '42["event",1]', '42["event",{}]',
        '42["event",{"client_id":1}]', '42["handshake",{}]', '42["handshake",null]', '42["ack",{}]', '42["log",{}]',
        '42["javascript_response",{}]', '42["disconnect"]', '42["connect"]', '420["event",{}]', '43[]', '430[]',
        '451-["event",{"_placeholder":true,"num":0}]', '459999999999-["x"]', '4511111111111111-[]', '42' + '[' * 50_000,
        '42' + '9' * 50_000, '40' + '9' * 5000, '\u202e', '\0', '42["event",{"client_id":"\u0000"}]')


def test_junk_on_the_websocket_neither_fills_the_log_nor_stops_anybody(open_to_all):
    before = len(open_to_all.log)
    with open_to_all.client() as viewer:
        for text in JUNK:
            for greeting in (b'', frame(b'40')):
                client = open_to_all.websocket()
                with suppress(OSError):
                    client.sendall(greeting + 20 * frame(text.encode()))
                    client.sendall(frame(text.encode(), opcode=2))
                client.close()
            assert viewer.get('/live/state').status_code == 200
        for raw in (b'\xff' * 100, frame(b'\xff\xfe'), frame(b'a', opcode=3), frame(b'a', opcode=0),
                    frame(b'x' * 200, 9), frame(b'a', final=False) + frame(b'b', opcode=2), frame(b'\x03', opcode=8),
                    b'\x81\xff' + b'\x7f' * 8, frame(bytes(2 << 20))):
            client = open_to_all.websocket()
            with suppress(OSError):
                client.sendall(raw)
                ended(client, 0.3)
            client.close()
            assert viewer.get('/live/state').status_code == 200
    new = open_to_all.log[before:]
    assert 'Traceback' not in new and len(new) < 20_000, new
    assert all(len(line) < 1000 for line in new.splitlines())


PATHS = (
    '/', '/live/state', '/live/frame', '/live/recordings/..%2fx/faces.csv', '/video/state', '/video/x/0.jpg',
    '/video/x/video.csv',
    '/video/x/lines.json', '/video/upload', '/video/clip', '/video/cancel', '/login', '/_nicegui_ws/socket.io/',
    '/_nicegui/{version}/static/nicegui.js', '/_nicegui/{version}/libraries/x', '/_nicegui/{version}/esm/x/../../y',
    '/_nicegui/{version}/components/x', '/_nicegui/{version}/resources/x/..%2f..%2fetc', '/favicon.ico', '*', '//',
    '/%00', '/%ff', '/' + '9' * 3000, '/video/x/' + '9' * 3500 + '.jpg', '/../../etc/passwd', '/live/state/', '/./')
VALUES = (
    '', '0', '-1', '9' * 3000, '%00', '%ff%fe', 'a' * 1000, '\u0663', '[', '{}', '../..', "'", '%0d%0aSet-Cookie: x')
QUERIES = ('after', 'epoch', 'name', 'token', 'EIO', 'transport', 'sid', 't', 'client_id', 'implicit_handshake')
LINES = (
    'Content-Length: -1', 'Content-Length: 99999999999999999999', 'Content-Length: x', 'Cookie: fer_video=x',
    'Cookie: "', 'Cookie: ' + '\\' * 3000, 'Transfer-Encoding: chunked', 'Transfer-Encoding: x', 'Host: a',
    'Expect: 100-continue', 'Range: bytes=0-', 'Range: bytes=-9999999999999', 'If-None-Match: *', 'Accept: \xff',
    'If-Modified-Since: x', 'Accept-Encoding: gzip;q=x', 'Upgrade: websocket', 'Connection: upgrade', 'Content-Type: x',
    'Connection: close', 'X-Forwarded-For: [', 'Sec-WebSocket-Key: x', 'Sec-WebSocket-Version: 99',
    'Sec-Fetch-Site: \x7f')


def test_no_request_is_answered_with_an_error_of_the_server(open_to_all):
    rng = random.Random(7)
    before = len(open_to_all.log)
    statuses = []
    for _ in range(600):
        path = rng.choice(PATHS).replace('{version}', nicegui.__version__)
        if rng.random() < 0.5:
            path += '?' + '&'.join(f'{rng.choice(QUERIES)}={rng.choice(VALUES)}' for _ in range(rng.randint(1, 4)))
        method = rng.choice(['GET'] * 3 + ['POST', 'HEAD', 'PUT', 'OPTIONS', 'DELETE', 'CONNECT', 'TRACE'])
        lines = rng.sample(LINES, rng.randint(0, 2))
        data = open_to_all.head(method, path, 'Connection: close', *lines).decode().encode('latin-1', 'replace')
        data += rng.randbytes(20)
        if rng.random() < 0.2:
            place = rng.randrange(len(data))
            data = data[:place] + rng.randbytes(rng.randint(1, 8)) + data[place + rng.randint(0, 8):]
        client = open_to_all.connect()
        with suppress(OSError):
            client.sendall(data)
            client.settimeout(0.5)
            status = client.recv(12)
            statuses.append((status, method, path[:100], lines))
        client.close()
    assert [s for s in statuses if s[0].startswith(b'HTTP/1.1 5')] == []
    assert sum(s[0].startswith(b'HTTP/1.1 2') for s in statuses) > 20
    new = open_to_all.log[before:]
    assert 'Traceback' not in new and len(new.splitlines()) < 40, new
    with open_to_all.client() as viewer:
        assert viewer.get('/live/state').status_code == 200


def decoder(pid: int) -> int | None:
    """The process that analyses videos, a child of `pid`, once it runs its own program."""
    for task in Path(f'/proc/{pid}/task').iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread, or a process, that has ended meanwhile
            for child in (task / 'children').read_text().split():
                if b'job_process' in Path(f'/proc/{child}/cmdline').read_bytes():
                    return int(child)
    return None


def test_the_process_that_decodes_videos_knows_no_secret(locked):
    with locked.client() as browser:
        browser.get('/video/state')
        assert browser.post('/video/clip').status_code == 200
        end = time.monotonic() + PATIENCE
        while (child := decoder(locked.program.process.pid)) is None:
            assert time.monotonic() < end
            time.sleep(0.02)
        environment = Path(f'/proc/{child}/environ').read_bytes()
        assert b'PATH=' in environment and TOKEN.encode() not in environment
        assert TOKEN.encode() not in Path(f'/proc/{child}/cmdline').read_bytes()
        names = {entry.partition(b'=')[0] for entry in environment.split(b'\0')}
        assert not {name for name in names if name.startswith((b'FER_ROS_ACCESS', b'ROS_', b'PYTEST'))}
        job = browser.get('/video/state').json()['job']
        assert job['state'] in ('waiting', 'starting', 'running', 'done')
        browser.post('/video/cancel', params={'job': job['id']})


def test_wrong_tokens_lock_out_nobody_who_is_in_or_has_the_right_one(locked):
    with (locked.client() as viewer,
          httpx.Client(base_url=locked.url, headers={'Origin': locked.url}, timeout=PATIENCE) as other):
        statuses = [other.post('/login', data={'token': 'wrong'}).status_code for _ in range(7)]
        assert statuses == [401] * 5 + [429] * 2

        def seconds() -> float:
            start = time.monotonic()
            assert viewer.get('/live/state').status_code == 200
            assert viewer.post('/login', data={'token': TOKEN}).status_code == 200
            return time.monotonic() - start
        assert any(seconds() < DELAY for _ in range(10)), 'it was delayed each time'
        assert other.post('/login', data={'token': TOKEN}).status_code == 200
