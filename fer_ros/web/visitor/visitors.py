"""The visitors who use their own camera: each has a process, and nobody else sees what it finds.

A visitor is known by a secret that the page receives when the camera is started and keeps in its memory. Images are
passed to the process and forgotten. The place is free again when the visitor stops, sends nothing for a while, or is
not seen by the own camera for longer.
"""

import json
import logging
import math
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from fer_ros.web.confined.child import Child
from fer_ros.web.confined.private_folder import PrivateFolder
from fer_ros.web.server.settings import WebSettings
from fer_ros.web.texts import VisitorErrors
from fer_ros.web.visitor.visitor_process import LENGTH, Settings

_log = logging.getLogger(__name__)

TICK = 0.5
"""Seconds between two looks for visitors who have left."""
_ANSWER = 4 << 20
"""Maximum bytes of an answer of a process."""


@dataclass(frozen=True)
class VisitLimits:
    """Limits of visitors and their images."""

    visitors: int = 2
    """Maximum number at a time."""
    rate: float = 10.0
    """Images per second that the page sends at most; twice as many are refused."""
    size: int = 400_000
    """Maximum bytes of an image."""
    side: int = 640
    """Width or height in pixels to which the page scales images down."""
    pixels: int = 1280 * 1280
    """Maximum number of pixels of an image."""
    memory: int = 3 << 30
    """Maximum bytes of memory of a process; it takes about 0.5 GB."""
    niceness: int = 5
    """Niceness of the processes: the robot takes precedence."""
    loading_s: float = 120.0
    """Maximum seconds until a process is ready."""
    image_s: float = 20.0
    """Maximum seconds for an image."""
    away_s: float = 10.0
    """Seconds without an image after which a visitor has left."""
    alone_s: float = 120.0
    """Seconds without a face after which the place is given to others."""
    hide_faces: str = 'none'
    """How faces are hidden in images that are sent back: none, blur or cover."""

    @classmethod
    def of(cls, settings: WebSettings) -> 'VisitLimits':
        """Those of the settings of the page."""
        return cls(hide_faces=settings.hide_faces)


class VisitError(Exception):
    """The message is for the visitor; `status` is that of the HTTP response."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Visitors:
    """All visitors. Any thread may call; `analyse` waits for the process of the visitor, and for nobody else.

    Args:
        limits: of visitors and images.
        parent: parent of the temporary folder, which stays empty.
        clock: seconds, monotonic.

    Raises:
        OSError: the temporary folder cannot be created.
    """

    def __init__(self, limits: VisitLimits, parent: Path | None = None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self.limits, self._clock = limits, clock
        self._folder = PrivateFolder(parent)
        self._lock = threading.Lock()
        self._visits: dict[str, _Visit] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name='visitors', daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Number of visitors."""
        return len(self._visits)

    def admit(self) -> str:
        """Start a process for another visitor; returns the secret of the visit.

        Raises:
            VisitError: there are as many visitors as can be.
        """
        with self._lock:
            if len(self._visits) >= self.limits.visitors or self._closed.is_set():
                raise VisitError(VisitorErrors.full.format(count=self.limits.visitors), 503)
            secret = secrets.token_urlsafe(24)
            self._visits[secret] = _Visit(self.limits, self._folder.path, self._clock)
            return secret

    def analyse(self, secret: str, jpeg: bytes) -> dict:
        """What the process of this visitor finds in an image: ``line`` and ``picture``, as of `visitor_process`.

        Raises:
            VisitError: there is no such visit any more, the image is refused, or comes before the last one is answered
                or too soon after it.
        """
        visit = self._visits.get(secret)
        if visit is None:
            raise VisitError(VisitorErrors.gone, 404)
        try:
            return visit.analyse(jpeg)
        except _Ended as ended:
            self.leave(secret)
            raise VisitError(str(ended), 410) from ended

    def leave(self, secret: str) -> None:
        """End the visit, if there is one, and its process."""
        with self._lock:
            visit = self._visits.pop(secret, None)
        if visit is not None:
            visit.end()

    def _watch(self) -> None:
        while not self._closed.wait(TICK):
            for secret, visit in list(self._visits.items()):
                if visit.idle:
                    self.leave(secret)

    def close(self) -> None:
        """End all visits."""
        self._closed.set()
        self._thread.join()
        for secret in list(self._visits):
            self.leave(secret)
        self._folder.close()


class _Ended(Exception):
    """The process has ended; the message is for the visitor."""


class _Visit:
    def __init__(self, limits: VisitLimits, folder: Path, clock: Callable[[], float]) -> None:
        self._limits, self._clock = limits, clock
        self._child = Child('fer_ros.web.visitor.visitor_process', json.dumps(asdict(Settings(
            str(folder), limits.memory, limits.niceness, limits.size, limits.pixels, limits.hide_faces))), folder,
            line=_ANSWER)
        self._one = threading.Lock()
        """Held while an image is analysed."""
        self._ready = self._over = False
        self._began = -math.inf
        """When the last image came that was analysed."""
        self._came = self._seen = clock()
        """When the visitor was last there, and when the last face was seen."""

    @property
    def idle(self) -> bool:
        """Whether the visitor has left, or is not seen."""
        now = self._clock()
        if self._one.locked():  # its image is being analysed
            return False
        return now - self._came > self._limits.away_s or now - self._seen > self._limits.alone_s

    def analyse(self, jpeg: bytes) -> dict:
        if not self._one.acquire(blocking=False):
            raise VisitError(VisitorErrors.too_fast, 429)
        try:
            now = self._clock()
            if now - self._began < 0.5 / self._limits.rate:
                raise VisitError(VisitorErrors.too_fast, 429)
            if self._over:
                raise _Ended(VisitorErrors.gone)
            self._began = self._came = now
            if len(jpeg) > self._limits.size:
                raise VisitError(VisitorErrors.too_large, 413)
            if not self._ready:
                self._load()
            self._child.send(LENGTH.pack(len(jpeg)) + jpeg)
            answer = self._answer(self._limits.image_s)
            self._came = self._clock()
            if 'refused' in answer:
                raise VisitError(getattr(VisitorErrors, answer['refused']), 400)
            if answer['line']['faces']:
                self._seen = self._came
            return answer
        finally:
            self._one.release()

    def _load(self) -> None:
        answer = self._answer(self._limits.loading_s)
        if 'refused' in answer:
            raise _Ended(getattr(VisitorErrors, answer['refused']))
        if not answer['confined']:
            _log.warning('this kernel has no Landlock: the process that analyses the camera of a visitor is not '
                         'confined')
        self._ready, self._seen = True, self._clock()

    def _answer(self, patience: float) -> dict:
        """The next answer of the process. Raises _Ended."""
        end = time.monotonic() + patience
        while (left := end - time.monotonic()) > 0:
            events = self._child.events(left)
            if events is None:
                break
            if events:
                return events[0]
        if not self._over:
            self._child.kill()
            _log.warning('the process for the camera of a visitor ended or did not answer in %.0f s', patience)
        raise _Ended(VisitorErrors.gone if self._over else VisitorErrors.died)

    def end(self) -> None:
        self._over = True
        self._child.kill()
        with self._one:  # whoever waits for it learns that it has ended
            self._child.close()
            self._child.forget()
