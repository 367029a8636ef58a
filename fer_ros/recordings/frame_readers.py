"""Reads the frames of recordings with their times."""

import functools
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from fer_ros.media.file_names import utf8, without_errno
from fer_ros.media.frame_sources import (
    STILL_RATE,
    CameraSource,
    SourceError,
    VideoSource,
    damage,
    pictures,
    read_picture,
    remedy,
)
from fer_ros.media.grey_levels import GreyLevels
from fer_ros.media.image_decoding import ConversionError, compressed_to_bgr, to_bgr
from fer_ros.media.packet_decoding import DecodedPacket, PacketDecoder, packet_of
from fer_ros.media.video_file import VideoFile, VideoFileError
from fer_ros.recordings.bags import PACKET_TYPES, Bag, BagError, Message, deserializer
from fer_ros.recordings.inputs import Input, InputError
from fer_ros.recordings.parts import LEAST, WHOLE, Part, of_bag, of_video
from fer_ros.recordings.time_line import LONGEST_GAP, FileTimes, GivenTimes, Stamped, TimeLine

IMAGES: dict[str, Callable[[Any, Callable[[np.ndarray], np.ndarray]], np.ndarray]] = {
    'sensor_msgs/msg/Image': to_bgr, 'sensor_msgs/msg/CompressedImage': compressed_to_bgr}
TYPES = (*IMAGES, *PACKET_TYPES)
"""Types of the messages that are read."""
_REORDERED = 16
"""Frames by which a codec may change the order of packets."""


@dataclass(frozen=True)
class PartFrame:
    """One frame of a part of a recording."""

    index: int
    """Number of the frame in the part from 0, counting skipped frames too; -1 before its beginning."""
    time_ns: int
    """Nanoseconds since the first frame that was read, in the part or before it; greater than that of the previous
    frame, except for photos: always 0."""
    stamp_ns: int
    """Its time in the recording, as it is there."""
    recorded_ns: int
    """The time of recording of a message; otherwise as `stamp_ns`."""
    image: np.ndarray
    """uint8 (H, W, 3) BGR."""

    @property
    def before(self) -> bool:
        """Whether it is before the part: only there to find faces."""
        return self.index < 0


Report = Mapping[str, Any]
"""What a reader found in a part beside frames: numbers and texts, for `warning_of` and `refusal_of`."""


class FrameReader(Protocol):
    """Reads a recording, or parts of it."""

    rate: float
    """Nominal frames per second."""
    expected: float
    """Number of frames, possibly an estimate; 0 if unknown."""

    def parts(self, part_s: float, seconds: float = 0.0, every: int = 1) -> tuple[Part, ...]:
        """The parts of about `part_s` seconds that begin in the first `seconds` (0: all)."""

    def part(self, part: Part, every: int = 1) -> Iterator[PartFrame]:
        """Yield every `every`-th frame of a part, after those with which the search for faces is warmed up.

        Raises:
            InputError: it cannot be read.
        """

    def report(self) -> Report:
        """What was found in the part that was read last, as far as it was read."""

    def close(self) -> None:
        """Release the recording."""


def open_reader(item: Input, topic: str = '', hwaccel: str = '') -> FrameReader:
    """Open the reader of an input.

    Args:
        item: the input.
        topic: image topic of a bag; required only if there are several.
        hwaccel: kind of device that decodes video, as of `VideoFile`.

    Raises:
        InputError: it cannot be read, or contains no images.
    """
    try:
        if item.kind == 'camera':
            return CameraReader(item.source)
        path = item.local()
        if item.kind == 'bag':
            return BagReader(path, topic, hwaccel)
        return PhotoReader(path) if item.kind == 'photos' else VideoReader(path, hwaccel)
    except (SourceError, OSError) as error:
        raise InputError(without_errno(error)) from error


class VideoReader:
    """A video file.

    Times are the presentation times of the container, so that variable frame rates are handled, and its rotation is
    applied. Where the times are missing, decrease or leap by more than a day, they are derived from the frame rate.
    """

    def __init__(self, path: Path, hwaccel: str = ''):
        self._path = path
        self._source = VideoSource(path, hwaccel=hwaccel)
        self.rate, self.expected = self._source.rate, self._source.expected
        self._times = FileTimes(0)
        self._begin_again()
        self._used = False

    def _begin_again(self) -> None:
        self._count, self._ended = 0, False
        self._first_ns: int | None = None
        self._last_ns: int | None = None

    def parts(self, part_s: float, seconds: float = 0.0, every: int = 1) -> tuple[Part, ...]:
        """See `FrameReader`; read from the packets, which are not decoded."""
        if 0 < self._source.duration < (1 + LEAST) * part_s:
            return WHOLE
        try:
            with closing(VideoFile(self._path)) as file:
                return of_video(file.packets(), part_s, seconds, LONGEST_GAP)
        except (VideoFileError, OSError):  # it was opened a moment ago: reading it will tell
            return WHOLE

    def part(self, part: Part, every: int = 1) -> Iterator[PartFrame]:
        """See `FrameReader`. Raises InputError."""
        self._place(part)
        self._begin_again()
        self._times = FileTimes(round(every / self.rate * 1e9))
        begin = -math.inf if part.begin_ns is None else part.begin_ns
        end = min(math.inf if bound is None else bound for bound in (part.end_ns, part.stop_ns))
        before = 0
        while self._source.advance():
            time_ns = self._source.time_ns
            if time_ns >= end:
                return
            if time_ns < begin:
                if part.warm_ns is not None and time_ns >= part.warm_ns:
                    if before % every == 0:
                        yield self._frame(-1, time_ns)
                    before += 1
                continue
            self._first_ns = time_ns if self._first_ns is None else self._first_ns
            self._last_ns = time_ns if self._last_ns is None else max(self._last_ns, time_ns)
            self._count += 1
            if (part.first + self._count - 1) % every == 0:
                yield self._frame(self._count - 1, time_ns)
        self._ended = True

    def _frame(self, index: int, stamp_ns: int) -> PartFrame:
        (_, time_ns), = self._times.push(_Stamp(stamp_ns))
        return PartFrame(index, time_ns, stamp_ns, stamp_ns, self._source.image())

    def _place(self, part: Part) -> None:
        """Go to where decoding of a part begins."""
        try:
            if self._used:
                self._source.rewind()
            self._used = True
            self._source.count_between(part.begin_ns, part.end_ns)
            if part.seek_ns is None or part.warm_ns is None:
                return
            if not self._lands(part.seek_ns, part.warm_ns):
                self._source.rewind()  # slowly, from the beginning
                self._source.count_between(part.begin_ns, part.end_ns)
        except (SourceError, OSError) as error:
            raise InputError(without_errno(error)) from error

    def _lands(self, seek_ns: int, warm_ns: int) -> bool:
        """Whether seeking leads to a frame before the warm-up; it is decoded again then."""
        if not (self._source.seek(seek_ns) and self._source.advance() and self._source.time_ns <= warm_ns):
            return False
        return self._source.seek(seek_ns)

    def report(self) -> Report:
        """See `FrameReader`."""
        return {'kind': 'video', 'count': self._count, 'damaged': self._source.damaged, 'first_ns': self._first_ns,
                'last_ns': self._last_ns, 'ended': self._ended, 'expected': self.expected,
                'duration': self._source.duration, 'rate': self.rate}

    def close(self) -> None:
        """Release the file."""
        self._source.close()


class _Stamp(NamedTuple):
    stamp_ns: int

    @property
    def recorded_ns(self) -> int:
        return self.stamp_ns


class BagReader:
    """Images of one topic of a rosbag2 or ROS 1 recording; of a damaged one, those that are intact.

    Times are the header stamps, or the times of recording if the driver does not stamp, or its clock was set or stands
    still. Video packets are decoded from the first key frame on, and after damage from the next one.
    """

    def __init__(self, path: Path, topic: str = '', hwaccel: str = ''):
        self._path, self._hwaccel, self._unreadable, self._why = path, hwaccel, 0, ''
        self._decoder: PacketDecoder | None = None
        self._waiting = 0
        self._sent: deque[int] = deque()
        self._levels = GreyLevels()
        try:
            self._bag = Bag(path, frozenset(TYPES))
        except BagError as error:
            raise InputError(str(error)) from error
        try:
            self._topic, self.expected = self._choose(topic)
            self.rate = self._nominal_rate()
        except BaseException:
            self._bag.close()
            raise
        self._deserialize = deserializer()
        self._time_line = TimeLine(round(1e9 / self.rate))
        self._late_before = self._count = 0

    def _choose(self, topic: str) -> tuple[str, float]:
        """Name and number of messages of the topic to be read."""
        counts: dict[str, int] = {}
        for found in self._bag.topics:
            if found.count:
                counts[found.name] = counts.get(found.name, 0) + found.count
        names = ', '.join(counts)
        if not counts:
            raise InputError('; '.join([f'{self._path} contains no messages of type {" or ".join(TYPES)}',
                                        *self._bag.problems]))
        if topic and topic not in counts:
            raise InputError(f'{self._path} has no images on {topic}: choose --topic from {names}')
        if not topic and len(counts) > 1:
            raise InputError(f'{self._path} has images on several topics: choose --topic from {names}')
        topic = topic or next(iter(counts))
        return topic, float(counts[topic])

    def _nominal_rate(self) -> float:
        seconds = self._bag.duration_ns * 1e-9
        if seconds > 0 and self.expected > 1 and self.expected - 1 >= seconds:
            return min((self.expected - 1) / seconds, 240.0)
        # Less than one frame per second: the recording has pauses, or its clock was set.
        steps = np.diff(self._bag.times(self._topic, 30))
        steps = steps[steps > 0]
        return min(max(1e9 / float(np.median(steps)), 1.0), 240.0) if len(steps) else 30.0

    def parts(self, part_s: float, seconds: float = 0.0, every: int = 1) -> tuple[Part, ...]:
        """See `FrameReader`: by times of recording.

        Bags of video packets, whose key frames are not known without reading them all, and with `seconds`, which are
        those of the camera's clock, have one part.
        """
        parts = WHOLE if seconds else of_bag(self._bag.span_ns, self.expected, self.rate, part_s)
        if len(parts) < 2 or self._has_packets():
            return WHOLE
        if every == 1:
            return parts
        counts = [sum(1 for _ in self._bag.messages(self._topic, part.begin_ns, part.end_ns)) for part in parts]
        return tuple(replace(part, first=first, frames=count)
                     for part, first, count in zip(parts, accumulate([0, *counts]), counts, strict=False))

    def _has_packets(self) -> bool:
        with closing(self._bag.messages(self._topic)) as messages:
            message = next(messages, None)
        try:
            return message is not None and message.type != 'sensor_msgs/msg/Image' and bool(
                packet_of(self._deserialize(message))[0])
        except Exception:  # a damaged message, of which reading the bag tells; struct and numpy raise any
            return True

    def part(self, part: Part, every: int = 1) -> Iterator[PartFrame]:
        """See `FrameReader`."""
        self._time_line = TimeLine(round(every * 1e9 / self.rate))
        self._late_before = self._count = self._unreadable = self._waiting = 0
        self._why, self._decoder, self._levels = '', None, GreyLevels()
        self._sent.clear()
        begun = part.warm_ns is None
        for stamped in self._stamped(part, every):
            if not begun and stamped.index >= 0:
                begun, self._late_before = True, self._time_line.late
            for frame, time_ns in self._time_line.push(stamped):
                yield PartFrame(frame.index, time_ns, frame.stamp_ns, frame.recorded_ns, frame.image)
        self._time_line.finish()

    def report(self) -> Report:
        """See `FrameReader`."""
        return {'kind': 'bag', 'count': self._count, 'unreadable': self._unreadable, 'why': self._why,
                'waiting': self._waiting + (self._decoder.waiting if self._decoder else 0),
                'late': self._time_line.late - self._late_before, 'problems': list(self._bag.problems),
                'rate': self.rate}

    def _stamped(self, part: Part, every: int) -> Iterator[Stamped]:
        before = 0
        for message in self._bag.messages(self._topic, part.warm_ns, part.end_ns):
            if part.begin_ns is not None and message.recorded_ns < part.begin_ns:
                index, wanted, before = -1, before % every == 0, before + 1
            else:
                index, wanted = self._count, (part.first + self._count) % every == 0
                self._count += 1
            if not wanted and message.type == 'sensor_msgs/msg/Image':
                continue
            try:
                yield from self._decode(index, message, wanted)
            except Exception as error:  # ConversionError; in damaged messages also those of struct and numpy
                if index >= 0:
                    self._unreadable += 1
                    self._why = self._why or without_errno(error)
                self._sent.clear()
        if self._decoder is not None:
            try:
                yield from map(self._in_order, self._decoder.flush())
            except ConversionError as error:
                self._unreadable += 1
                self._why = self._why or str(error)

    def _decode(self, index: int, message: Message, wanted: bool) -> Iterator[Stamped]:
        content: Any = self._deserialize(message)
        stamp = content.header.stamp if hasattr(content, 'header') else content.timestamp
        stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec or message.recorded_ns
        if message.type != 'sensor_msgs/msg/Image':
            kind, data = packet_of(content)
            if kind:
                if self._decoder is None or self._decoder.format != kind:
                    self._waiting += self._decoder.waiting if self._decoder else 0
                    self._sent.clear()
                    self._decoder = PacketDecoder(kind, self._hwaccel)
                if wanted:
                    self._sent.append(index)
                waiting, tag = self._decoder.waiting, (index, stamp_ns, message.recorded_ns)
                yield from map(self._in_order, self._decoder.decode(data, tag, wanted))
                if self._decoder.waiting > waiting:
                    self._sent.clear()
                return
        if wanted:
            to_8_bits = functools.partial(self._levels, stamp=stamp_ns * 1e-9)
            yield Stamped(index, IMAGES[message.type](content, to_8_bits), stamp_ns, message.recorded_ns)

    def _in_order(self, decoded: DecodedPacket) -> Stamped:
        """Frames are numbered in the order in which they are shown, which may be another than that of their packets."""
        index, stamp_ns, recorded_ns = decoded.tag
        while self._sent and self._sent[0] < index - _REORDERED:  # lost
            self._sent.popleft()
        return Stamped(self._sent.popleft() if self._sent else index, decoded.image, stamp_ns, recorded_ns)

    def close(self) -> None:
        """Close the bag."""
        self._bag.close()


class PhotoReader:
    """Photos, upright as their EXIF orientation says: one file, or all image files of a folder. All have the time 0."""

    rate = STILL_RATE

    def __init__(self, path: Path):
        self._paths = pictures(path) if path.is_dir() else [path]
        self._path = path
        self._broken: list[str] = []
        self.expected = float(len(self._paths))
        self.names = [utf8(file.name) for file in self._paths]
        """File names of the photos, by index of the frame."""

    def parts(self, part_s: float, seconds: float = 0.0, every: int = 1) -> tuple[Part, ...]:
        """See `FrameReader`: photos are one part."""
        return WHOLE

    def part(self, part: Part, every: int = 1) -> Iterator[PartFrame]:
        """See `FrameReader`."""
        self._broken.clear()
        for index, path in list(enumerate(self._paths))[::every]:
            image = read_picture(path)
            if image is None:
                self._broken.append(f'{path}{remedy(path) or " (damaged)"}')
            else:
                yield PartFrame(index, 0, 0, 0, image)

    def report(self) -> Report:
        """See `FrameReader`."""
        broken = f'{len(self._broken)} of {len(self._paths)} photos cannot be decoded: {"; ".join(self._broken)}'
        return {'kind': 'photos', 'count': len(self._paths), 'warning': utf8(broken) if self._broken else ''}

    def close(self) -> None:
        """Nothing to release."""


class CameraReader:
    """A camera, until it is stopped; times are those of receipt."""

    expected = 0.0

    def __init__(self, device: str):
        self._source = CameraSource(device)
        self.rate = self._source.rate

    def parts(self, part_s: float, seconds: float = 0.0, every: int = 1) -> tuple[Part, ...]:
        """See `FrameReader`: a camera is one part."""
        return WHOLE

    def part(self, part: Part, every: int = 1) -> Iterator[PartFrame]:
        """See `FrameReader`. Raises InputError."""
        index, first_ns = 0, None
        while True:
            try:
                image = self._source.read()
            except SourceError as error:
                raise InputError(str(error)) from error
            now_ns = time.monotonic_ns()
            first_ns = now_ns if first_ns is None else first_ns
            if index % every == 0:
                time_ns = now_ns - first_ns
                yield PartFrame(index, time_ns, time_ns, time_ns, image)
            index += 1

    def report(self) -> Report:
        """See `FrameReader`."""
        return {'kind': 'camera', 'count': 0}

    def close(self) -> None:
        """Release the camera."""
        self._source.close()


def times_of(report: Report, every: int) -> TimeLine | FileTimes | GivenTimes:
    """What gives the joined frames of a recording their times; `report` is that of any of its parts."""
    if report['kind'] == 'video':
        return FileTimes(round(every / report['rate'] * 1e9))
    return TimeLine(round(every * 1e9 / report['rate'])) if report['kind'] == 'bag' else GivenTimes()


def warning_of(source: str, reports: Sequence[Report], problems: Sequence[str]) -> str:
    """What was wrong with a recording that did not stop its readers; '' if nothing was.

    Args:
        source: path of the recording.
        reports: of its parts, in their order.
        problems: of its times.
    """
    kind = reports[0]['kind'] if reports else ''
    if kind == 'photos':
        return '; '.join(filter(None, (report['warning'] for report in reports)))
    if kind == 'bag':
        return _bag_warning(source, reports, problems)
    if kind != 'video':
        return ''
    last = reports[-1]
    first_ns = next((r['first_ns'] for r in reports if r['first_ns'] is not None), None)
    end_ns = max((r['last_ns'] for r in reports if r['last_ns'] is not None), default=None)
    end_s = 0.0 if first_ns is None or end_ns is None else max(0.0, (end_ns - first_ns) * 1e-9)
    early = last['ended'] and end_s < 0.98 * last['duration'] - 2 / last['rate']
    damaged = damage(Path(source), sum(r['count'] for r in reports), sum(r['damaged'] for r in reports),
                     last['expected'], early)
    return '; '.join(filter(None, (damaged, *(f'{utf8(source)}: {problem}' for problem in problems))))


def refusal_of(source: str, reports: Sequence[Report], warning: str) -> str:
    """Why no frame of a recording could be read, if its readers know it."""
    kind = reports[0]['kind'] if reports else ''
    if kind == 'bag':
        unreadable = sum(report['unreadable'] for report in reports)
        why = next((report['why'] for report in reports if report['why']), '')
        return _unreadable(source, unreadable, why) if unreadable else warning
    if kind == 'photos':
        return warning or f'{source} contains no photos'
    return ''


def _unreadable(path: Path | str, number: int, why: str) -> str:
    return f'none of the {number} images in {path} could be decoded: {why}'


def _bag_warning(path: Path | str, reports: Sequence[Report], problems: Sequence[str]) -> str:
    parts = []
    if unreadable := sum(report['unreadable'] for report in reports):
        why = next(report['why'] for report in reports if report['why'])
        parts.append(f'{unreadable} images could not be decoded ({why})')
    if waiting := sum(report['waiting'] for report in reports):
        parts.append(f'{waiting} video packets that do not follow a key frame were left out')
    parts += problems
    own = dict.fromkeys(problem for report in reports for problem in report['problems'])
    return '; '.join([*own, *([f'{path}: {"; ".join(parts)}'] if parts else [])])
