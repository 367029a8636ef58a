"""What the live page shows: handed over between the thread of ROS and that of the page.

Everything is bounded, and of pictures only the newest is kept, so neither side ever waits for the other.
"""

import math
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from fer_ros import diagnostic_keys
from fer_ros.drawing.colours import FaceColours
from fer_ros.drawing.valence_plot import longest_step
from fer_ros.results.faces import FacesFrame
from fer_ros.results.history import FaceSeries, FacesHistory, Outcome, breaks
from fer_ros.web.live.csv_recorder import CsvRecorder
from fer_ros.web.texts import Connection
from fer_ros.web.theme import face_style

MAX_SAMPLES = 100_000
"""Faces kept for the lines, under 10 MB."""
PERIOD = 2.0
"""Seconds over which rate and latency are taken."""
NO_IMAGE = 3.0
"""Seconds without a result after which the page says so."""
FRESH = 3.5
"""Seconds that a diagnostics message, one per second, speaks of the present."""
WANTED = 5.0
"""Seconds that pictures are received after the last request for one: a slow browser asks rarely."""


@dataclass(frozen=True)
class Health:
    """What the node `fer` said of itself, and who publishes."""

    level: int = 0
    """As in diagnostic_msgs/DiagnosticStatus: 0 OK, 1 WARN, 2 ERROR, 3 STALE."""
    message: str = ''
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """The newest annotated picture."""

    number: int
    stamp_ns: int
    """Of the image, in ns."""
    image: Callable[[], np.ndarray]
    """Makes it: uint8 (H, W, 3) BGR. Called in the page's thread, only when someone looks."""


class LiveState:
    """See the module. Methods that tell of something are called by ROS, the others by the page.

    Args:
        seconds: of the time axis.
        faces_topic: for messages to people.
        max_recording: bytes.
        clock: seconds, monotonic.
    """

    def __init__(self, seconds: float, faces_topic: str, max_recording: int,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.recorder = CsvRecorder(max_recording, clock)
        self.on_picture: Callable[[], None] = lambda: None
        """Called by ROS for every new picture; must return at once."""
        self._faces_topic = faces_topic
        self._clock = clock
        self._lock = threading.Lock()
        self._history = FacesHistory(seconds, MAX_SAMPLES)
        self._colours = FaceColours()
        self._styles: dict[str, dict] = {}
        self._epoch = self._newest = self._base_ns = 0
        self._arrivals: deque[tuple[float, float | None]] = deque(maxlen=1000)
        self._start = clock()
        self._last_arrival: float | None = None
        self._health, self._health_at = Health(), -math.inf
        self._publishers = 0
        self._pictures = 0
        self._picture: Picture | None = None
        self._wanted_at = -math.inf

    # From ROS

    def frame(self, frame: FacesFrame, latency: float | None) -> Outcome:
        """A result came.

        Args:
            latency: seconds from the image's stamp to now; None where it had none.
        """
        now = self._clock()
        self.recorder.add(frame)
        with self._lock:
            outcome = self._history.add(frame)
            if outcome == 'late':
                return outcome
            if outcome == 'restarted' or self._newest == 0:
                self._begin(frame.stamp_ns)
            self._newest += 1
            self._arrivals.append((now, latency))
            self._last_arrival = now
            self._styles |= {i: face_style(colour)
                             for i, colour in self._colours(face.face_id for face in frame.faces).items()}
        return outcome

    def _begin(self, stamp_ns: int) -> None:
        self._epoch += 1
        self._newest, self._base_ns = 0, stamp_ns
        self._styles.clear()

    def picture(self, stamp_ns: int, image: Callable[[], np.ndarray]) -> None:
        """A picture came; the one before is forgotten."""
        self._pictures += 1
        self._picture = Picture(self._pictures, stamp_ns, image)
        self.on_picture()

    def health(self, health: Health) -> None:
        """The node `fer` told of its health."""
        with self._lock:
            self._health, self._health_at = health, self._clock()

    def publishers(self, count: int) -> None:
        """So many publish on the topic of faces."""
        self._publishers = count

    @property
    def pictures_wanted(self) -> bool:
        """Whether anyone looks."""
        return self._clock() - self._wanted_at < WANTED

    # From the page

    def want_pictures(self) -> None:
        """Someone looks, now."""
        self._wanted_at = self._clock()

    @property
    def newest_picture(self) -> Picture | None:
        """The newest; None before the first, and after a time in which nobody looked."""
        return self._picture

    def forget_picture(self) -> None:
        """Nobody looks any more: what was seen last is not kept."""
        self._picture = None

    def clear(self) -> None:
        """Forget the lines."""
        with self._lock:
            self._history = FacesHistory(self.seconds, MAX_SAMPLES)
            self._arrivals.clear()
            self._begin(0)

    @property
    def image_topic(self) -> str:
        """What `fer` listens to; empty when it did not say."""
        return self._now_of_health().values.get(diagnostic_keys.IMAGE_TOPIC, '')

    @property
    def image_publishers(self) -> int:
        """How many publish there, as far as `fer` said."""
        return int(self._now_of_health().values.get(diagnostic_keys.PUBLISHERS, 0) or 0)

    def update(self, epoch: int = 0, after: int = 0) -> dict:
        """What is new since the frame `after` of the time line `epoch`, ready for JSON.

        ``lines`` holds of each face with new samples its ``id``, style, and ``points``: [seconds, valence, raw
        valence], or null where the line has a gap. A new ``epoch`` says that all points before belong to the past.
        """
        now = self._clock()
        with self._lock:
            after = after if epoch == self._epoch else 0
            series, last = self._history.series(), self._history.last
            stamps = self._history.stamps()
            newest, base, styles = self._newest, self._base_ns, dict(self._styles)
            arrivals = [latency for at, latency in self._arrivals if at > now - PERIOD]
            last_arrival = self._last_arrival
            epoch = self._epoch
        # FacesHistory numbers frames from 0 on.
        gap_ns = longest_step(stamps)
        lines = [{'id': s.face_id, **styles[s.face_id], 'points': points} for s in series
                 if (points := _points(s, after, base, gap_ns))]
        present = last is not None and last_arrival is not None and now - last_arrival < NO_IMAGE
        time_line = (last.stamp_ns - base) * 1e-9 + (now - last_arrival) if last and last_arrival is not None else 0.0
        latencies = [latency for latency in arrivals if latency is not None]
        health = self._now_of_health()
        return {
            'epoch': epoch, 'frame': newest, 'now': round(time_line, 3), 'lines': lines,
            'faces': [_face(face, styles.get(face.face_id)) for face in last.faces] if present else [],
            'primary': last.primary if present else None,
            'size': [last.width, last.height] if last else None,
            'status': {
                **self._connection(now, last_arrival, health),
                'rate': round(len(arrivals) / min(PERIOD, max(now - self._start, 0.1)), 1),
                'latency': round(1000 * statistics.median(latencies)) if latencies else None,
                'dropped': _whole(health.values.get(diagnostic_keys.recent('dropped'))),
                'device': health.values.get(diagnostic_keys.DEVICE, ''),
                'calibrated': health.values.get(diagnostic_keys.CALIBRATED_FACES, ''),
            },
            'recording': self.recorder.state(),
        }

    def _now_of_health(self) -> Health:
        return self._health if self._clock() - self._health_at < FRESH else Health()

    def _connection(self, now: float, last_arrival: float | None, health: Health) -> dict:
        """``level`` (ok, warn or error), ``text`` and ``detail``."""
        state = health.values.get(diagnostic_keys.STATE, 'active')
        silence = now - (self._start if last_arrival is None else last_arrival)
        if self._publishers == 0:
            return {'level': 'error', 'text': Connection.no_node.format(topic=self._faces_topic), 'detail': ''}
        if state != 'active':
            return {'level': 'error', 'text': Connection.inactive.format(state=state), 'detail': health.message}
        if silence >= NO_IMAGE:
            topic = health.values.get(diagnostic_keys.IMAGE_TOPIC, '')
            count = self.image_publishers
            template = Connection.silence if not topic else (
                Connection.no_image_1 if count == 1 else Connection.no_image)
            return {'level': 'error', 'text': template.format(seconds=int(silence), topic=topic, count=count),
                    'detail': health.message}
        if last_arrival is None:
            return {'level': 'warn', 'text': Connection.waiting, 'detail': ''}
        if health.level:
            return {'level': 'warn', 'text': Connection.trouble, 'detail': health.message}
        return {'level': 'ok', 'text': Connection.good, 'detail': ''}


def _points(series: FaceSeries, after: int, base_ns: int, gap_ns: int) -> list:
    """[seconds, valence, raw valence] of the samples from frame number `after` on, null before those after a gap."""
    start = int(np.searchsorted(series.samples['frame'], after))
    known = series.samples[max(start - 1, 0):]  # with the one before, where there is one
    gaps = set((breaks(known, gap_ns) - (1 if start else 0)).tolist())
    new = series.samples[start:]
    seconds = np.round((new['stamp_ns'] - base_ns) * 1e-9, 3)
    values = np.round(np.stack([new['valence'], new['raw_valence']]).astype(float), 4)
    points = []
    for index, point in enumerate(np.column_stack([seconds, *values]).tolist()):
        if index in gaps:
            points.append(None)
        points.append(point)
    return points


def _face(face, style: dict | None) -> dict:
    return {'id': face.face_id, **(style or {}), 'box': [round(v, 1) for v in face.box], 'emotion': face.emotion,
            'confidence': round(face.confidence, 3), 'valence': round(face.valence, 3),
            'raw': round(face.raw_valence, 3), 'probabilities': [round(p, 3) for p in face.probabilities]}


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
