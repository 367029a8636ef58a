"""The tab Video: upload or choose a video, watch the progress, play it with its lines, download the results.

The page requests everything over HTTP. The owner of a video is identified by a cookie that is not accessible to
scripts: a secret of the browser, created at its first request.
"""

import logging
import math
import re
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

from nicegui import ui
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from fer_ros.drawing.session_report import Compared, comparison, report
from fer_ros.drawing.valence_plot import SILENCE
from fer_ros.media.file_names import without_errno
from fer_ros.media.rotation import ANGLES
from fer_ros.recordings.output_files import MIN_LIFE
from fer_ros.results import wire
from fer_ros.results.session_summary import Session, SessionError, summarise
from fer_ros.web.notes import Notes, NotesError, markers_csv
from fer_ros.web.server.settings import WebSettings
from fer_ros.web.texts import HiddenFaces, Video, VideoErrors, texts_of
from fer_ros.web.theme import CHART, palette
from fer_ros.web.video.jobs import Jobs, JobsError, Limits, View
from fer_ros.web.video.kept_sessions import KeptError, KeptSession, KeptSessions, now
from fer_ros.web.video.uploads import UploadError, receive

_log = logging.getLogger(__name__)

COOKIE = 'fer_video'
PLAYER = Path(__file__).with_name('player')
"""Folder of the JavaScript module with the parts of the player."""
_OWNER = re.compile(r'[\w-]{32}', re.ASCII)
_NUMBER = re.compile(r'\d{1,9}', re.ASCII)
NAME_LENGTH = 100
"""Maximum number of characters kept of the name of a video."""
# Images of people must not be stored in the cache of the browser.
_PRIVATE = {'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff'}
_PLAIN = {**_PRIVATE, 'Content-Encoding': 'identity'}
"""Headers of compressed data."""
RESULTS = {'csv': 'text/csv; charset=utf-8', 'png': 'image/png', 'mp4': 'video/mp4'}
ACCEPT = 'video/*,.mkv,.avi,.ts,.m2ts,.mts,.ogv,.flv,.wmv'
"""Filter of the file dialogue in the browser; the content decides what is accepted."""


class VideoPage:
    """The tab: one instance per program; `build` is called for each browser.

    Args:
        settings: settings of the page.
        limits: by default derived from `settings`.

    Raises:
        OSError: the temporary folder cannot be created.
    """

    def __init__(self, settings: WebSettings, limits: Limits | None = None) -> None:
        self._folder = settings.sessions
        self.limits = limits or Limits.of(settings)
        self.jobs = Jobs(self.limits)
        self.kept = KeptSessions(settings.sessions)

    def build(self) -> None:
        """Fill the tab, in a NiceGUI page."""
        _VideoView(self.limits, self._folder)

    def routes(self) -> list[BaseRoute]:
        """Routes for the requests of the tab, below /video/."""
        return [
            Route('/video/state', self._state),
            Route('/video/upload', self._upload, methods=['POST']),
            Route('/video/clip', self._clip, methods=['POST']),
            Route('/video/cancel', self._cancel, methods=['POST']),
            Route('/video/stop', self._stop, methods=['POST']),
            Route('/video/{job}/lines.json', self._lines),
            Route('/video/{job}/session.json', self._session),
            Route('/video/{job}/report.html', self._report),
            Route('/video/{job}/markers.csv', self._markers),
            Route('/video/{job}/mark', self._mark, methods=['POST']),
            Route('/video/{job}/unmark', self._unmark, methods=['POST']),
            Route('/video/{job}/name', self._name, methods=['POST']),
            Route('/video/{job}/keep', self._keep, methods=['POST']),
            Route('/video/kept.json', self._list_kept),
            Route('/video/kept.html', self._show_kept),
            Route('/video/forget', self._forget, methods=['POST']),
            Route('/video/{job}/{index:int}.jpg', self._picture),
            Route('/video/{job}/video.{suffix}', self._result),
        ]

    def close(self) -> None:
        """Stop the jobs and remove their files."""
        self.jobs.close()

    # Methods that are not coroutines run in a thread pool.

    async def _state(self, request: Request) -> Response:
        owner = _owner(request)
        view = self.jobs.view(owner)
        job = None
        if view:
            job = asdict(view) | {'left': None if math.isnan(view.left) else view.left}
        response = JSONResponse({'job': job}, headers=_PRIVATE)
        if not owner:
            response.set_cookie(COOKIE, secrets.token_urlsafe(24), path='/video', httponly=True, samesite='strict')
        return response

    async def _upload(self, request: Request) -> Response:
        owner = _owner(request)
        if not owner:
            return _error(VideoErrors.no_cookie, 403)
        rotate = _rotate(request)
        if rotate is None:
            return _error(VideoErrors.rotate, 400)
        try:
            announced = int(request.headers.get('content-length', 0))
            job_id, folder = self.jobs.begin(owner, request.query_params.get('name', '')[:NAME_LENGTH])
        except (JobsError, ValueError) as error:
            return _error(str(error), 409)
        try:
            path, kind = await receive(self._chunks(request, owner, job_id, announced), folder, self.limits.upload,
                                       announced)
        except UploadError as error:
            self.jobs.fail(job_id, str(error))
            return _error(str(error), error.status)
        except HTTPException as error:  # it arrives too slowly
            self.jobs.fail(job_id, error.detail)
            return _error(error.detail, error.status_code)
        except BaseException as error:
            self.jobs.drop(owner, job_id)
            if isinstance(error, ClientDisconnect):
                return Response(status_code=499)  # the client is gone
            raise
        self.jobs.submit(job_id, path.name, kind, rotate)
        return JSONResponse({}, headers=_PRIVATE)

    async def _chunks(self, request: Request, owner: str, job_id: str, announced: int) -> AsyncIterator[bytes]:
        received = 0
        async for chunk in request.stream():
            received += len(chunk)
            if not self.jobs.received(job_id, received / announced if announced else 0.0):
                raise UploadError(VideoErrors.cancelled, 409)
            if chunk:
                yield chunk

    async def _clip(self, request: Request) -> Response:
        owner = _owner(request)
        if not owner:
            return _error(VideoErrors.no_cookie, 403)
        rotate = _rotate(request)
        if rotate is None:
            return _error(VideoErrors.rotate, 400)
        try:
            job_id, _ = self.jobs.begin(owner, '')
        except JobsError as error:
            return _error(str(error), 409)
        self.jobs.submit(job_id, rotate=rotate)
        return JSONResponse({}, headers=_PRIVATE)

    def _cancel(self, request: Request) -> Response:
        # Only the job that the page shows: a tab may not know what was started in another.
        if job := request.query_params.get('job'):
            self.jobs.drop(_owner(request), job)
        return JSONResponse({}, headers=_PRIVATE)

    def _stop(self, request: Request) -> Response:
        self.jobs.stop(_owner(request), request.query_params.get('job', ''))
        return JSONResponse({}, headers=_PRIVATE)

    def _lines(self, request: Request) -> Response:
        playback = self.jobs.playback(_owner(request), request.path_params['job'])
        after = request.query_params.get('after', '0')
        if playback is None or not _NUMBER.fullmatch(after):
            return _nothing()
        try:
            return Response(playback.lines(int(after)), media_type='application/json', headers=_PRIVATE)
        except (IndexError, OSError):
            return _nothing()

    def _picture(self, request: Request) -> Response:
        playback = self.jobs.playback(_owner(request), request.path_params['job'])
        if playback is None:
            return _nothing()
        try:
            return Response(playback.picture(request.path_params['index']), media_type='image/jpeg', headers=_PLAIN)
        except (IndexError, OSError):  # missing, or dropped meanwhile
            return _nothing()

    def _read(self, request: Request) -> tuple[Session, dict[str, dict], Notes, View] | None:
        owner, job_id = _owner(request), request.path_params['job']
        playback, noted = self.jobs.playback(owner, job_id), self.jobs.notes(owner, job_id)
        if playback is None or noted is None:
            return None
        try:
            return (*playback.session(), *noted)
        except (OSError, ValueError) as error:
            _log.warning('the faces of a video cannot be read: %s', error)
            return None

    def _session(self, request: Request) -> Response:
        if (found := self._read(request)) is None:
            return _nothing()
        session, _, notes, view = found
        return JSONResponse({
            'name': _title(view), 'stopped': view.stopped, 'warning': view.message, 'names': dict(notes.names),
            'markers': [asdict(marker) for marker in notes.markers],
            **summarise(session, notes.names, MIN_LIFE)}, headers=_PRIVATE)

    def _report(self, request: Request) -> Response:
        if (found := self._read(request)) is None:
            return _nothing()
        session, styles, notes, view = found
        text = report(_title(view), session, summarise(session, notes.names, MIN_LIFE),
                      [(marker.time_s, marker.text) for marker in notes.markers], view.message, styles, notes.names)
        return Response(text, media_type='text/html; charset=utf-8', headers=_attachment(view.name, 'html'))

    def _keep(self, request: Request) -> Response:
        if (found := self._read(request)) is None:
            return _nothing()
        session, styles, notes, view = found
        try:
            self.kept.keep(_owner(request), KeptSession(wire.shown(_title(view)), now(), session, styles, notes,
                                                        view.message))
        except KeptError:
            return _error(VideoErrors.kept, 409)
        except OSError as error:
            return _error(VideoErrors.sessions_dir.format(problem=without_errno(error)), 507)
        return JSONResponse({}, headers=_PRIVATE)

    def _list_kept(self, request: Request) -> Response:
        return JSONResponse({'sessions': [
            {'id': name, 'title': one.title, 'when': one.when,
             'seconds': float(one.session.times[-1]) if len(one.session.times) else 0.0}
            for name, one in self.kept.of(_owner(request)).items()]}, headers=_PRIVATE)

    def _show_kept(self, request: Request) -> Response:
        """The report of one session, or the comparison of two."""
        kept = self.kept.of(_owner(request))
        asked = request.query_params.getlist('id')
        if not 1 <= len(asked) <= 2 or any(name not in kept for name in asked):
            return _nothing()
        found = [Compared(f'{one.title}, {one.when}', one.session, summarise(one.session, one.notes.names, MIN_LIFE),
                          one.styles, one.notes.names, [(marker.time_s, marker.text) for marker in one.notes.markers])
                 for one in (kept[name] for name in asked)]
        one = found[0]
        text = comparison(*found) if len(found) == 2 else report(
            one.title, one.session, one.summary, one.markers, kept[asked[0]].warning, one.styles, one.names)
        return Response(text, media_type='text/html; charset=utf-8', headers=_PRIVATE)

    def _forget(self, request: Request) -> Response:
        try:
            self.kept.forget(_owner(request), request.query_params.get('id', ''))
        except OSError as error:
            return _error(VideoErrors.sessions_dir.format(problem=without_errno(error)), 507)
        return JSONResponse({}, headers=_PRIVATE)

    def _markers(self, request: Request) -> Response:
        if (found := self._read(request)) is None:
            return _nothing()
        session, _, notes, view = found
        return Response(markers_csv(notes, session.times), media_type=RESULTS['csv'],
                        headers=_attachment(view.name, 'markers.csv'))

    def _mark(self, request: Request) -> Response:
        try:
            time_s = float(request.query_params['time'])
        except (KeyError, ValueError):
            time_s = math.nan
        if not 0 <= time_s <= self.limits.seconds:
            return _error(VideoErrors.moment, 400)
        return self._noted(request, lambda notes: notes.marked(time_s, request.query_params.get('text', '')))

    def _unmark(self, request: Request) -> Response:
        number = request.query_params.get('number', '')
        if not _NUMBER.fullmatch(number):
            return _nothing()
        return self._noted(request, lambda notes: notes.unmarked(int(number)))

    def _name(self, request: Request) -> Response:
        if (found := self._read(request)) is None:
            return _nothing()
        session, _, notes, _ = found
        face_id = request.query_params.get('face', '')
        if face_id not in session.faces:
            return _nothing()
        try:
            name = request.query_params.get('name', '')
            summarise(session, notes.named(face_id, name).names, MIN_LIFE)
        except NotesError:
            return _error(VideoErrors.notes, 409)
        except SessionError as error:
            return _error(f'{error}.', 409)
        return self._noted(request, lambda notes: notes.named(face_id, name))

    def _noted(self, request: Request, change: Callable[[Notes], Notes]) -> Response:
        try:
            noted = self.jobs.notes(_owner(request), request.path_params['job'], change)
        except NotesError:
            return _error(VideoErrors.notes, 409)
        return JSONResponse({}, headers=_PRIVATE) if noted else _nothing()

    def _result(self, request: Request) -> Response:
        suffix = request.path_params['suffix']
        result = self.jobs.result(_owner(request), request.path_params['job'], suffix) if suffix in RESULTS else None
        if result is None:
            return _nothing()
        path, name = result
        return FileResponse(path, media_type=RESULTS[suffix], headers=_attachment(name, suffix))


class _VideoView(ui.element, component='video_view.js', esm={'fer-chart': str(CHART), 'fer-player': str(PLAYER)}):
    """The content of the tab, which fetches its data."""

    def __init__(self, limits: Limits, folder: Path | None) -> None:
        super().__init__()
        texts = texts_of(Video)
        texts['hint'] = Video.hint.format(megabytes=limits.upload >> 20, minutes=limits.seconds / 60)
        texts['kept'] = Video.kept.format(minutes=round(limits.keep_s / 60), away=round(limits.away_s / 60))
        texts['sessions_hint'] = (Video.sessions_memory if folder is None
                                  else Video.sessions_folder.format(folder=folder))
        texts['hidden'] = getattr(HiddenFaces, limits.hide_faces)
        texts['too_large'] = VideoErrors.too_large.format(megabytes=limits.upload >> 20)
        self._props['texts'] = texts
        self._props['palette'] = palette()
        self._props['least'] = MIN_LIFE
        self._props['silence'] = SILENCE
        self._props['limit'] = limits.upload
        self._props['accept'] = ACCEPT
        self._props['angles'] = list(ANGLES)


def _owner(request: Request) -> str:
    """The secret of the browser; empty if it has none."""
    secret = request.cookies.get(COOKIE, '')
    return secret if _OWNER.fullmatch(secret) else ''


def _rotate(request: Request) -> int | None:
    """By how many degrees the video is to be turned; None if the request names another angle than those offered."""
    return {str(angle): angle for angle in ANGLES}.get(request.query_params.get('rotate', '0'))


def _attachment(name: str, suffix: str) -> dict[str, str]:
    return {**_PRIVATE, 'Content-Disposition': f"attachment; filename*=utf-8''{quote(_stem(name))}.{suffix}"}


def _title(view: View) -> str:
    return view.name or Video.clip_name


def _stem(name: str) -> str:
    """The stem of a file name for a download: the part between the last slash and the last dot, if not empty."""
    stem = re.split(r'[/\\]', name)[-1].rpartition('.')[0] or name
    return re.sub(r'[^\w. -]', '_', stem).strip('. ') or 'faces'


def _error(text: str, status: int) -> Response:
    return JSONResponse({'error': text}, status, headers=_PRIVATE)


def _nothing() -> Response:
    # The same response for missing files and for those of other owners.
    return _error(VideoErrors.nothing, 404)
