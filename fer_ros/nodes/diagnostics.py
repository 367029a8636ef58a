"""The health of the node, published once per second on ``/diagnostics``.

`Monitor` counts and judges without ROS; `Diagnostics` publishes its reports.
"""

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSCompatibility, qos_check_compatible
from rclpy.subscription import Subscription

from fer_ros import diagnostic_keys
from fer_ros.diagnostic_keys import RATE_PERIOD
from fer_ros.fastdds import profile_variable
from fer_ros.nodes import qos
from fer_ros.nodes.program import namesakes
from fer_ros.package_files import shared_file
from fer_ros.parameters import FER_NODE, defaults

PERIOD = 1.0
"""Seconds between two messages, and over which latencies and stage times are averaged."""
FOREIGN_CLOCK = 60.0
"""Seconds of latency above which the stamps are attributed to another clock."""


_DEFAULTS = defaults(FER_NODE)


class Level(IntEnum):
    """The levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of warnings and errors; names and defaults are those of the node parameters. 0 disables one."""

    warn_image_age: float = _DEFAULTS['warn_image_age']
    error_image_age: float = _DEFAULTS['error_image_age']
    """Seconds without an image."""
    warn_rate: float = _DEFAULTS['warn_rate']
    error_rate: float = _DEFAULTS['error_rate']
    """Processed frames per second."""
    warn_latency: float = _DEFAULTS['warn_latency']
    error_latency: float = _DEFAULTS['error_latency']
    """Median seconds from image stamp to publishing."""
    warn_drops: float = _DEFAULTS['warn_drops']
    """Fraction of dropped frames."""
    warn_image_problems: bool = _DEFAULTS['warn_image_problems']


@dataclass(frozen=True)
class ImageTopic:
    """The subscribed topic and its publishers."""

    name: str
    type: str
    publishers: int = 0
    mismatches: tuple[str, ...] = ()
    """Why publishers do not match the subscription, one text for each of them."""
    profile: str = 'config/fastdds.xml'
    """Path of the Fast DDS profile."""

    @property
    def images(self) -> bool:
        """Whether it carries whole images, which a camera sends; else it tells of faces, which another node finds."""
        return self.type.startswith('sensor_msgs/')


@dataclass(frozen=True)
class Report:
    """The health of the node."""

    level: Level
    message: str
    values: dict[str, str]


class Monitor:
    """Counts and judges frames; may be called from several threads.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self.restart()

    def restart(self) -> None:
        """Reset all counts: the node was activated."""
        with self._lock:
            self._start = self._clock()
            self._last_image: float | None = None
            self._totals = dict.fromkeys(('received', 'processed', 'dropped', 'skipped', 'bad'), 0)
            self._recent: dict[str, deque[tuple[float, Any]]] = {kind: deque() for kind in self._totals}
            self._bad_reason = ''

    def received(self) -> None:
        """Count a received image."""
        self._count('received')
        self._last_image = self._clock()

    def dropped(self) -> None:
        """Count an image that was replaced by a newer one before processing."""
        self._count('dropped')

    def skipped(self) -> None:
        """Count an image skipped because of max_rate or lazy."""
        self._count('skipped')

    def bad(self, reason: str) -> None:
        """Count an image that could not be decoded or processed."""
        self._bad_reason = reason
        self._count('bad')

    def processed(self, latency: float | None, stages: Mapping[str, float], faces: int) -> None:
        """Count an image whose results were published.

        Args:
            latency: seconds since its stamp; None if it has none.
            stages: seconds of each stage.
            faces: number of faces.
        """
        self._count('processed', (latency, dict(stages), faces))

    def total(self, kind: str) -> int:
        """Count since the last `restart`; `kind` is received, processed, dropped, skipped or bad."""
        return self._totals[kind]

    def report(self, thresholds: Thresholds, topic: ImageTopic, *, max_rate: float = 0.0,
               image_problems: Sequence[str] = (), idle: bool = False) -> Report:
        """Judge the last seconds.

        Args:
            thresholds: limits of warnings and errors.
            topic: the subscribed topic.
            max_rate: limit of the processed rate; 0: no limit.
            image_problems: what is wrong with the images themselves.
            idle: images are skipped because nobody subscribes to what comes of them.
        """
        now = self._clock()
        with self._lock:
            for events in self._recent.values():
                while events and events[0][0] <= now - RATE_PERIOD:
                    events.popleft()
            recent = {kind: [event for _, event in events] for kind, events in self._recent.items()}
            last_second = [event for at, event in self._recent['processed'] if at > now - PERIOD]
            totals = dict(self._totals)
        elapsed = min(RATE_PERIOD, max(now - self._start, 1e-3))
        rates = {kind: len(events) / elapsed for kind, events in recent.items()}
        latencies = [latency for latency, _, _ in last_second if latency is not None]
        age = now - (self._start if self._last_image is None else self._last_image)

        problems = [*_image_age(thresholds, topic, age, self._last_image is not None)]
        if not problems and not idle and recent['received'] and now - self._start >= PERIOD:
            problems += _bad_frames(recent, self._bad_reason)
            problems += _rate(thresholds, topic, rates, max_rate)
            problems += _drops(thresholds, recent)
            problems += _latency(thresholds, latencies)
            if thresholds.warn_image_problems and rates['processed']:
                problems += [(Level.WARN, text) for text in image_problems]
        problems.sort(key=lambda problem: -problem[0])
        level = problems[0][0] if problems else Level.OK
        message = '; '.join(text for _, text in problems) or (
            'idle: nobody subscribes to an output' if idle else _summary(rates, latencies))

        values = {
            'input rate [Hz]': f'{rates["received"]:.1f}',
            'processed rate [Hz]': f'{rates["processed"]:.1f}',
            'latency median [s]': f'{statistics.median(latencies):.3f}' if latencies else '',
            'latency maximum [s]': f'{max(latencies):.3f}' if latencies else '',
            'image age [s]': f'{age:.2f}' if self._last_image is not None else '',
            'faces': str(last_second[-1][2]) if last_second else '',
            diagnostic_keys.IMAGE_TOPIC: topic.name,
            diagnostic_keys.PUBLISHERS: str(topic.publishers),
        }
        values |= {diagnostic_keys.recent(kind): str(len(recent[kind]))
                   for kind in ('dropped', 'skipped', 'bad')}
        values |= {diagnostic_keys.total(kind): str(count) for kind, count in totals.items()}
        stages = [stages for _, stages, _ in last_second]
        values |= {f'{name} [ms]': f'{1000 * statistics.fmean(s.get(name, 0.0) for s in stages):.1f}'
                   for name in (stages[-1] if stages else ())}
        return Report(level, message, values)

    def _count(self, kind: str, event: object = None) -> None:
        with self._lock:
            self._totals[kind] += 1
            self._recent[kind].append((self._clock(), event))
            if len(self._recent[kind]) > 1000:  # no reports are requested
                self._recent[kind].popleft()


def _image_age(thresholds: Thresholds, topic: ImageTopic, age: float, any_image: bool) -> Iterable[tuple[Level, str]]:
    level = _level(age, thresholds.warn_image_age, thresholds.error_image_age)
    if level == Level.OK:
        return
    publishers = 'no publisher' if not topic.publishers else (
        '1 publisher' if topic.publishers == 1 else f'{topic.publishers} publishers')
    text = f'no image for {age:.1f} s{"" if any_image else " (none since activation)"}: {topic.name} has {publishers}'
    if not topic.publishers:
        text += (' of it; start the face detector that publishes it, or set humans_namespace' if not topic.images else
                 ' of it; start the camera, or remap the topic: --ros-args -r image:=/camera/image_raw')
    elif len(topic.mismatches) == topic.publishers:
        text += f', none of which reaches this node: {"; ".join(topic.mismatches)}'
    else:
        text += ' with matching QoS'
        if topic.images:
            text += f'. {_lost(topic)}'
    yield level, text


def _lost(topic: ImageTopic) -> str:
    return ('Fast DDS loses large images between processes with its default settings: start the camera with '
            f'{profile_variable()}={topic.profile}')


def _bad_frames(recent: Mapping[str, list], reason: str) -> Iterable[tuple[Level, str]]:
    if recent['bad']:
        level = Level.WARN if recent['processed'] else Level.ERROR
        yield level, f'{len(recent["bad"])} of {len(recent["received"])} images could not be used: {reason}'


def _rate(thresholds: Thresholds, topic: ImageTopic, rates: Mapping[str, float],
          max_rate: float) -> Iterable[tuple[Level, str]]:
    if rates['bad'] and not rates['processed']:
        return  # already reported
    # A rate limited by the user is not too low; half of it is tolerated because of the phase of the period.
    limit = max_rate / 2 if max_rate > 0 else float('inf')
    warn, error = min(thresholds.warn_rate, limit), min(thresholds.error_rate, limit)
    level = Level.ERROR if rates['processed'] < error else Level.WARN if rates['processed'] < warn else Level.OK
    if level != Level.OK:
        cause = 'the node is too slow, see the stage times' if rates['received'] >= warn else (
            f'the images come too slowly, or are lost on the way. {_lost(topic)}' if topic.images else
            'the images come too slowly')
        yield level, (f'{rates["processed"]:.1f} frames/s processed of {rates["received"]:.1f} received, less than '
                      f'{error if level == Level.ERROR else warn:g}: {cause}')


def _drops(thresholds: Thresholds, recent: Mapping[str, list]) -> Iterable[tuple[Level, str]]:
    share = len(recent['dropped']) / len(recent['received'])
    if 0 < thresholds.warn_drops < share:
        yield Level.WARN, f'{share:.0%} of the frames dropped: lower the camera rate, or use a faster device'


def _latency(thresholds: Thresholds, latencies: list[float]) -> Iterable[tuple[Level, str]]:
    if not latencies:
        return
    median = statistics.median(latencies)
    if median > FOREIGN_CLOCK:
        yield Level.WARN, (f'image stamps are {median:.0f} s old: a recording is played without use_sim_time, or the '
                           'clocks differ')
    elif median < -FOREIGN_CLOCK:
        yield Level.WARN, (f'image stamps are {-median:.0f} s in the future: use_sim_time is set but nobody publishes '
                           '/clock yet, or the clocks differ')
    elif median < -0.02:
        yield Level.WARN, f'image stamps lie {-median:.2f} s in the future: synchronise the clocks of the machines'
    elif (level := _level(median, thresholds.warn_latency, thresholds.error_latency)) != Level.OK:
        yield level, f'latency {median:.2f} s from image stamp to publishing'


def _level(value: float, warn: float, error: float) -> Level:
    if 0 < error <= value:
        return Level.ERROR
    return Level.WARN if 0 < warn <= value else Level.OK


def _summary(rates: Mapping[str, float], latencies: list[float]) -> str:
    latency = f', latency {1000 * statistics.median(latencies):.0f} ms' if latencies else ''
    return f'{rates["processed"]:.1f} frames/s{latency}'


def image_topic(node: LifecycleNode, subscription: Subscription) -> ImageTopic:
    """The publishers on the topic of `subscription`, and whether type and QoS match."""
    type_of_message: Any = subscription.msg_type  # some versions of rclpy type it as an instance
    package, folder, *_ = type_of_message.__module__.split('.')
    type_name = f'{package}/{folder}/{type_of_message.__name__}'
    publishers = node.get_publishers_info_by_topic(subscription.topic_name)
    mismatches = []
    for publisher in publishers:
        if publisher.topic_type != type_name:
            mismatches.append(f'{publisher.node_name} publishes {publisher.topic_type}, not {type_name}: check '
                              'image_transport')
            continue
        compatibility, reason = qos_check_compatible(publisher.qos_profile, subscription.qos_profile)
        if compatibility == QoSCompatibility.ERROR:
            mismatches.append(f'QoS of {publisher.node_name} does not match: {reason.strip(" ;")}')
    return ImageTopic(subscription.topic_name, type_name, len(publishers), tuple(mismatches), _profile())


def _profile() -> str:
    try:
        return str(shared_file('config/fastdds.xml'))
    except FileNotFoundError:
        return ImageTopic.profile


class Diagnostics:
    """Publishes a report per second as long as the node exists, even while it is not active.

    Args:
        node: the node.
        report: returns the present report.
    """

    def __init__(self, node: LifecycleNode, report: Callable[[], Report]):
        self._node = node
        self._report = report
        self._last = Level.OK
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', qos.result())
        # Wall time passes even while simulated time stands still or is not published.
        self._timer = node.create_timer(PERIOD, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _publish(self) -> None:
        report = self._report()
        self._log(report)
        if text := namesakes(self._node):  # already logged by the program
            problems = [report.message] if report.level != Level.OK else []
            report = replace(report, level=max(report.level, Level.WARN), message='; '.join([*problems, text]))
        name = self._node.get_fully_qualified_name().strip('/')
        status = DiagnosticStatus(level=bytes([report.level]), name=f'{name}: faces', message=report.message,
                                  hardware_id=name, values=[KeyValue(key=k, value=v) for k, v in report.values.items()])
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def _log(self, report: Report) -> None:
        """Log when the level rises and when it is back to normal: not everybody watches /diagnostics."""
        logger = self._node.get_logger()
        # rclpy requires a separate call for each severity.
        if report.level > self._last and report.level == Level.WARN:
            logger.warning(report.message)
        elif report.level > self._last:
            logger.error(report.message)
        elif report.level == Level.OK and self._last != Level.OK:
            logger.info(f'back to normal: {report.message}')
        self._last = report.level

    def close(self) -> None:
        """Stop publishing."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)
