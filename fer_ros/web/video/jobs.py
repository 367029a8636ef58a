"""Analyses videos of browsers one after the other, each in a separate process.

While a browser shows the choice of a video, a process is kept ready that has loaded libraries and model. It takes one
job and ends with it, so that no video meets what another has left behind.

A job belongs to an owner, identified by a secret of the browser, and each owner has at most one. Its folder with upload
and results exists as long as the job: until the owner drops it, has been away for a while, or it expires.
"""

import json
import logging
import math
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from fer_ros.web.confined.child import Child
from fer_ros.web.confined.private_folder import PrivateFolder
from fer_ros.web.notes import Notes
from fer_ros.web.server.settings import WebSettings
from fer_ros.web.texts import VideoErrors
from fer_ros.web.video.job_process import NAME, RESULTS, STOP_LINE, Bounds, Order, order_line
from fer_ros.web.video.playback import Playback

_log = logging.getLogger(__name__)

State = Literal['uploading', 'waiting', 'starting', 'running', 'done', 'failed']
ENDED = ('done', 'failed')
TICK = 0.2
"""Seconds between two checks of a process."""
CHOOSING = 130.0
"""Seconds for which a process is kept ready after a browser last asked for its job; hidden pages ask once a minute."""
LOADING = 120.0
"""Maximum seconds until a process is ready."""
AGAIN = 60.0
"""Seconds until another process is made ready after one that has failed."""
STOPPING = 30.0
"""Maximum seconds from `Jobs.stop` until the results are complete."""
_MESSAGES = 100
"""Number of failed jobs whose message is kept."""

@dataclass(frozen=True)
class Limits:
    """Limits of uploads and jobs; `of` derives those that depend on the settings of the page."""

    count: int
    """Maximum number of jobs in any state, over all owners."""
    upload: int
    """Maximum size of a file in bytes."""
    seconds: float
    """Maximum duration of a video in seconds."""
    frames: int
    """Maximum number of frames of a video."""
    wall_s: float
    """Maximum run time of a job in seconds."""
    cpu_s: float
    """Maximum processor time in seconds."""
    pixels: int = 4096 * 2304
    """Maximum number of pixels of a frame."""
    memory: int = 3 << 30
    """Maximum memory in bytes; 4K video takes 0.7 GB."""
    file_size: int = 2 << 30
    """Maximum size in bytes of a file written by a job."""
    niceness: int = 5
    """Niceness of the processes: the live view takes precedence."""
    clip_width: int = 640
    clip_rate: float = 30.0
    """Frame rate of the built-in clip."""
    away_s: float = 600.0
    """Seconds without an open page of the owner after which the job is dropped."""
    keep_s: float = 3600.0
    """Seconds for which results are kept."""
    ready: bool = True
    """Whether a process is kept ready."""
    hide_faces: str = 'none'
    """How faces are hidden in images: none, blur or cover."""

    @classmethod
    def of(cls, settings: WebSettings) -> 'Limits':
        """A job may take ten times as long as the longest video."""
        working = 10 * settings.upload_seconds + 60
        return cls(count=settings.upload_count, upload=settings.upload_megabytes << 20, seconds=settings.upload_seconds,
                   frames=int(60 * settings.upload_seconds), wall_s=working, cpu_s=working,
                   ready=settings.upload_ready, hide_faces=settings.hide_faces)


@dataclass(frozen=True)
class View:
    """The state of a job."""

    id: str
    """Random id, used in addresses."""
    name: str
    """Name of the video given by the user, for display only."""
    state: State
    frames: int = 0
    """Number of frames processed."""
    share: float = 0.0
    """Fraction done, 0 to 1; of an upload, fraction received."""
    left: float = math.nan
    """Estimated seconds until it is done; NaN if unknown."""
    seconds: float = 0.0
    """Duration of the video in seconds; until it is done as its container says, 0 if unknown."""
    stopped: bool = False
    """Whether the analysis was stopped before the end of the video."""
    message: str = ''
    """Reason of the failure, or a warning about the video."""


class JobsError(Exception):
    """No job can be started; the message is for the user."""


@dataclass
class _Job:
    owner: str
    folder: Path
    view: View
    seen: float
    video: str = ''
    container: str = ''
    rotate: int = 0
    ended: float = math.inf
    process: '_Process | None' = None
    playback: Playback | None = None
    dropped: bool = False
    notes: Notes = field(default_factory=Notes)
    stopped: float = math.inf
    """When the analysis was stopped."""


class Jobs:
    """The jobs of all owners. Any thread may call, and no method waits for a job.

    Args:
        limits: limits of uploads and jobs.
        parent: parent of the temporary folder.

    Raises:
        OSError: the temporary folder cannot be created.
    """

    def __init__(self, limits: Limits, parent: Path | None = None) -> None:
        self.limits = limits
        self._folder = PrivateFolder(parent)
        self._jobs: dict[str, _Job] = {}
        """Jobs by owner, in the order in which they were started."""
        self._changed = threading.Condition()
        self._closed = False
        self._chosen = -math.inf
        """When a browser last showed the choice of a video."""
        self._working = False
        self._ready: _Process | None = None
        """A process without a job."""
        self._not_before = -math.inf
        """When the next process may be made ready."""
        self._thread = threading.Thread(target=self._work, name='video jobs', daemon=True)
        self._thread.start()

    def begin(self, owner: str, name: str) -> tuple[str, Path]:
        """Start a job for a video; it replaces a failed job of this owner, but no results: those are dropped by id.

        Returns:
            Id of the job, and its folder for the upload.

        Raises:
            JobsError: the owner has an unfinished job or results, or the maximum number is reached.
        """
        with self._changed:
            if owner in self._jobs and self._jobs[owner].view.state != 'failed':
                done = self._jobs[owner].view.state == 'done'
                raise JobsError(VideoErrors.results if done else VideoErrors.busy)
            self._drop(owner)
            places = sum(job.view.state != 'failed' for job in self._jobs.values())
            if places >= self.limits.count or self._closed:
                raise JobsError(VideoErrors.full.format(count=self.limits.count))
            folder = self._folder.path / secrets.token_hex(16)
            folder.mkdir(mode=0o700)
            job = _Job(owner, folder, View(secrets.token_urlsafe(24), name, 'uploading'), time.monotonic())
            self._jobs[owner] = job
            return job.view.id, folder

    def submit(self, job_id: str, video: str = '', container: str = '', rotate: int = 0) -> None:
        """Queue the upload of a job, or without one the built-in clip, for analysis; a dropped job is ignored.

        Args:
            job_id: id of the job.
            video: name of a file in the folder of the job.
            container: its container, from `uploads.container`.
            rotate: degrees clockwise by which frames are turned, one of `fer_ros.media.rotation.ANGLES`.
        """
        with self._changed:
            job = self._find(job_id)
            if job is not None:
                job.video, job.container, job.rotate = video, container, rotate
                job.view = replace(job.view, state='waiting', share=0.0)
                self._changed.notify()

    def fail(self, job_id: str, message: str) -> None:
        """Report that the upload failed."""
        with self._changed:
            job = self._find(job_id)
            if job is not None:
                self._end(job, replace(job.view, state='failed', message=message))

    def received(self, job_id: str, share: float) -> bool:
        """Report the received fraction of the upload, 0 to 1; returns false if the job was dropped meanwhile."""
        with self._changed:
            job = self._find(job_id)
            if job is not None:
                job.view = replace(job.view, share=share)
                job.seen = time.monotonic()
            return job is not None

    def view(self, owner: str) -> View | None:
        """The job of the owner; also records that the owner is present."""
        with self._changed:
            job = self._jobs.get(owner)
            if job is None or job.view.state in ('uploading', 'failed'):
                self._chosen = time.monotonic()
                if self._ready is None:
                    self._changed.notify()
            if job is None:
                return None
            job.seen = time.monotonic()
            return job.view

    def stop(self, owner: str, job_id: str) -> None:
        """Stop the analysis of this job and keep what has been analysed; without effect before the first frame."""
        with self._changed:
            job = self._jobs.get(owner)
            if job and job.view.id == job_id and job.view.frames and job.process and job.stopped == math.inf:
                job.process.stop()
                job.stopped = time.monotonic()

    def drop(self, owner: str, job_id: str = '') -> None:
        """End the job of the owner in any state and remove its files; with an id only if it is that job."""
        with self._changed:
            if not job_id or (owner in self._jobs and self._jobs[owner].view.id == job_id):
                self._drop(owner)

    def playback(self, owner: str, job_id: str) -> Playback | None:
        """The playback of the job of the owner, which grows until it is done; None if there is none."""
        job = self._of(owner, job_id)
        return job.playback if job else None

    def result(self, owner: str, job_id: str, suffix: str) -> tuple[Path, str] | None:
        """Path of a result ('csv', 'png' or 'mp4') and name of the video; None unless the job is done."""
        job = self._of(owner, job_id)
        done = job is not None and job.view.state == 'done'
        return (job.folder / RESULTS / f'{NAME}.{suffix}', job.view.name) if job and done else None

    def notes(self, owner: str, job_id: str, change: Callable[[Notes], Notes] = lambda notes: notes
              ) -> tuple[Notes, View] | None:
        """The notes about the video of this job, after a change, and its state; None if there is none."""
        with self._changed:
            job = self._of(owner, job_id)
            if job is None:
                return None
            job.notes = change(job.notes)
            return job.notes, job.view

    @property
    def working(self) -> bool:
        """Whether a video is being analysed."""
        return self._working

    def close(self) -> None:
        """End all jobs and remove all files."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        self._folder.close()

    # With the lock held

    def _find(self, job_id: str) -> _Job | None:
        return next((job for job in self._jobs.values() if secrets.compare_digest(job.view.id, job_id)), None)

    def _drop(self, owner: str) -> None:
        job = self._jobs.pop(owner, None)
        if job is not None:
            job.dropped = True
            if job.process:
                job.process.kill()  # the monitoring thread removes the folder
            else:
                shutil.rmtree(job.folder, ignore_errors=True)

    def _end(self, job: _Job, view: View) -> None:
        job.view = replace(view, left=math.nan)
        job.ended = time.monotonic()
        if job.process is None and view.state == 'failed':
            shutil.rmtree(job.folder, ignore_errors=True)

    # Of other threads

    def _of(self, owner: str, job_id: str) -> _Job | None:
        with self._changed:
            job = self._jobs.get(owner)
            if job is None or not secrets.compare_digest(job.view.id.encode(), job_id.encode()):
                return None
            job.seen = time.monotonic()
            return job

    # In the thread

    def _work(self) -> None:
        running: _Job | None = None
        while True:
            with self._changed:
                self._expire()
                if self._closed:
                    for owner in list(self._jobs):
                        self._drop(owner)
                if running is None:
                    running = next((job for job in self._jobs.values() if job.view.state == 'waiting'), None)
                    if running is None and self._closed:
                        break
                    if running is not None:
                        running.view = replace(running.view, state='starting')
            self._working = running is not None
            if running is None:
                self._keep_ready()
                with self._changed:
                    if not self._closed and not any(job.view.state == 'waiting' for job in self._jobs.values()):
                        self._changed.wait(1.0)
                continue
            if running.process is None:
                running.process = self._start(running)
            if not self._look(running, running.process):
                running = None
        if self._ready is not None:
            self._ready.end()

    def _keep_ready(self) -> None:
        """Start or end the process without a job."""
        now = time.monotonic()
        if self._ready is not None and not self._ready.lives():
            _log.warning('the process for the next video ended: %s; %s', self._ready.why(), self._ready.last_words())
            self._ready = None
            self._not_before = now + AGAIN
        wanted = self.limits.ready and now - self._chosen < CHOOSING
        if self._ready is not None and not wanted:
            self._ready.end()
            self._ready = None
        elif self._ready is None and wanted and now >= self._not_before:
            self._ready = _Process(self.limits, self._folder.path)

    def _expire(self) -> None:
        now = time.monotonic()
        failed = [owner for owner, job in self._jobs.items() if job.view.state == 'failed']
        for owner in failed[:-_MESSAGES]:
            self._drop(owner)
        for owner, job in list(self._jobs.items()):
            if now - job.seen > self.limits.away_s or now - job.ended > self.limits.keep_s:
                self._drop(owner)

    def _start(self, job: _Job) -> '_Process':
        limits = self.limits
        order = Order(folder=str(job.folder), video=job.video, container=job.container, rotate=job.rotate,
                      seconds=limits.seconds, frames=limits.frames, pixels=limits.pixels, cpu_s=limits.cpu_s,
                      clip_width=limits.clip_width, clip_rate=limits.clip_rate, hide_faces=limits.hide_faces)
        if self._ready is not None and not self._ready.lives():
            self._ready = None
        process, self._ready = self._ready or _Process(limits, self._folder.path), None
        process.begin(order, limits.wall_s)
        with self._changed:
            job.process = process
            job.playback = Playback(job.folder)
            if job.dropped:
                process.kill()
        return process

    def _look(self, job: _Job, process: '_Process') -> bool:
        """Handle the events of the process of a job; false if it has ended."""
        events = process.events(TICK)
        if events is not None:
            with self._changed:
                if not job.dropped:
                    for event in events:
                        job.view = process.advance(job.view, event)
                    if time.monotonic() - job.stopped > STOPPING:
                        process.kill()
            return True
        process.close()
        with self._changed:
            job.process = None
            if job.dropped:
                shutil.rmtree(job.folder, ignore_errors=True)
            elif process.done:
                (job.folder / job.video if job.video else job.folder / 'clip.mp4').unlink(missing_ok=True)
                self._end(job, replace(job.view, state='done', message=str(process.done['warning']), share=1.0,
                                       frames=int(process.done['frames']), seconds=float(process.done['seconds']),
                                       stopped=bool(process.done['stopped'])))
            else:
                _log.warning('the analysis of a video failed: %s; %s', process.why(), process.last_words())
                self._end(job, replace(job.view, state='failed', message=process.why()))
        return False


class _Process:
    """A process for one job, as seen by the program.

    Args:
        limits: limits of the job.
        folder: folder for its standard error, without a name.
    """

    def __init__(self, limits: Limits, folder: Path) -> None:
        self._bounds = Bounds(limits.memory, limits.file_size, limits.niceness)
        self._cpu_s, self._wall_s = limits.cpu_s, LOADING
        self._start = time.monotonic()
        self._first: tuple[float, float] | None = None
        """Time and fraction of the first progress event."""
        self._failure = ''
        self.done: dict | None = None
        """Content of the final event."""
        self._child = Child('fer_ros.web.video.job_process', json.dumps(asdict(self._bounds)), folder)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._child.pid

    def begin(self, order: Order, wall_s: float) -> None:
        """Give it its only order, with the maximum run time from now on in seconds."""
        self._start, self._wall_s = time.monotonic(), wall_s
        self._child.send(order_line(order))

    def stop(self) -> None:
        """Ask it to complete its results with what it has analysed."""
        self._child.send(STOP_LINE)

    def lives(self) -> bool:
        """Whether it goes on, before it has an order; closed otherwise."""
        events = self.events(0.0)
        if events is None:
            self.close()
            return False
        for event in events:
            if 'ready' in event:
                self._wall_s = math.inf  # it waits
            else:
                self.advance(View('', '', 'starting'), event)
        return True

    def end(self) -> None:
        """End it at once."""
        self.kill()
        self.close()
        self._child.forget()

    def kill(self) -> None:
        self._child.kill()

    def events(self, timeout: float) -> list[dict] | None:
        """New events, after at most `timeout` seconds; None if it has ended."""
        if time.monotonic() - self._start > self._wall_s:
            self._fail('time', seconds=self._wall_s)
        elif self._child.memory() > self._bounds.memory:
            self._fail('memory', megabytes=self._bounds.memory >> 20)
        return self._child.events(timeout)

    def advance(self, view: View, event: dict) -> View:
        """The view after `event`."""
        if 'begun' in event:
            if not event['confined']:
                _log.warning('this kernel has no Landlock: the process that analyses videos is not confined to its '
                             'folder')
            return replace(view, state='running', seconds=float(event['begun']))
        if 'progress' in event:
            frames, share = event['progress']
            now = time.monotonic()
            self._first = self._first or (now, share)
            start, before = self._first
            left = (now - start) * (1 - share) / (share - before) if share > before else math.nan
            return replace(view, frames=frames, share=share, left=left)
        if 'done' in event:
            self.done = event['done']
        elif 'failed' in event and not self._failure:
            self._failure = getattr(VideoErrors, event['failed']).format(**event['values'])
        return view

    def why(self) -> str:
        """Reason why it ended without success."""
        if not self._failure and self._child.returncode == -signal.SIGXCPU:
            return VideoErrors.time.format(seconds=self._cpu_s)
        return self._failure or VideoErrors.died

    def last_words(self) -> str:
        """The end of its standard error in one line, for the log."""
        return self._child.last_words()

    def _fail(self, reason: str, **values: float) -> None:
        self._failure = self._failure or getattr(VideoErrors, reason).format(**values)
        self.kill()

    def close(self) -> None:
        """Wait for its end."""
        self._child.close()
