"""The limits of connections, in a real server over loopback, with a small application and short times."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

import httpx
import pytest
import uvicorn
from loopback import ended, still_open
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute

from fer_ros.web.server import access, bodies, connections
from fer_ros.web.server.access import Access
from fer_ros.web.server.connections import ConnectionLimits, Connections, HttpConnection, SocketConnection

TOKEN = 'correct horse battery'
PATIENCE = 60.0
"""Seconds; nothing is ended for being late but where that is tested, and nothing takes so long."""
LIMITS = ConnectionLimits(unauthenticated=12, unauthenticated_by_address=6, admitted=8, admitted_by_address=6,
                          head=4096, head_s=PATIENCE, rest_s=PATIENCE, stalled_s=PATIENCE)
BIG = bytes(32 << 20)


async def _echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def _big(request: Request) -> Response:
    return Response(BIG)


async def _socket(websocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


class Site:
    """A server with `LIMITS` (or others) in a thread."""

    def __init__(self, token: str = TOKEN, proxies=(), limits: ConnectionLimits = LIMITS):
        app = Starlette(routes=[Route('/', _echo, methods=['GET', 'POST']), Route('/big', _big),
                                WebSocketRoute('/socket', _socket)])
        self.guard = Connections(limits, lambda address: address in proxies)
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.port = self.socket.getsockname()[1]
        self.server = uvicorn.Server(uvicorn.Config(
            Access(app, token=token, port=1), http=partial(HttpConnection, guard=self.guard),
            ws=partial(SocketConnection, guard=self.guard), log_level='error', loop='asyncio', access_log=False,
            proxy_headers=bool(proxies), forwarded_allow_ips=list(proxies), timeout_graceful_shutdown=1,
            timeout_keep_alive=int(PATIENCE)))
        self._thread = threading.Thread(target=self.server.run, kwargs={'sockets': [self.socket]})
        self._thread.start()

    def connect(self, data: bytes = b'', source: str = '127.0.0.2') -> socket.socket:
        client = socket.create_connection(('127.0.0.1', self.port), timeout=PATIENCE, source_address=(source, 0))
        client.sendall(data)
        return client

    def head(self, path: str = '/', method: str = 'GET', *lines: str) -> bytes:
        own = f'http://127.0.0.1:{self.port}'
        return '\r\n'.join([f'{method} {path} HTTP/1.1', f'Host: 127.0.0.1:{self.port}', f'Origin: {own}', *lines, '',
                            '']).encode()

    @contextmanager
    def viewer(self, source: str = '127.0.0.1') -> Iterator[httpx.Client]:
        """A browser that is let in."""
        own = f'http://127.0.0.1:{self.port}'
        transport = httpx.HTTPTransport(local_address=source)
        with httpx.Client(base_url=own, transport=transport, timeout=PATIENCE, headers={'Origin': own}) as client:
            assert client.post('/login', data={'token': TOKEN}).status_code == 200
            yield client

    def __enter__(self) -> 'Site':
        return self

    def __exit__(self, *exception) -> None:
        self.server.should_exit = True
        self._thread.join()


@pytest.fixture
def site():
    with Site() as opened:
        yield opened


def wait(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def answer(client: socket.socket) -> bytes:
    client.settimeout(PATIENCE)
    received = b''
    with suppress(ConnectionError):
        while data := client.recv(1 << 16):
            received += data
    return received


def test_idle_connections_of_one_address_take_places_from_nobody_else(site):
    with site.viewer() as viewer:
        idle = [site.connect() for _ in range(60)]
        wait(lambda: still_open(idle) <= LIMITS.unauthenticated_by_address)
        for _ in range(3):
            assert viewer.get('/').text == '0'
        with site.viewer('127.0.0.3') as newcomer, site.viewer('127.0.0.2') as neighbour:
            assert newcomer.get('/').text == neighbour.get('/').text == '0', 'also from the same address'
        for client in idle:
            client.close()


def test_idle_connections_of_many_addresses_take_places_from_nobody(site):
    with site.viewer() as viewer:
        idle = [site.connect(source=f'127.0.1.{1 + i // 3}') for i in range(60)]
        wait(lambda: still_open(idle) <= LIMITS.unauthenticated)
        assert viewer.get('/').text == '0'
        with site.viewer('127.0.0.3') as newcomer:
            assert newcomer.get('/').text == '0'
        for client in idle:
            client.close()


@pytest.mark.parametrize('kind', ['a login that does not end', 'wrong tokens', 'answered, and sends on'])
def test_busy_connections_of_many_unauthenticated_clients_take_places_from_nobody(site, kind):
    path, length, body = {'a login that does not end': ('/login', 100, b'token=wr'),
                          'wrong tokens': ('/login', 11, b'token=wrong'),
                          'answered, and sends on': ('/', 1_000_000, b'x')}[kind]
    request = site.head(path, 'POST', f'Content-Length: {length}') + body
    with site.viewer() as viewer:
        ended, made = threading.Event(), []

        def attack(number: int) -> None:
            while not ended.is_set():
                with suppress(OSError):
                    client = site.connect(request, source=f'127.0.2.{number}')
                    made.append(number)
                    client.settimeout(1.0)
                    with suppress(OSError):
                        client.recv(4096)
                    client.close()
        attackers = [threading.Thread(target=attack, args=(number % 10 + 1,)) for number in range(30)]
        for attacker in attackers:
            attacker.start()
        try:
            wait(lambda: len(made) > 2 * LIMITS.unauthenticated)
            for _ in range(5):
                assert viewer.get('/').text == '0'
                with httpx.Client(base_url=viewer.base_url, cookies=viewer.cookies, timeout=PATIENCE) as anew:
                    assert anew.get('/').text == '0'
                time.sleep(0.1)
        finally:
            ended.set()
            for attacker in attackers:
                attacker.join()


def test_who_is_in_can_take_all_places_of_the_own_address_only(site):
    with site.viewer('127.0.0.2') as greedy:
        cookie = f'Cookie: fer_dashboard_1={greedy.cookies["fer_dashboard_1"]}'
        upgrade = ('Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13',
                   'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==')
        sockets, statuses = [], []
        for _ in range(12):
            sockets.append(site.connect(site.head('/socket', 'GET', cookie, *upgrade)))
            statuses.append(sockets[-1].recv(12))
        assert 4 <= statuses.count(b'HTTP/1.1 101') <= LIMITS.admitted_by_address
        assert statuses.count(b'HTTP/1.1 403') == 12 - statuses.count(b'HTTP/1.1 101')
        with site.viewer('127.0.0.3') as other:
            assert other.get('/').text == '0'
        for client in sockets:
            client.close()
        wait(lambda: greedy.get('/').text == '0')  # the places are given back


@pytest.mark.parametrize('start', [b'', b'GET / HT', b'GET / HTTP/1.1\r\nHost: local', b'\r\n'])
def test_a_head_must_be_complete_in_time_however_it_is_trickled(start):
    with Site(limits=replace(LIMITS, head_s=1.0)) as site:
        client = site.connect(start)
        for _ in range(100):
            time.sleep(0.1)
            try:
                client.sendall(b'a')
                client.setblocking(False)
                if client.recv(100) == b'':
                    break
            except BlockingIOError:
                client.setblocking(True)
            except ConnectionError:
                break
        else:
            raise AssertionError('it takes heads for as long as they are trickled')


def test_the_time_for_a_head_begins_anew_with_each_request():
    with Site(limits=replace(LIMITS, head_s=1.0)) as site:
        with site.viewer() as viewer:
            cookie = f'Cookie: fer_dashboard_1={viewer.cookies["fer_dashboard_1"]}'
        client = site.connect(site.head('/', 'GET', cookie))
        for again in range(4):
            received = b''
            while not received.endswith(b'\r\n\r\n0'):
                part = client.recv(4096)
                assert part, received
                received += part
            assert received.startswith(b'HTTP/1.1 200')
            time.sleep(0.5)
            client.sendall(site.head('/', 'GET', cookie) if again < 3 else site.head()[:20])
        assert ended(client)


@pytest.mark.parametrize('attack', ['one header', 'many headers', 'address', 'trailer', 'many trailers', 'no end'])
def test_heads_are_bounded(site, attack, monkeypatch):
    if 'trailer' not in attack:  # then the client ends it, when it has read the answer
        monkeypatch.setattr(connections, 'LINGER', PATIENCE)
    lines = {'one header': b'A: ' + b'x' * 100_000, 'many headers': b'A: x\r\n' * 20_000, 'no end': b'x' * 100_000}
    head = site.head()[:-2]
    if attack in lines:
        data = head + lines[attack] + b'\r\n\r\n'
    elif attack == 'address':
        data = b'GET /' + b'a' * 100_000 + b' HTTP/1.1\r\nHost: localhost\r\n\r\n'
    else:
        trailer = b'A: ' + b'x' * 100_000 if attack == 'trailer' else b'A: x\r\n' * 20_000
        data = site.head('/login', 'POST', 'Transfer-Encoding: chunked') + b'0\r\n' + trailer + b'\r\n\r\n'
    client = site.connect()
    threading.Thread(target=lambda: _send(client, data), daemon=True).start()
    received = answer(client)
    if 'trailer' not in attack:
        assert received.startswith(b'HTTP/1.1 431 ')
    client.close()
    for connection in list(site.server.server_state.connections):
        assert connection._unread <= LIMITS.head + 1


def _send(client: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        for start in range(0, len(data), 1000):
            client.sendall(data[start:start + 1000])


def test_the_largest_head_is_read(site):
    head = site.head('/', 'GET', 'A: ')
    full = head[:-4] + b'x' * (LIMITS.head - len(head)) + b'\r\n\r\n'
    assert len(full) == LIMITS.head
    client = site.connect(full * 3 + site.head('/', 'GET', 'Connection: close'))
    assert answer(client).count(b'HTTP/1.1 401') == 4


def test_the_rest_of_an_answered_request_is_not_waited_for():
    with Site(limits=replace(LIMITS, rest_s=0.5)) as site:
        client = site.connect(site.head('/', 'POST', 'Content-Length: 1000000') + b'x')
        assert client.recv(12) == b'HTTP/1.1 401'
        assert ended(client)


def refusal(client: socket.socket, part: bytes) -> bytes:
    """The begin of what is answered while a content comes in so many parts, ten per second; empty if nothing is."""
    status = b''
    for _ in range(100):
        time.sleep(0.1)
        client.setblocking(True)
        with suppress(ConnectionError):  # it was answered and closed meanwhile
            client.sendall(part)
        client.setblocking(False)
        with suppress(BlockingIOError):
            status = client.recv(12)
        if status:
            break
    return status


@pytest.mark.parametrize('path', ['/', '/login'])
def test_content_must_arrive_at_a_least_rate(monkeypatch, path):
    monkeypatch.setattr(bodies, 'PATIENCE', 0.8)
    monkeypatch.setattr(access, 'LOGIN_S', 0.8)
    with Site(token=TOKEN if path == '/login' else '') as site:
        client = site.connect(site.head(path, 'POST', 'Content-Length: 1000'))
        assert refusal(client, b'x') == b'HTTP/1.1 408'


def test_content_must_be_complete_in_a_total_time(monkeypatch):
    monkeypatch.setattr(bodies, 'START', 1.0)
    with Site(token='') as site:
        client = site.connect(site.head('/', 'POST', 'Content-Length: 1000000'))
        # 40 kB/s: more than the least, less than the mean
        assert refusal(client, bytes(4000)) == b'HTTP/1.1 408'


def test_fast_content_is_not_hurried():
    with Site(token='') as site, httpx.Client(base_url=f'http://127.0.0.1:{site.port}', timeout=PATIENCE) as client:
        answered = client.post('/', content=bytes(1 << 20), headers={'Origin': str(client.base_url).rstrip('/')})
        assert answered.text == str(1 << 20)


def unread(site: Site) -> list[socket.socket]:
    """As many clients as one address may have, each of which asks for much and reads nothing."""
    return [site.connect(site.head('/big')) for _ in range(LIMITS.admitted_by_address)]


def test_who_does_not_read_takes_a_place():
    with Site(token='') as site:
        clients = unread(site)
        wait(lambda: len(site.guard._admitted._members) == len(clients))
        assert site.connect(site.head()).recv(12) == b'HTTP/1.1 503'
        for client in clients:
            client.close()


def test_who_does_not_read_is_dropped():
    with Site(token='', limits=replace(LIMITS, stalled_s=1.0)) as site:
        dropped, close = [], site.guard.close

        def closed(transport) -> None:
            dropped.append(transport)
            close(transport)
        site.guard.close = closed
        clients = unread(site)
        wait(lambda: len(dropped) == len(clients))
        wait(lambda: not site.guard._by_transport)
        assert site.connect(site.head()).recv(12) == b'HTTP/1.1 200'
        for client in clients:
            client.close()


def test_behind_a_proxy_the_clients_that_it_tells_of_are_counted_apart(monkeypatch):
    monkeypatch.setattr(access, 'DELAY', 0.0)
    with Site(proxies=('127.0.0.1',)) as site:
        def login(source: str, client: str, token: str) -> int:
            own = f'http://127.0.0.1:{site.port}'
            with httpx.Client(base_url=own, transport=httpx.HTTPTransport(local_address=source),
                              timeout=PATIENCE) as browser:
                return browser.post('/login', data={'token': token}, headers={
                    'Origin': own, 'X-Forwarded-For': client}).status_code
        assert [login('127.0.0.1', '10.0.0.1', 'wrong') for _ in range(6)] == [401] * 5 + [429]
        assert login('127.0.0.1', '10.0.0.2', 'wrong') == 401
        assert login('127.0.0.1', '10.0.0.1', TOKEN) == 200
        # Who is no trusted proxy cannot choose the own address.
        assert [login('127.0.0.2', f'10.0.1.{i}', 'wrong') for i in range(6)] == [401] * 5 + [429]
        assert login('127.0.0.1', 'x' * 2000, 'wrong') == 401
        wait(lambda: not site.guard._by_transport)  # the server has seen the ends of those connections
        idle = [site.connect(source='127.0.0.1') for _ in range(10)]
        wait(lambda: len(site.guard._by_transport) == 10)
        assert still_open(idle) == 10, 'a proxy keeps connections for many clients'
        for client in idle:
            client.close()


def test_the_cookie_behind_a_proxy_with_tls_is_for_tls_alone():
    with (Site(proxies=('127.0.0.1',)) as site,
          httpx.Client(base_url=f'http://127.0.0.1:{site.port}', timeout=PATIENCE) as client):
        own = {'Origin': str(client.base_url).rstrip('/')}
        assert 'Secure' not in client.post('/login', data={'token': TOKEN}, headers=own).headers['set-cookie']
        told = own | {'X-Forwarded-Proto': 'https', 'X-Forwarded-For': '10.0.0.1'}
        assert 'Secure' in client.post('/login', data={'token': TOKEN}, headers=told).headers['set-cookie']
