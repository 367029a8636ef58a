"""The part of the tab Live with the camera of the visitor."""

from nicegui import ui
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from fer_ros.drawing.valence_plot import SILENCE
from fer_ros.web.server.settings import WebSettings
from fer_ros.web.texts import HiddenFaces, Visitor, VisitorErrors, texts_of
from fer_ros.web.theme import CHART, palette
from fer_ros.web.video.page import PLAYER
from fer_ros.web.visitor.visitors import VisitError, VisitLimits, Visitors

SECRET = 'X-Visitor'
"""Header with the secret of a visit."""
_PRIVATE = {'Cache-Control': 'no-store'}


class VisitorPage:
    """One instance per program, if the parameter visitor_camera is true; `build` is called for each browser.

    Args:
        settings: settings of the page.
        limits: by default derived from `settings`.

    Raises:
        OSError: the temporary folder cannot be created.
    """

    def __init__(self, settings: WebSettings, limits: VisitLimits | None = None) -> None:
        self._seconds = settings.seconds
        self.visitors = Visitors(limits or VisitLimits.of(settings))

    def build(self) -> None:
        """Add it to a NiceGUI page."""
        _VisitorView(self._seconds, self.visitors.limits)

    def routes(self) -> list[BaseRoute]:
        """Routes for the requests of this part, below /visitor/."""
        return [Route('/visitor/start', self._start, methods=['POST']),
                Route('/visitor/frame', self._frame, methods=['POST']),
                Route('/visitor/stop', self._stop, methods=['POST'])]

    # Methods that are not coroutines run in a thread pool.

    def _start(self, request: Request) -> Response:
        try:
            return JSONResponse({'secret': self.visitors.admit()}, headers=_PRIVATE)
        except VisitError as error:
            return _error(error)

    async def _frame(self, request: Request) -> Response:
        """Faces of an image. The page sends the next one when it has shown the last one."""
        try:
            jpeg = await self._content(request)
            answer = await run_in_threadpool(self.visitors.analyse, request.headers.get(SECRET, ''), jpeg)
        except VisitError as error:
            return _error(error)
        except ClientDisconnect:
            return Response(status_code=499)
        return JSONResponse(answer, headers=_PRIVATE)

    async def _content(self, request: Request) -> bytes:
        """The content, not more of it than an image may have. Raises VisitError, ClientDisconnect."""
        most, content = self.visitors.limits.size, bytearray()
        announced = request.headers.get('content-length', '0')
        too_large = VisitError(VisitorErrors.too_large, 413)
        if not announced.isdecimal() or int(announced) > most:
            raise too_large
        async for chunk in request.stream():
            content += chunk
            if len(content) > most:
                raise too_large
        return bytes(content)

    def _stop(self, request: Request) -> Response:
        self.visitors.leave(request.headers.get(SECRET, ''))
        return JSONResponse({}, headers=_PRIVATE)

    def close(self) -> None:
        """End all visits at the end of the program."""
        self.visitors.close()


class _VisitorView(ui.element, component='visitor_view.js', esm={'fer-chart': str(CHART), 'fer-player': str(PLAYER)}):
    """The content of this part, which asks the browser for the camera."""

    def __init__(self, seconds: float, limits: VisitLimits) -> None:
        super().__init__()
        self._props['texts'] = texts_of(Visitor)
        self._props['texts']['hidden'] = getattr(HiddenFaces, limits.hide_faces)
        self._props['palette'] = palette()
        self._props['seconds'] = seconds
        self._props['silence'] = SILENCE
        self._props['rate'] = limits.rate
        self._props['side'] = limits.side
        self._props['patience'] = round(1000 * (limits.loading_s + limits.image_s))


def _error(error: VisitError) -> Response:
    return JSONResponse({'error': str(error)}, error.status, headers=_PRIVATE)
