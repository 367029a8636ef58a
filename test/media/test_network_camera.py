"""Cameras on the network, served on this machine."""

import itertools
import re
import socket
import struct
import threading
import time
from contextlib import suppress

import cv2
import pytest

pytest.importorskip('av')

from encoded import grey, packets, write
from ros_domain import free_port

from fer_ros.media import network_camera
from fer_ros.media.frame_sources import SourceError, open_source
from fer_ros.media.network_camera import is_address

SECRET = 'hunter2'
PATIENCE = 120.0


class Server:
    """Answers each connection by `serve(connection, request)`; `drop` closes all connections."""

    def __init__(self, serve, port=0):
        self._serve, self._open = serve, []
        self._socket = socket.create_server(('127.0.0.1', port))
        self.port = self._socket.getsockname()[1]
        self.requests = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection = self._socket.accept()[0]
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        try:
            request = connection.recv(65536).decode()
            self.requests.append(request)
            self._serve(connection, request)
        except OSError:
            pass
        finally:
            connection.close()

    def drop(self):
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self):
        with suppress(OSError):  # closed before
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.drop()


def motion_jpeg(connection, _, pause=lambda number: time.sleep(0.03)):
    """Frame after frame is lighter, by one grey level each: from 20 to 240."""
    connection.sendall(b'HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n')
    for number in itertools.count():
        level = min(240, 20 + number)
        data = cv2.imencode('.jpg', grey(level))[1].tobytes()
        head = b'--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n' % len(data)
        connection.sendall(head + data + b'\r\n')
        pause(number)


def transport_stream(folder):
    data = write(folder / 'live.ts', [grey(100)] * 300, rate=30, options={'g': '10'}).read_bytes()

    def serve(connection, _):
        connection.sendall(b'HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n')
        for start in itertools.cycle(range(0, len(data) - 188 * 10, 188 * 10)):
            connection.sendall(data[start:start + 188 * 10])
            time.sleep(0.02)
    return serve


def rtsp(connection, request):
    """Describes one H.264 stream and sends it as RTP within the connection."""
    nals = [[nal for nal in re.split(b'\0*\0\0\1', data) if nal] for data, _, _ in
            packets([grey(100)] * 300, options={'g': '10', 'x264-params': 'repeat-headers=1'})]
    while True:
        number = re.search(r'CSeq: *(\d+)', request)[1]
        answer, body = f'RTSP/1.0 200 OK\r\nCSeq: {number}\r\n', ''
        method = request.partition(' ')[0]
        if method == 'OPTIONS':
            answer += 'Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n'
        elif method == 'DESCRIBE':
            body = ('v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n'
                    'c=IN IP4 0.0.0.0\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n'
                    'a=control:track\r\n')
            answer += f'Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n'
        elif method == 'SETUP':
            answer += 'Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n'
        else:
            answer += 'Session: 1\r\n'
        connection.sendall(f'{answer}\r\n{body}'.encode())
        if method == 'PLAY':
            break
        request = connection.recv(65536).decode()
    sequence = 0
    for number, frame in enumerate(itertools.cycle(nals)):
        for place, nal in enumerate(frame):
            mark = 128 if place == len(frame) - 1 else 0
            rtp = struct.pack('>BBHII', 128, 96 | mark, sequence & 65535, number * 9000 & 0xffffffff, 7) + nal
            connection.sendall(b'$\0' + struct.pack('>H', len(rtp)) + rtp)
            sequence += 1
        time.sleep(0.03)


@pytest.fixture
def serve():
    servers = []

    def start(answer, port=0):
        servers.append(Server(answer, port))
        return servers[-1]
    yield start
    for server in servers:
        server.close()


def wait_for(condition, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def first(source, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        frame = source.read()
        if frame is not None:
            return frame
    raise AssertionError('no frame')


@pytest.mark.parametrize('kind', ['jpeg', 'mpegts', 'rtsp'])
def test_camera_gives_frames(serve, tmp_path, kind):
    answer = {'jpeg': motion_jpeg, 'mpegts': transport_stream(tmp_path), 'rtsp': rtsp}[kind]
    scheme = 'rtsp' if kind == 'rtsp' else 'http'
    source = open_source(f'{scheme}://admin:{SECRET}@127.0.0.1:{serve(answer).port}/live')
    try:
        assert source.live
        assert SECRET not in source.name and 'admin' not in source.name
        for _ in range(10):
            frame = first(source)
            assert frame.shape == (96, 128, 3)
        if kind != 'jpeg':
            assert frame.mean() == pytest.approx(100, abs=4)
        source.skip()
        source.rewind()
        assert first(source) is not None
    finally:
        source.close()


def test_the_newest_frame_wins(serve):
    sent = threading.Event()

    def hundred_at_once(connection, _):
        motion_jpeg(connection, _, lambda number: sent.set() if number > 110 else None)
    source = open_source(f'http://127.0.0.1:{serve(hundred_at_once).port}/')
    reads = 0
    try:
        assert sent.wait(PATIENCE)
        while first(source).mean() < 120:  # 100 frames later
            reads += 1
            time.sleep(0.5)
        assert reads < 50, 'the frames of the pauses are not kept'
    finally:
        source.close()


def test_connects_again_and_says_so(serve):
    server = serve(motion_jpeg, free_port())
    source = open_source(f'http://u:{SECRET}@127.0.0.1:{server.port}/a?token={SECRET}')
    try:
        assert first(source) is not None
        assert source.warning == ''
        server.close()
        wait_for(lambda: source.warning)
        assert re.fullmatch(rf'http://127\.0\.0\.1:{server.port}/a: .*; connecting again', source.warning)
        assert SECRET not in source.warning
        while source.read() is not None:  # what had come before
            pass
        assert source.read() is None
        serve(motion_jpeg, server.port)
        assert first(source) is not None
        assert source.warning == ''
        assert source._camera.connections == 2
    finally:
        source.close()


def test_pauses_between_attempts_grow_to_a_bound(serve, monkeypatch):
    monkeypatch.setattr(network_camera, 'SHORTEST_PAUSE', 0.1)
    monkeypatch.setattr(network_camera, 'LONGEST_PAUSE', 0.4)
    pauses = []
    server = serve(motion_jpeg)
    source = open_source(f'http://127.0.0.1:{server.port}/')
    try:
        closed = source._camera._closed
        wait = closed.wait
        monkeypatch.setattr(closed, 'wait', lambda seconds: pauses.append(seconds) or wait(seconds))

        def refuse(connection, _):
            connection.sendall(b'HTTP/1.0 503 Busy\r\n\r\n')
        server._serve = refuse
        server.drop()
        wait_for(lambda: len(pauses) >= 5)
        assert pauses[:5] == [0.1, 0.2, 0.4, 0.4, 0.4]
    finally:
        source.close()


def test_silent_camera_is_given_up(serve, monkeypatch):
    monkeypatch.setattr(network_camera, 'PATIENCE', 0.5)
    ended = threading.Event()
    try:  # it says nothing for longer than any machine is late
        with pytest.raises(SourceError, match='cannot be used as a camera'):
            open_source(f'http://127.0.0.1:{serve(lambda *_: ended.wait(PATIENCE)).port}/')
    finally:
        ended.set()


def test_what_is_no_camera_is_refused_without_the_password(serve, tmp_path):
    closed = socket.socket()  # nobody listens there, and nobody else can
    closed.bind(('127.0.0.1', 0))
    port = closed.getsockname()[1]
    data = write(tmp_path / 'film.mp4', [grey(100)] * 20).read_bytes()

    def film(connection, request):
        begin = int((re.search(r'Range: bytes=(\d+)', request) or [0, 0])[1])
        connection.sendall(b'HTTP/1.1 206 Partial\r\nAccept-Ranges: bytes\r\nContent-Range: bytes %d-%d/%d\r\n'
                           b'Content-Length: %d\r\nConnection: close\r\n\r\n' % (begin, len(data) - 1, len(data),
                                                                               len(data) - begin) + data[begin:])

    def text(connection, _):
        connection.sendall(b'HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Log in</html>')

    def locked(connection, _):
        connection.sendall(b'HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm="a"\r\n\r\n')
    for place, why in ((port, 'refused'), (serve(film).port, 'it is a video file: download it'),
                       (serve(text).port, 'Invalid data|Input/output'), (serve(locked).port, '401')):
        with pytest.raises(SourceError, match=why) as caught:
            open_source(f'http://admin:{SECRET}@127.0.0.1:{place}/?p={SECRET}')
        assert SECRET not in str(caught.value)
    closed.close()


def test_playlist_of_a_server_opens_no_file_of_this_machine(serve, tmp_path):
    secret = write(tmp_path / 'secret.ts', [grey(100)] * 20)

    def playlist(connection, _):
        connection.sendall(b'HTTP/1.0 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n'
                           + f'#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{secret}\n'.encode())
    with pytest.raises(SourceError):
        open_source(f'http://127.0.0.1:{serve(playlist).port}/live.m3u8')


def test_is_address():
    assert [video for video in ('rtsp://h', 'http://h', 'HTTPS://h', 'rtsps://h', 'ftp://h', 'http:', '0', 'a.mp4', '')
            if is_address(video)] == ['rtsp://h', 'http://h', 'HTTPS://h', 'rtsps://h']


def test_address_without_a_host():
    with pytest.raises(SourceError, match='names no host'):
        open_source('rtsp://')
