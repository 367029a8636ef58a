"""The tab Live."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Literal, Protocol

from nicegui import json, ui
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from fer_ros.recordings.output_files import MIN_LIFE
from fer_ros.results.session_summary import summarise
from fer_ros.web.live.jpeg_stream import JpegStream
from fer_ros.web.live.recording_files import MARKERS, VIDEO
from fer_ros.web.live.state import LiveState
from fer_ros.web.live.webcam import Webcam
from fer_ros.web.notes import NotesError
from fer_ros.web.server.settings import WebSettings
from fer_ros.web.texts import HiddenFaces, Live, VideoErrors, texts_of
from fer_ros.web.theme import CHART, palette

ANSWER = 10.0
"""Seconds that the node `fer` has to respond; a calibration takes two."""
DISCOVERY_PERIOD = 0.2
"""Seconds between two checks whether the service is available."""
FRESH = {'Cache-Control': 'no-store'}


class LiveSource(Protocol):
    """The state shown by the tab, and the actions that it offers."""

    state: LiveState
    webcam: Webcam

    def calibrate(self) -> Future[tuple[bool, str]]:
        """Take the present expression of the primary face as neutral; whether it succeeded, and a message."""

    def reset_calibration(self) -> Future[tuple[bool, str]]:
        """Discard all baselines; whether it succeeded, and a message."""


class LivePage:
    """The tab: one instance per program; `build` is called for each browser.

    Args:
        settings: settings of the page.
        live: what is shown.
        busy: whether a video is being analysed, so that there are fewer images.
    """

    def __init__(self, settings: WebSettings, live: LiveSource, busy: Callable[[], bool]) -> None:
        self._settings, self._live, self._state = settings, live, live.state
        self._frames = JpegStream(live.state, rate=settings.image_rate, width=settings.image_width,
                                  quality=settings.image_quality, busy=busy)

    def build(self) -> None:
        """Fill the tab, in a NiceGUI page."""
        view = _LiveView(self._settings)
        recorder, webcam = self._state.recorder, self._live.webcam
        view.on('record', lambda event: _or_why(recorder.start(event.args is True)))
        view.on('stop', recorder.stop)
        view.on('delete', lambda event: recorder.files.delete(str(event.args)))
        view.on('undelete', lambda: _or_too_late(recorder.files.restore()))
        view.on('clear', self._state.clear)
        view.on('unclear', lambda: _or_too_late(self._state.restore()))
        view.on('mark', lambda event: self._mark(event.args))
        view.on('unmark', lambda event: self._state.unmark(int(event.args)))
        view.on('calibrate', lambda: self._ask(self._live.calibrate, Live.calibrating))
        view.on('reset', lambda: self._ask(self._live.reset_calibration, kind='info'))
        view.on('webcam', lambda event: self._start_webcam(str(event.args)))
        view.on('webcamstop', lambda: asyncio.to_thread(webcam.stop))

    async def _ask(self, service: Callable[[], Future[tuple[bool, str]]], while_waiting: str = '',
                   kind: Literal['positive', 'info'] = 'positive') -> None:
        if while_waiting:
            ui.notify(while_waiting, timeout=2500)
        try:
            success, message = await asyncio.wait_for(_answer(service), ANSWER)
        except asyncio.TimeoutError:
            success, message = False, Live.no_service
        ui.notify(message, type=kind if success else 'negative', timeout=8000, close_button='OK')

    def _mark(self, asked: dict) -> None:
        try:
            self._state.mark(int(asked['epoch']), float(asked['time']), str(asked['text']))
        except NotesError:
            ui.notify(VideoErrors.notes, type='negative', timeout=8000, close_button='OK')
        except (KeyError, TypeError, ValueError):
            ui.notify(Live.marker_moment, type='negative')

    def _start_webcam(self, device: str) -> None:
        if self._state.image_publishers:
            ui.notify(Live.webcam_busy.format(topic=self._state.image_topic), type='negative', timeout=8000)
        else:
            self._live.webcam.start(device)

    def routes(self) -> list[BaseRoute]:
        """Routes for the requests of the tab. It sends the next request after it has shown the last response."""
        return [Route('/live/state', self._update), Route('/live/frame', self._frame),
                Route('/live/session.json', self._session),
                Route('/live/recordings/{name}/{kind}', self._recording)]

    async def _update(self, request: Request) -> Response:
        update = self._state.update(_number(request, 'epoch'), _number(request, 'after'))
        update['webcam'] = self._live.webcam.state()
        return Response(json.dumps(update), media_type='application/json', headers=FRESH)

    def _session(self, request: Request) -> Response:
        """The summary; runs in a thread pool."""
        return Response(json.dumps(summarise(self._state.session(), least=MIN_LIFE)), media_type='application/json',
                        headers=FRESH)

    async def _frame(self, request: Request) -> Response:
        jpeg = await self._frames.after(_number(request, 'after'))
        if jpeg is None:
            return Response(status_code=204, headers=FRESH)
        return Response(jpeg.data, media_type='image/jpeg', headers={
            **FRESH, 'X-Number': str(jpeg.number), 'X-Stamp': str(jpeg.stamp_ns)})

    async def _recording(self, request: Request) -> Response:
        name, kind = request.path_params['name'], request.path_params['kind']
        path = self._state.recorder.files.file(name, kind)
        if path is None:
            return Response('there is no such recording', 404)
        what = 'markers' if kind == MARKERS else 'faces'
        return FileResponse(path, media_type='video/mp4' if kind == VIDEO else 'text/csv; charset=utf-8', headers={
            **FRESH, 'Content-Disposition': f'attachment; filename="{what}_{name}{path.suffix}"'})

    def close(self) -> None:
        """Stop everything at the end of the program."""
        self._frames.close()
        self._live.webcam.stop()
        self._state.recorder.close()


class _LiveView(ui.element, component='live_view.js', esm={'fer-chart': str(CHART)}):
    """The content of the tab, which fetches its data."""

    def __init__(self, settings: WebSettings) -> None:
        super().__init__()
        self._props['texts'] = texts_of(Live)
        self._props['texts']['hidden'] = getattr(HiddenFaces, settings.hide_faces)
        self._props['texts']['recording_shared'] = Live.recording_shared.format(folder=settings.recordings)
        self._props['palette'] = palette()
        self._props['seconds'] = settings.seconds


def _or_too_late(restored: bool) -> None:
    if not restored:
        ui.notify(Live.too_late, type='negative')


def _or_why(problem: str) -> None:
    if problem:
        ui.notify(problem, type='negative', timeout=8000, close_button='OK')


async def _answer(service: Callable[[], Future[tuple[bool, str]]]) -> tuple[bool, str]:
    """The response of the service; a missing one may not have been discovered yet."""
    while True:
        try:
            return await asyncio.wrap_future(service())
        except LookupError:
            await asyncio.sleep(DISCOVERY_PERIOD)


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, '')
    return int(text) if text.isdecimal() and len(text) < 16 else 0
