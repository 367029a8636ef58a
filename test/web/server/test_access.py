"""Who is let in, and who is not."""

import asyncio
import time
from types import SimpleNamespace

import event_loop
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from fer_ros.web.server import access
from fer_ros.web.server.access import HEADERS, Access
from fer_ros.web.server.sessions import ATTEMPTS, DELAY, PERIOD, SESSION, own_cookies

TOKEN = 'correct horse battery'
HOST = '127.0.0.1:8080'
OWN = {'Origin': f'http://{HOST}'}


class Site:
    """A small application behind `Access`, at a time of its own."""

    def __init__(self, **options):
        async def page(request: Request) -> Response:
            return PlainTextResponse(f'page {len(await request.body())}')
        self.now = 1_000_000.0
        self.app = Access(Starlette(routes=[Route('/{path:path}', page, methods=['GET', 'POST'])]),
                          clock=lambda: self.now, **options)

    def __call__(self, method: str, path: str, *, host: str = HOST, cookie: str = '', **options) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=(options.pop('client', '127.0.0.1'), 1234))
            async with httpx.AsyncClient(transport=transport, base_url=f'http://{HOST}') as client:
                headers = {'Host': host, **({'Cookie': cookie} if cookie else {}), **options.pop('headers', {})}
                return await client.request(method, path, headers=headers, **options)
        return event_loop.run(ask())

    def login(self, token: str) -> httpx.Response:
        return self('POST', '/login', data={'token': token}, headers=OWN)


@pytest.mark.parametrize(('host', 'status'), [
    (HOST, 200), ('localhost:8080', 200), ('[::1]:8080', 200), ('192.168.1.5', 200), ('LOCALHOST', 200),
    ('robot.lan:8080', 200), ('evil.example:8080', 421), ('127.0.0.1.evil.example', 421), ('', 421), ('[::1', 421)])
def test_only_own_names_are_answered_to(host, status):
    response = Site(allowed_hosts=['robot.lan'])('GET', '/', host=host)
    assert response.status_code == status
    assert status == 200 or 'allowed_hosts' in response.text


@pytest.mark.parametrize(('method', 'headers', 'status'), [
    ('POST', OWN, 200), ('POST', {}, 403), ('POST', {'Origin': 'http://evil.example'}, 403),
    ('POST', {'Origin': 'null'}, 403), ('POST', {'Origin': 'http://127.0.0.1:9999'}, 403),
    ('GET', {}, 200), ('GET', {'Origin': 'http://evil.example'}, 403),
    ('GET', {'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors'}, 403),
    ('GET', {'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate'}, 200),
    ('GET', {'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Mode': 'cors'}, 200)])
def test_other_pages_are_refused(method, headers, status):
    assert Site()(method, '/live/state', headers=headers).status_code == status


@pytest.mark.parametrize(('headers', 'let_in'), [
    ([], False), ([(b'origin', b'http://evil.example')], False), ([(b'origin', f'http://{HOST}'.encode())], True)])
def test_a_websocket_needs_the_own_origin(headers, let_in):
    reached, sent = [], []

    async def inner(scope, receive, send):
        reached.append(scope['path'])

    async def receive():
        return {'type': 'websocket.connect'}

    async def send(message):
        sent.append(message)
    scope = {'type': 'websocket', 'path': '/ws', 'headers': [(b'host', HOST.encode()), *headers]}
    event_loop.run(Access(inner)(scope, receive, send))
    assert (reached == ['/ws']) is let_in
    assert sent == ([] if let_in else [{'type': 'websocket.close', 'code': 1008}])
    reached.clear()
    event_loop.run(Access(inner, token=TOKEN)(scope, receive, send))
    assert reached == []  # without the cookie


def test_every_answer_has_the_security_headers():
    site = Site(token=TOKEN)
    for response in (site('GET', '/'), site('GET', '/', host='evil.example'), Site()('GET', '/')):
        assert {name: response.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize('chunked', [False, True])
def test_a_body_over_the_limit_is_refused(chunked):
    async def chunks():
        for _ in range(20):
            yield bytes(1000)
    site = Site(max_body=10_000)
    assert site('POST', '/', content=bytes(9000), headers=OWN).text == 'page 9000'
    if chunked:  # no length is told
        with pytest.raises(ClientDisconnect):
            site('POST', '/', content=chunks(), headers=OWN)
    else:
        assert site('POST', '/', content=bytes(11_000), headers=OWN).status_code == 413


def test_without_the_token_there_is_only_the_login_page():
    site = Site(token=TOKEN)
    page = site('GET', '/', headers={'Accept': 'text/html'})
    assert page.status_code == 401 and 'type="password"' in page.text and 'page 0' not in page.text
    for path in ('/', '/live/frame', '/_nicegui_ws/socket.io/', '/anything'):
        assert site('GET', path).status_code == 401
    assert site('POST', '/video/upload', headers=OWN).status_code == 401


@pytest.mark.parametrize('way', ['form', 'link'])
def test_the_token_opens_for_the_time_of_a_session(way):
    site = Site(token=TOKEN, port=8080)
    response = site.login(TOKEN) if way == 'form' else site('GET', '/', params={'token': TOKEN})
    assert response.status_code == 200 and TOKEN not in response.text
    cookie = response.headers['set-cookie']
    assert cookie.startswith('fer_dashboard_8080=')
    assert all(part in cookie for part in ('HttpOnly', 'SameSite=strict', 'Path=/', f'Max-Age={SESSION}'))
    cookie = cookie.split(';')[0]
    assert TOKEN not in cookie
    assert site('GET', '/', cookie=cookie).text == 'page 0'
    name, _, value = cookie.partition('=')
    for part in range(3):  # session, time, signature
        parts = value.split('.')
        parts[part] = ('A' if parts[part][0] != 'A' else 'B') + parts[part][1:]
        assert site('GET', '/', cookie=f'{name}={".".join(parts)}').status_code == 401
    assert Site(token='another token', port=8080)('GET', '/', cookie=cookie).status_code == 401
    assert Site(token=TOKEN, port=8080)('GET', '/', cookie=cookie).status_code == 200  # after a restart
    site.now += SESSION + 1
    assert site('GET', '/', cookie=cookie).status_code == 401


@pytest.mark.parametrize('cookie', ['fer_dashboard_0=', 'fer_dashboard_0=..', 'fer_dashboard_0=é.1.2', 'a=b; ; =', '"'])
def test_broken_cookies_do_not_open(cookie):
    assert Site(token=TOKEN)('GET', '/', headers={'Cookie': cookie.encode()}).status_code == 401


def test_guessing_is_slowed_down_for_its_address_and_the_right_token_opens_all_the_same(monkeypatch):
    delays = []

    async def sleep(seconds: float) -> None:
        delays.append(seconds)
    monkeypatch.setattr(access, 'asyncio', SimpleNamespace(
        sleep=sleep, wait_for=asyncio.wait_for, TimeoutError=asyncio.TimeoutError))
    site = Site(token=TOKEN, port=8080)
    for _ in range(ATTEMPTS):
        response = site.login('wrong')
        assert response.status_code == 401 and 'set-cookie' not in response.headers
    assert delays == []
    slow = site.login('wrong')
    assert slow.status_code == 429 and 0 < int(slow.headers['retry-after']) <= PERIOD + 1
    assert site('GET', '/', params={'token': 'wrong'}).status_code == 429
    right = site.login(TOKEN)
    assert right.status_code == 200 and delays == [DELAY] * 3, 'the delay does not tell which one is right'
    assert site('GET', '/', cookie=right.headers['set-cookie'].split(';')[0]).status_code == 200
    again = site('POST', '/login', data={'token': TOKEN}, headers=OWN, cookie=right.headers['set-cookie'].split(';')[0])
    assert again.status_code == 200 and len(delays) == 3, 'a session is not delayed'
    assert site('POST', '/login', data={'token': 'wrong'}, headers=OWN, client='10.0.0.9').status_code == 401
    assert len(delays) == 3, 'nor is another address'
    site.now += PERIOD + 1
    assert site.login('wrong').status_code == 401


@pytest.mark.parametrize(('one', 'other', 'same'), [
    ('2001:db8::1', '2001:db8::ffff:1', True), ('2001:db8::1', '2001:db8:0:1::1', False),
    ('::ffff:10.0.0.1', '10.0.0.1', True), ('fe80::1%eth0', 'fe80::2%eth1', True), ('10.0.0.1', '10.0.0.2', False)])
def test_an_address_is_what_one_client_can_choose_from(monkeypatch, one, other, same):
    monkeypatch.setattr(access, 'DELAY', 0.0)
    site = Site(token=TOKEN)
    for _ in range(ATTEMPTS):
        site('POST', '/login', data={'token': 'wrong'}, headers=OWN, client=one)
    answer = site('POST', '/login', data={'token': 'wrong'}, headers=OWN, client=other)
    assert (answer.status_code == 429) is same


def test_a_link_with_the_token_leaves_no_referrer():
    assert Site(token=TOKEN)('GET', '/', params={'token': TOKEN}).headers['referrer-policy'] == 'no-referrer'


@pytest.mark.parametrize('origin', ['http://[bad', 'http://[::1', '//[', 'http://a]b', 'x' * 5000, '\xff', ''])
def test_an_origin_that_is_none_is_another_one(origin):
    for method in ('GET', 'POST'):
        assert Site()(method, '/', headers={'Origin': origin.encode('latin-1')}).status_code == 403


def test_only_own_cookies_are_read_and_long_ones_take_no_time():
    header = 'a="' + '\\' * 60_000 + '"; fer_video=abc-DEF_1; fer_video_2=x; fer_dashboard_1="; b=' + ';' * 5000
    start = time.thread_time()
    assert own_cookies(header, ('fer_video', 'fer_dashboard_1')) == {'fer_video': 'abc-DEF_1'}
    assert time.thread_time() - start < 0.5
    async def page(request: Request) -> Response:
        return PlainTextResponse(repr(request.cookies))
    site = Site()
    site.app.app = Starlette(routes=[Route('/', page)])
    assert site('GET', '/', cookie=header).text == "{'fer_video': 'abc-DEF_1'}"


def test_a_long_address_is_refused():
    assert Site()('GET', '/' + '9' * 5000).status_code == 414


@pytest.mark.parametrize('token', ['', 'wrong', 'é', TOKEN + ' ', TOKEN[:-1], 'x' * 5000])
def test_a_wrong_token_is_said_to_be_wrong(token):
    response = Site(token=TOKEN).login(token)
    assert response.status_code == 401 and 'role="alert"' in response.text
