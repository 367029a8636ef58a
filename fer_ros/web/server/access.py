"""Access control of the page: host name, origin and token are checked, and everything else is rejected.

It is an ASGI middleware around the whole application, so that no route can be missed.
"""

import hashlib
import hmac
import html
import ipaddress
import secrets
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fer_ros.web.texts import Login, Page, Refused

SESSION = 12 * 3600
"""Lifetime of a session cookie in seconds."""
ATTEMPTS = 5
"""Number of wrong tokens from one address within `PERIOD` after which it has to wait."""
ALL_ATTEMPTS = 50
"""The same for all addresses together."""
PERIOD = 60.0
"""Seconds."""
LOGIN_PATH = '/login'
LOGIN_BODY = 4096
"""Bytes."""

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


class Access:
    """The ASGI middleware.

    * The Host header must be an IP address or a name of this machine: another name that resolves to it (DNS rebinding)
      is rejected.
    * The origin of a request, if any, must be this server. WebSockets and all methods except GET and HEAD must have it.
    * With a `token`, requests need a cookie, which the browser receives for the token on the login page or from
      ``/?token=``.

    Args:
        app: the application.
        token: the access token; empty: everyone who reaches the page may use it.
        allowed_hosts: additional names for the Host header.
        max_body: maximum size of a request in bytes.
        port: part of the cookie name, to distinguish dashboards on the same machine.
        clock: seconds since 1970.
    """

    def __init__(self, app: ASGIApp, *, token: str = '', allowed_hosts: Iterable[str] = (), max_body: int = 1 << 20,
                 port: int = 0, clock: Callable[[], float] = time.time) -> None:
        self.app = app
        self._token = token
        self._max_body = max_body
        self._clock = clock
        self._cookie = f'fer_dashboard_{port}'
        name = socket.gethostname().lower()
        self._names = {'localhost', name, f'{name}.local', *(host.lower() for host in allowed_hosts)}
        self._failures = Failures(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or reject it."""
        if scope['type'] == 'lifespan':
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        if scope['type'] == 'websocket':
            if self._refusal(scope, headers) or not self._let_in(headers):
                await receive()
                return await send({'type': 'websocket.close', 'code': 1008})
            return await self.app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message['type'] == 'http.response.start':
                answer = MutableHeaders(scope=message)
                for key, value in HEADERS.items():
                    answer.setdefault(key, value)
            await send(message)

        response = self._refusal(scope, headers) or await self._login(scope, headers, receive)
        if response is not None:
            return await response(scope, receive, send_with_headers)
        return await self.app(scope, self._bounded(receive), send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host, origin = headers.get('host', ''), headers.get('origin')
        if not self._answers_to(host):
            return PlainTextResponse(Refused.host.format(host=host), 421)
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

    def _bounded(self, receive: Receive) -> Receive:
        """Limit bodies without a Content-Length."""
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get('body', b''))
            return message if received <= self._max_body else {'type': 'http.disconnect'}
        return bounded

    # Token

    async def _login(self, scope: Scope, headers: Headers, receive: Receive) -> Response | None:
        """The response to a request that is not authorised or concerns the token; None: the request is passed on."""
        if not self._token:
            return None
        address = (scope.get('client') or ('',))[0]
        if scope['path'] == LOGIN_PATH and scope['method'] == 'POST':
            form = parse_qs((await _body(receive)).decode('utf-8', 'replace'))
            return self._check(form.get('token', [''])[0], address)
        if scope['path'] == '/' and scope['method'] == 'GET' and b'token=' in scope['query_string']:
            query = parse_qs(scope['query_string'].decode('latin-1'))
            return self._check(query.get('token', [''])[0], address)
        if self._let_in(headers):
            return RedirectResponse('/', 303) if scope['path'] == LOGIN_PATH else None
        if 'text/html' in headers.get('accept', ''):
            return _login_page('', 401)
        return PlainTextResponse(Refused.token, 401)

    def _check(self, token: str, address: str) -> Response:
        wait = self._failures.wait(address)
        if wait > 0:
            response = _login_page(Login.too_many.format(seconds=round(wait) + 1), 429)
            response.headers['Retry-After'] = str(round(wait) + 1)
            return response
        if not _same(token, self._token):
            self._failures.add(address)
            return _login_page(Login.wrong, 401)
        # Not a redirect: a strict cookie would not be sent with it if another site linked here.
        response = HTMLResponse('<!doctype html><meta http-equiv="refresh" content="0; url=/">'
                                f'<title>{Page.title}</title><a href="/">{Login.opened}</a>')
        response.set_cookie(self._cookie, self._session(), max_age=SESSION, path='/', httponly=True, samesite='strict')
        response.headers['Cache-Control'] = 'no-store'
        return response

    def _session(self) -> str:
        """A random session with its expiry, signed with the token: valid after a restart, but not with a new token."""
        content = f'{secrets.token_hex(16)}.{int(self._clock()) + SESSION}'
        return f'{content}.{self._signature(content)}'

    def _signature(self, content: str) -> str:
        return hmac.new(self._token.encode(), f'fer_ros dashboard {content}'.encode(), hashlib.sha256).hexdigest()

    def _let_in(self, headers: Headers) -> bool:
        if not self._token:
            return True
        try:
            morsel = SimpleCookie(headers.get('cookie', '')).get(self._cookie)
        except CookieError:
            return False
        content, _, signature = (morsel.value if morsel else '').rpartition('.')
        if not _same(signature, self._signature(content)):
            return False
        return int(content.rpartition('.')[2]) > self._clock()


class Failures:
    """Counts the wrong tokens of the last minute by address.

    Args:
        clock: seconds.
    """

    _REMEMBERED = 1000

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_address: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque(maxlen=ALL_ATTEMPTS)

    def add(self, address: str) -> None:
        """Record a wrong token from `address`."""
        now = self._clock()
        self._all.append(now)
        self._by_address.setdefault(address, deque(maxlen=ATTEMPTS)).append(now)
        self._by_address.move_to_end(address)
        while len(self._by_address) > self._REMEMBERED:
            self._by_address.popitem(last=False)

    def wait(self, address: str) -> float:
        """Seconds until `address` may try again; 0 if it may now."""
        now, own = self._clock(), self._by_address.get(address, deque())
        return max([0.0, *(times[0] + PERIOD - now for times, most in ((own, ATTEMPTS), (self._all, ALL_ATTEMPTS))
                           if len(times) == most)])


def _same(a: str, b: str) -> bool:
    return hmac.compare_digest(a.encode(), b.encode())


def _netloc(origin: str) -> str:
    return urlsplit(origin).netloc.lower()


async def _body(receive: Receive) -> bytes:
    body = b''
    while True:
        message = await receive()
        body += message.get('body', b'')
        if not message.get('more_body') or len(body) > LOGIN_BODY:
            return body[:LOGIN_BODY]


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
