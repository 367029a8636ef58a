"""Access control of the page: host name, origin and token are checked, and everything else is rejected.

It is an ASGI middleware around the whole application, so that no route can be missed.
"""

import asyncio
import html
import ipaddress
import socket
import time
from collections.abc import Callable, Iterable
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fer_ros.results import wire
from fer_ros.web.server.bodies import Body
from fer_ros.web.server.connections import CONNECTION
from fer_ros.web.server.sessions import DELAY, SESSION, Guesses, Sessions, own_cookies
from fer_ros.web.texts import Login, Page, Refused

LOGIN_PATH = '/login'
LOGIN_BODY = 4096
"""Maximum bytes of what the login page sends."""
LOGIN_S = 10.0
"""Seconds in which it must arrive."""
LONGEST_ADDRESS = 4096
"""Maximum bytes of path and query of a request."""
COOKIES = ('fer_video',)
"""Names of the cookies that reach the application."""

# Vue compiles the templates of NiceGUI in the browser, which requires eval; all content is from this server.
POLICY = ("default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
          "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; "
          "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
HEADERS = {
    'Content-Security-Policy': POLICY,
    'X-Frame-Options': 'DENY',
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'same-origin',  # with no-referrer, forms would be sent without an origin
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), microphone=(), geolocation=()',
}
WITH_CAMERA = {**HEADERS, 'Permissions-Policy': 'camera=(self), microphone=(), geolocation=()'}
"""If visitors may use their cameras."""


class Access:
    """The ASGI middleware.

    * The Host header must be an IP address or a name of this machine: another name that resolves to it (DNS rebinding)
      is rejected.
    * The origin of a request, if any, must be this server. WebSockets and all methods except GET and HEAD must have it.
    * With a `token`, requests need a cookie, which the browser receives for the token on the login page or from
      ``/?token=``.
    * A connection counts as admitted as long as its requests are; see `connections`.

    Args:
        app: the application.
        token: the access token; empty: everyone who reaches the page may use it.
        allowed_hosts: additional names for the Host header.
        max_body: maximum size of a request in bytes.
        port: part of the cookie name, to distinguish dashboards on the same machine.
        camera: whether the page may ask the browser for its camera.
        clock: seconds since 1970.
    """

    def __init__(self, app: ASGIApp, *, token: str = '', allowed_hosts: Iterable[str] = (), max_body: int = 1 << 20,
                 port: int = 0, camera: bool = False, clock: Callable[[], float] = time.time) -> None:
        self.app = app
        self._sessions = Sessions(token, clock) if token else None
        self._max_body = max_body
        self._headers = WITH_CAMERA if camera else HEADERS
        self._cookie = f'fer_dashboard_{port}'
        name = socket.gethostname().lower()
        self._names = {'localhost', name, f'{name}.local', *(host.lower() for host in allowed_hosts)}
        self._guesses = Guesses(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or reject it."""
        if scope['type'] == 'lifespan':
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        scope = self._with_own_cookies(scope, headers)
        connection = scope.get(CONNECTION)
        refusal = self._refusal(scope, headers)
        let_in = refusal is None and self._let_in(headers)
        if connection is not None:
            if not let_in:
                connection.exclude()
            elif not connection.admit(_address(scope)):
                let_in, refusal = False, PlainTextResponse(Refused.crowded, 503, {'Connection': 'close'})
        if scope['type'] == 'websocket':
            if not let_in:
                await receive()
                return await send({'type': 'websocket.close', 'code': 1008})
            return await self.app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message['type'] == 'http.response.start':
                answer = MutableHeaders(scope=message)
                for key, value in self._headers.items():
                    answer.setdefault(key, value)
            await send(message)

        response = refusal or await self._login(scope, headers, receive, let_in)
        if response is not None:
            return await response(scope, receive, send_with_headers)
        return await self.app(scope, Body(receive, self._max_body).receive, send_with_headers)

    def _with_own_cookies(self, scope: Scope, headers: Headers) -> Scope:
        kept = own_cookies('; '.join(headers.getlist('cookie')), COOKIES)
        others = [(name, value) for name, value in scope['headers'] if name != b'cookie']
        cookie = '; '.join(f'{name}={value}' for name, value in kept.items())
        return {**scope, 'headers': [*others, (b'cookie', cookie.encode('latin-1'))] if kept else others}

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host, origin = headers.get('host', ''), headers.get('origin')
        if len(scope.get('raw_path') or b'') + len(scope.get('query_string', b'')) > LONGEST_ADDRESS:
            return PlainTextResponse(Refused.address, 414)
        if not self._answers_to(host):
            return PlainTextResponse(Refused.host.format(host=wire.shown(host, 100)), 421)
        must_tell = scope['type'] == 'websocket' or scope['method'] not in ('GET', 'HEAD')
        if (must_tell and origin is None) or (origin is not None and _netloc(origin) != host.lower()):
            return PlainTextResponse(Refused.origin, 403)
        # Browsers fetch images and scripts for other pages without an origin.
        if headers.get('sec-fetch-site') in ('cross-site', 'same-site') and headers.get(
                'sec-fetch-mode') != 'navigate':
            return PlainTextResponse(Refused.origin, 403)
        if scope['type'] == 'http' and int(headers.get('content-length', 0) or 0) > self._max_body:
            return PlainTextResponse(Refused.body.format(megabytes=self._max_body >> 20), 413)
        return None

    def _answers_to(self, host: str) -> bool:
        try:
            name = urlsplit(f'//{host}').hostname or ''
        except ValueError:
            return False
        try:
            ipaddress.ip_address(name)
            return True
        except ValueError:
            return name in self._names

    # Token

    async def _login(self, scope: Scope, headers: Headers, receive: Receive, let_in: bool) -> Response | None:
        """The response to a request that is not authorised or concerns the token; None: the request is passed on."""
        if self._sessions is None:
            return None
        if scope['path'] == LOGIN_PATH and scope['method'] == 'POST':
            try:
                form = parse_qs((await _body(receive)).decode('utf-8', 'replace'))
            except (asyncio.TimeoutError, ValueError):  # too many fields
                return PlainTextResponse(Refused.slow, 408, {'Connection': 'close'})
            return await self._check(self._sessions, form.get('token', [''])[0], scope, let_in)
        if scope['path'] == '/' and scope['method'] == 'GET' and b'token=' in scope['query_string']:
            query = parse_qs(scope['query_string'].decode('latin-1'))
            return await self._check(self._sessions, query.get('token', [''])[0], scope, let_in)
        if let_in:
            return RedirectResponse('/', 303) if scope['path'] == LOGIN_PATH else None
        if 'text/html' in headers.get('accept', ''):
            return _login_page('', 401)
        return PlainTextResponse(Refused.token, 401)

    async def _check(self, sessions: Sessions, token: str, scope: Scope, let_in: bool) -> Response:
        address = _address(scope)
        wait = 0.0 if let_in else self._guesses.wait(address)
        if wait > 0:
            await asyncio.sleep(DELAY)
        if not sessions.opened_by(token):
            if not let_in:
                self._guesses.add(address)
            if wait > 0:
                seconds = round(wait) + 1
                response = _login_page(Login.too_many.format(seconds=seconds), 429)
                response.headers['Retry-After'] = str(seconds)
                return response
            return _login_page(Login.wrong, 401)
        # Not a redirect: a strict cookie would not be sent with it if another site linked here. No referrer, since the
        # address may contain the token.
        response = HTMLResponse('<!doctype html><html lang="en"><meta http-equiv="refresh" content="0; url=/">'
                                f'<title>{Page.title}</title><a href="/">{Login.opened}</a></html>',
                                headers={'Referrer-Policy': 'no-referrer', 'Cache-Control': 'no-store'})
        response.set_cookie(self._cookie, sessions.create(), max_age=SESSION, path='/', httponly=True,
                            samesite='strict', secure=scope.get('scheme') == 'https')
        return response

    def _let_in(self, headers: Headers) -> bool:
        if self._sessions is None:
            return True
        cookies = own_cookies('; '.join(headers.getlist('cookie')), (self._cookie,))
        return self._sessions.valid(cookies.get(self._cookie, ''))


def _address(scope: Scope) -> str:
    """Address of the client, as told by a trusted proxy."""
    return (scope.get('client') or ('',))[0]


def _netloc(origin: str) -> str:
    """Host and port of an origin; empty if it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ''


async def _body(receive: Receive) -> bytes:
    """What the login page sends, cut to `LOGIN_BODY`. Raises TimeoutError of asyncio."""
    async def whole() -> bytes:
        body = b''
        while True:
            message = await receive()
            body += message.get('body', b'')
            if not message.get('more_body') or len(body) > LOGIN_BODY:
                return body[:LOGIN_BODY]
    return await asyncio.wait_for(whole(), LOGIN_S)


def _login_page(problem: str, status: int) -> HTMLResponse:
    style = ('body{font:16px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center;'
             'color-scheme:light dark;background:Canvas;color:CanvasText}main{width:min(22rem,90vw)}'
             'input,button{font:inherit;width:100%;box-sizing:border-box;padding:.6rem;margin:.3rem 0}')
    alert = f'<p role="alert">{html.escape(problem)}</p>' if problem else ''
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><title>{Page.title}</title><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><link rel="icon" href="data:,"><style>{style}</style></head>'
        f'<body><main><h1>{Login.heading}</h1>{alert}<form method="post" action="{LOGIN_PATH}">'
        f'<label for="token">{Login.token}</label><input id="token" name="token" type="password" '
        f'autocomplete="current-password" required autofocus aria-describedby="hint"><p id="hint">{Login.hint}</p>'
        f'<button>{Login.submit}</button></form></main></body></html>', status, {'Cache-Control': 'no-store'})
