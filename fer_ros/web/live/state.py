"""The state shown by the live page, shared between the thread of ROS and that of the page.

All buffers are bounded and only the newest image is kept, so neither side waits for the other.
"""

import math
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from fer_ros.drawing.annotate import annotate
from fer_ros.drawing.colours import FaceColours
from fer_ros.drawing.hidden_faces import FaceHider
from fer_ros.drawing.valence_plot import longest_step
from fer_ros.media.image_decoding import ConversionError
from fer_ros.results.faces import FacesFrame
from fer_ros.results.health import Health
from fer_ros.results.history import FaceSeries, FacesHistory, Outcome, breaks
from fer_ros.results.session_summary import Session
from fer_ros.web.live.hints import FaceHints
from fer_ros.web.live.recorder import LiveRecorder
from fer_ros.web.notes import Notes
from fer_ros.web.texts import Connection
from fer_ros.web.theme import face_style

MAX_SAMPLES = 100_000
"""Maximum number of samples kept for the lines, under 10 MB."""
PERIOD = 2.0
"""Seconds over which rate and latency are averaged."""
NO_IMAGE = 3.0
"""Seconds without a result after which the page reports it."""
FRESH = 3.5
"""Seconds for which a diagnostics message is valid; there is one per second."""
FACES_LATE = 0.3
"""Seconds that the faces of an image may be later than the image; afterwards it is not shown where faces are hidden."""
SESSION = 3600.0
"""Seconds that are summarised at most."""
SESSION_STEP = 0.1
"""Minimum seconds between two frames of the summary: it is about time, and needs no more."""
UNDO = 60.0
"""Seconds for which cleared lines can be shown again."""
LATEST = 60.0
"""Seconds by which a marker may be after the last frame, which is where it is set then."""
WANTED = 5.0
"""Seconds for which images are subscribed to after the last request: a slow browser requests rarely."""


@dataclass(frozen=True)
class Picture:
    """The newest annotated image."""

    number: int
    stamp_ns: int
    """Stamp of the image in nanoseconds."""
    image: Callable[[], np.ndarray]
    """Decodes it to uint8 (H, W, 3) BGR; called in the thread of the page, only if there are viewers."""


class LiveState:
    """The shared state: methods that report something are called by ROS, the others by the page.

    Args:
        seconds: length of the time axis.
        faces_topic: name of the topic for messages.
        recorder: is handed all results and images, with faces hidden.
        clock: seconds, monotonic.
        hide_faces: how faces are hidden in images: none, blur or cover.
    """

    def __init__(self, seconds: float, faces_topic: str, recorder: LiveRecorder,
                 clock: Callable[[], float] = time.monotonic, hide_faces: str = 'none') -> None:
        self.seconds = seconds
        self._hider = None if hide_faces == 'none' else FaceHider(hide_faces)
        self._drawn = FaceColours()
        """Of the boxes that are drawn again over hidden faces; by one thread at a time."""
        self._drawing = threading.Lock()
        self.recorder = recorder
        self.on_picture: Callable[[], None] = lambda: None
        """Called by ROS for every new image; must return at once."""
        self._faces_topic = faces_topic
        self._clock = clock
        self._lock = threading.Lock()
        self._history = FacesHistory(seconds, MAX_SAMPLES)
        self._colours = FaceColours()
        self._styles: dict[str, dict] = {}
        self._epoch = self._newest = self._base_ns = 0
        self._cleared, self._cleared_at = 0, -math.inf
        """Number of frames whose points are hidden, and when that was asked for."""
        self._cleared_s = 0.0
        """Time from which markers are shown, in seconds."""
        self._session, self._cleared_session = _session_history(), _session_history()
        """The frames that are summarised, and those before the lines were cleared."""
        self._notes = Notes()
        """Markers, with their times on the time line."""
        self._hints = FaceHints()
        self._arrivals: deque[tuple[float, float | None]] = deque(maxlen=1000)
        self._start = clock()
        self._last_arrival: float | None = None
        self._health, self._health_at = Health(), -math.inf
        self._publishers = self._left_out = 0
        self._pictures = 0
        self._picture: Picture | None = None
        self._wanted_at = -math.inf

    # From ROS

    def frame(self, frame: FacesFrame, latency: float | None) -> Outcome:
        """Report a result.

        Args:
            frame: the faces.
            latency: seconds since the stamp of the image; None if it has none.
        """
        now = self._clock()
        self.recorder.add(frame)
        if self._hider is not None:
            self._hider.add(frame)
        with self._lock:
            outcome = self._history.add(frame)
            if outcome == 'late':
                return outcome
            if outcome == 'restarted' or self._newest == 0:
                self._begin(frame.stamp_ns)
            self._newest += 1
            last = self._session.last
            if last is None or not 0 <= frame.stamp_ns - last.stamp_ns < SESSION_STEP * 1e9:
                self._session.add(frame)
            self._hints.add(frame)
            self._arrivals.append((now, latency))
            self._last_arrival = now
            self._styles |= {i: face_style(colour)
                             for i, colour in self._colours(face.face_id for face in frame.faces).items()}
        return outcome

    def _begin(self, stamp_ns: int) -> None:
        self._epoch += 1
        self._newest, self._base_ns = 0, stamp_ns
        self._cleared, self._cleared_at = 0, -math.inf
        self._styles.clear()
        self._session, self._cleared_session, self._notes = _session_history(), _session_history(), Notes()
        self._cleared_s = 0.0

    def picture(self, stamp_ns: int, image: Callable[[], np.ndarray]) -> None:
        """Report an image; the previous one is discarded."""
        self._pictures += 1
        shown = image if self._hider is None else partial(self._hidden, self._hider, stamp_ns, image)
        self._picture = Picture(self._pictures, stamp_ns, shown)
        self.recorder.picture(stamp_ns, shown)
        self.on_picture()

    def _hidden(self, hider: FaceHider, stamp_ns: int, image: Callable[[], np.ndarray]) -> np.ndarray:
        """The image without faces, but with their boxes. Raises ConversionError if its faces do not become known."""
        end = time.monotonic() + FACES_LATE
        while (last := hider.last) is None or last.stamp_ns < stamp_ns:
            if time.monotonic() > end:
                raise ConversionError('the faces of the image are not known, so they cannot be hidden')
            time.sleep(0.01)
        shown = image().copy()
        hider.hide(shown)
        with self._drawing:
            return annotate(shown, last, self._drawn)

    def health(self, health: Health) -> None:
        """Report the diagnostics of the node `fer`."""
        with self._lock:
            self._health, self._health_at = health, self._clock()

    def left_out(self, count: int) -> None:
        """Report how many values of a message, or 1 message, were left out because they do not follow the schema."""
        with self._lock:
            self._left_out += count

    def publishers(self, count: int) -> None:
        """Report the number of publishers on the topic of faces."""
        self._publishers = count

    @property
    def pictures_wanted(self) -> bool:
        """Whether there are viewers, or a recording with video runs."""
        return self.recorder.wants_pictures or self._clock() - self._wanted_at < WANTED

    # From the page

    def want_pictures(self) -> None:
        """Record that a viewer requests images now."""
        self._wanted_at = self._clock()

    @property
    def newest_picture(self) -> Picture | None:
        """The newest image; None before the first, and after a time without viewers."""
        return self._picture

    def forget_picture(self) -> None:
        """Discard the newest image, since there are no viewers any more."""
        self._picture = None

    def clear(self) -> None:
        """Hide the lines drawn so far; `restore` shows them again for a while."""
        with self._lock:
            self._cleared, self._cleared_at = self._newest, self._clock()
            self._cleared_session, self._session = self._session, _session_history()
            last = self._history.last
            self._cleared_s = (last.stamp_ns - self._base_ns) * 1e-9 if last else 0.0
            self._epoch += 1

    def restore(self) -> bool:
        """Show the lines again that were cleared; False if that was too long ago, or there is a new time line."""
        with self._lock:
            if self._clock() - self._cleared_at > UNDO:
                return False
            self._cleared, self._cleared_at = 0, -math.inf
            self._session, self._cleared_session = self._cleared_session, _session_history()
            self._cleared_s = 0.0
            self._epoch += 1
            return True

    def mark(self, epoch: int, time_s: float, text: str) -> None:
        """Set a marker at a moment of the time line `epoch`, in seconds, here and in the recording that runs.

        Raises:
            ValueError: there is no such moment.
            NotesError: there are too many markers.
        """
        with self._lock:
            last = self._history.last
            end = (last.stamp_ns - self._base_ns) * 1e-9 if last else 0.0
            if last is None or epoch != self._epoch or not 0 <= time_s <= end + LATEST:
                raise ValueError(f'{time_s} s')
            before = self._notes
            self._notes = before.marked(min(time_s, end), text)
            marker, = set(self._notes.markers) - set(before.markers)
            self.recorder.mark(marker.number, self._base_ns + round(marker.time_s * 1e9), marker.text)

    def unmark(self, number: int) -> None:
        """Remove a marker, if there is one."""
        with self._lock:
            self._notes = self._notes.unmarked(number)
            self.recorder.unmark(number)

    def session(self) -> Session:
        """The frames since the beginning, or since the lines were cleared, of the last `SESSION` seconds."""
        with self._lock:  # nothing is added between the parts
            return Session.of_history(self._session)

    @property
    def image_topic(self) -> str:
        """The topic that `fer` subscribes to; empty if unknown."""
        return self._now_of_health().image_topic

    @property
    def image_publishers(self) -> int:
        """Number of publishers on that topic according to `fer`."""
        return self._now_of_health().publishers

    def update(self, epoch: int = 0, after: int = 0) -> dict:
        """The changes since the frame `after` of the time line `epoch`, ready for JSON.

        ``lines`` contains, for each face with new samples, its ``id``, style, and ``points``: [seconds, valence, raw
        valence], or null where the line has a gap. A new ``epoch`` means that all earlier points are obsolete.
        ``cleared`` says whether lines were cleared that `restore` can show again.
        """
        now = self._clock()
        with self._lock:
            after = max(after if epoch == self._epoch else 0, self._cleared)
            cleared = now - self._cleared_at <= UNDO
            series, last = self._history.series(), self._history.last
            stamps = self._history.stamps()
            newest, base, styles = self._newest, self._base_ns, dict(self._styles)
            arrivals = [latency for at, latency in self._arrivals if at > now - PERIOD]
            last_arrival = self._last_arrival
            silent = last_arrival is None or now - last_arrival >= NO_IMAGE
            epoch, left_out = self._epoch, self._left_out
            health = self._now_of_health()
            markers = [asdict(marker) for marker in self._notes.markers if marker.time_s >= self._cleared_s]
            hints = [] if silent else self._hints.now(health.image_problems)
        # FacesHistory numbers frames from 0.
        gap_ns = longest_step(stamps)
        lines = [{'id': s.face_id, **styles[s.face_id], 'points': points} for s in series
                 if (points := _points(s, after, base, gap_ns))]
        present = None if silent else last
        time_line = (last.stamp_ns - base) * 1e-9 + (now - last_arrival) if last and last_arrival is not None else 0.0
        latencies = [latency for latency in arrivals if latency is not None]
        return {
            'epoch': epoch, 'frame': newest, 'now': round(time_line, 3), 'lines': lines,
            'faces': [_face(face, styles.get(face.face_id)) for face in present.faces] if present else [],
            'primary': present.primary if present else None,
            'size': [last.width, last.height] if last else None,
            'hints': hints,
            'markers': markers,
            'status': {
                **self._connection(now, last_arrival, health),
                'rate': round(len(arrivals) / min(PERIOD, max(now - self._start, 0.1)), 1),
                'latency': round(1000 * statistics.median(latencies)) if latencies else None,
                'dropped': health.dropped,
                'device': health.device,
                'runtime': health.runtime,
                'model': health.model,
                'warning': health.message if health.level else '',
                'calibrated': health.calibrated,
                'left_out': left_out,
            },
            'recording': self.recorder.state(),
            'cleared': cleared,
        }

    def _now_of_health(self) -> Health:
        return self._health if self._clock() - self._health_at < FRESH else Health()

    def _connection(self, now: float, last_arrival: float | None, health: Health) -> dict:
        """``level`` (ok, warn or error), ``text`` and ``detail``."""
        silence = now - (self._start if last_arrival is None else last_arrival)
        if self._publishers == 0:
            return {'level': 'error', 'text': Connection.no_node.format(topic=self._faces_topic), 'detail': ''}
        if health.state != 'active':
            return {'level': 'error', 'text': Connection.inactive.format(state=health.state), 'detail': health.message}
        if silence >= NO_IMAGE:
            topic, count = health.image_topic, health.publishers
            if not topic:
                template = Connection.silence
            elif last_arrival is None:
                template = Connection.no_image_1 if count == 1 else Connection.no_image
            else:
                template = Connection.lost_1 if count == 1 else Connection.lost
            return {'level': 'error', 'text': template.format(seconds=int(silence), topic=topic, count=count),
                    'detail': health.message}
        if last_arrival is None:
            return {'level': 'warn', 'text': Connection.waiting, 'detail': ''}
        if health.image_problems and health.message == '; '.join(health.image_problems):  # the hints tell it
            return {'level': 'warn', 'text': Connection.hinted, 'detail': ''}
        if health.level:
            return {'level': 'warn', 'text': Connection.trouble, 'detail': health.message}
        return {'level': 'ok', 'text': Connection.good, 'detail': ''}


def _session_history() -> FacesHistory:
    return FacesHistory(SESSION, MAX_SAMPLES)


def _points(series: FaceSeries, after: int, base_ns: int, gap_ns: int) -> list:
    """[seconds, valence, raw valence] of the samples from frame number `after` on, with null at gaps."""
    start = int(np.searchsorted(series.samples['frame'], after))
    known = series.samples[max(start - 1, 0):]  # with the previous one, if any
    gaps = set((breaks(known, gap_ns) - (1 if start else 0)).tolist())
    new = series.samples[start:]
    seconds = np.round((new['stamp_ns'] - base_ns) * 1e-9, 3)
    values = np.round(np.stack([new['valence'], new['raw_valence']]).astype(float), 4)
    points: list[list[float] | None] = []
    for index, point in enumerate(np.column_stack([seconds, *values]).tolist()):
        if index in gaps:
            points.append(None)
        points.append(point)
    return points


def _face(face, style: dict | None) -> dict:
    return {'id': face.face_id, **(style or {}), 'box': [round(v, 1) for v in face.box], 'emotion': face.emotion,
            'confidence': round(face.confidence, 3), 'valence': round(face.valence, 3),
            'raw': round(face.raw_valence, 3), 'quality': round(face.quality, 2),
            'probabilities': [round(p, 3) for p in face.probabilities]}
