"""The application of the page and its server."""

import socket
from contextlib import closing
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from nicegui import core, ui

from fer_ros.web.live.page import LivePage, LiveSource
from fer_ros.web.server.access import Access
from fer_ros.web.server.connections import ConnectionLimits, Connections, HttpConnection, SocketConnection
from fer_ros.web.server.logs import throttle
from fer_ros.web.server.settings import SettingsError, WebSettings
from fer_ros.web.texts import Page
from fer_ros.web.theme import COLOURS, STYLE
from fer_ros.web.video.page import VideoPage
from fer_ros.web.visitor.page import VisitorPage

VIDEO_TAB = 'video'
"""Value of ``tab`` in the address of the page with the tab Video open."""
GRACE = 2
"""Seconds that responses have to complete when the program exits."""
RECONNECT = 30.0
"""Seconds for which a browser may be away until its page is forgotten. It then loads again, and a pause, what was being
written and what was unfolded are lost, which a browser or a server that stands still for a moment must not cost."""


class _Server(uvicorn.Server):
    """Ends in its own time however often it is told: Ctrl-C comes from the terminal and from ros2 launch."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            super().handle_exit(sig, frame)


class Server:
    """Listens from its creation on, and serves in `run`.

    NiceGUI keeps its state in the module, so there can be only one server per process.

    Raises:
        SettingsError: it cannot listen on this host and port.
    """

    def __init__(self, settings: WebSettings, live: LiveSource) -> None:
        self._settings = settings
        throttle()
        self._socket = _listen(settings.host, settings.port)
        self.port = self._socket.getsockname()[1]
        self._video = VideoPage(settings)
        self._live = LivePage(settings, live, lambda: self._video.jobs.working)
        self._visitor = VisitorPage(settings) if settings.visitor_camera else None
        application = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        application.router.routes += [*self._live.routes(), *self._video.routes()]
        if self._visitor is not None:
            application.router.routes += self._visitor.routes()
        ui.page('/', title=Page.title, language='en-US')(self._build)
        core.app.config.quasar_config['loadingBar']['skipHijack'] = True  # it would show uploads, without a name
        # Without storage_secret NiceGUI sets no cookie and writes no file.
        ui.run_with(application, dark=None, tailwind=False, show_welcome_message=False, favicon=None,
                    reconnect_timeout=RECONNECT)
        guarded = Access(application, token=settings.access_token, allowed_hosts=settings.allowed_hosts.split(),
                         max_body=(settings.upload_megabytes + 1) << 20, port=self.port,
                         camera=settings.visitor_camera)
        connections = Connections(ConnectionLimits(), settings.is_proxy)
        http: Any = partial(HttpConnection, guard=connections)  # uvicorn calls it as it does its own classes
        websocket: Any = partial(SocketConnection, guard=connections)
        proxies = settings.trusted_proxies.split()
        self._server = _Server(uvicorn.Config(
            guarded, log_level='warning', access_log=False, server_header=False,
            proxy_headers=bool(proxies), forwarded_allow_ips=proxies, http=http, ws=websocket, ws_max_size=1 << 20,
            loop='asyncio',  # uvloop raises errors for data that is pending for disconnected browsers
            timeout_graceful_shutdown=GRACE))

    @property
    def url(self) -> str:
        """Address of the page."""
        host = self._settings.host
        host = {'0.0.0.0': socket.gethostname(), '::': socket.gethostname()}.get(host, host)
        return f'http://{f"[{host}]" if ":" in host else host}:{self.port}'

    def run(self) -> None:
        """Serve until `stop` or a signal; must run in the main thread."""
        with closing(self._socket):
            try:
                self._server.run(sockets=[self._socket])
            finally:
                self._live.close()
                self._video.close()
                if self._visitor is not None:
                    self._visitor.close()

    def stop(self) -> None:
        """End `run`; may be called from any thread."""
        self._server.should_exit = True

    def _build(self, tab: str = '') -> None:
        """Fill the page; ``?tab=video`` opens that tab, so that loading the page again comes back to it."""
        ui.add_css(STYLE)
        ui.colors(**COLOURS)
        with ui.header().classes('fer-header'):
            ui.link(Page.skip, '#content').classes('fer-skip')
            with ui.element('h1').classes('fer-unseen'):
                ui.label(Page.title)
            with ui.tabs().props('dense inline-label') as tabs:
                live, video = ui.tab(Page.live), ui.tab(Page.video)
            tabs.on('update:model-value', js_handler=f"""(name) => history.replaceState(
                null, "", name === {Page.video!r} ? "?tab={VIDEO_TAB}" : location.pathname)""")
            ui.space()
            _theme_button()
        shown = video if tab == VIDEO_TAB else live
        with ui.tab_panels(tabs, value=shown, animated=False).classes('fer-panels').props('id=content'):
            # Quasar wraps each in a tab panel of its own.
            with ui.tab_panel(live).props('role=presentation'):
                if self._visitor is not None:
                    self._visitor.build()
                self._live.build()
            with ui.tab_panel(video).props('role=presentation'):
                self._video.build()


def _theme_button() -> None:
    button = ui.button(icon='contrast').props(f'flat round dense color=inherit aria-label="{Page.theme}"')
    button.on('click', js_handler='() => setDark(!Quasar.Dark.isActive)')


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family)
        # Accepted connections inherit it; asyncio sets it only on sockets that name their protocol. Without it the
        # content of each response waits until the client acknowledges the headers, 40 ms.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise SettingsError(f'cannot listen on host {host}, port {port}: {error.strerror or error}; choose others '
                            'with the parameters host and port') from error
