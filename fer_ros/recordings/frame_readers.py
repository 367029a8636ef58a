"""Reads the frames of recordings with their times."""

import functools
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fer_ros.media.file_names import utf8, without_errno
from fer_ros.media.frame_sources import (
    STILL_RATE,
    CameraSource,
    SourceError,
    VideoSource,
    pictures,
    read_picture,
    remedy,
)
from fer_ros.media.grey_levels import GreyLevels
from fer_ros.media.image_decoding import ConversionError, compressed_to_bgr, to_bgr
from fer_ros.media.packet_decoding import DecodedPacket, PacketDecoder, packet_of
from fer_ros.recordings.bags import PACKET_TYPES, Bag, BagError, Message, deserializer
from fer_ros.recordings.inputs import Input, InputError
from fer_ros.recordings.time_line import LONGEST_GAP, Stamped, TimeLine

IMAGES: dict[str, Callable[[Any, Callable[[np.ndarray], np.ndarray]], np.ndarray]] = {
    'sensor_msgs/msg/Image': to_bgr, 'sensor_msgs/msg/CompressedImage': compressed_to_bgr}
TYPES = (*IMAGES, *PACKET_TYPES)
"""Types of the messages that are read."""
_REORDERED = 16
"""Frames by which a codec may change the order of packets."""


@dataclass(frozen=True)
class Frame:
    """One frame of a recording."""

    index: int
    """Number of the frame from 0, counting skipped frames too."""
    time_ns: int
    """Nanoseconds since the first frame; greater than that of the previous frame, except for photos: always 0."""
    image: np.ndarray
    """uint8 (H, W, 3) BGR."""


class FrameReader(Protocol):
    """Reads a recording once, from its beginning."""

    rate: float
    """Nominal frames per second."""
    expected: float
    """Number of frames, possibly an estimate; 0 if unknown."""

    @property
    def warning(self) -> str:
        """A problem that did not stop the reader; empty if there was none."""

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Yield every `every`-th frame. Raises InputError."""

    def close(self) -> None:
        """Release the recording."""


def open_reader(item: Input, topic: str = '') -> FrameReader:
    """Open the reader of an input.

    Args:
        item: the input.
        topic: image topic of a bag; required only if there are several.

    Raises:
        InputError: it cannot be read, or contains no images.
    """
    try:
        if item.kind == 'bag':
            return BagReader(Path(item.source), topic)
        if item.kind == 'photos':
            return PhotoReader(Path(item.source))
        return CameraReader(item.source) if item.kind == 'camera' else VideoReader(Path(item.source))
    except (SourceError, OSError) as error:
        raise InputError(without_errno(error)) from error


class VideoReader:
    """A video file.

    Times are the presentation times of the container, so that variable frame rates are handled, and its rotation is
    applied. Where the times are missing, decrease or leap by more than a day, they are derived from the frame rate.
    """

    def __init__(self, path: Path):
        self._source = VideoSource(path)
        self.rate, self.expected = self._source.rate, self._source.expected
        self._leaps = 0

    @property
    def warning(self) -> str:
        """A problem that did not stop the reader; empty if there was none."""
        times = 'once' if self._leaps == 1 else f'{self._leaps} times'
        leaps = f'{self._source.name}: its times leap {times} by more than a day' if self._leaps else ''
        return '; '.join(filter(None, (self._source.warning, leaps)))

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Yield every `every`-th frame. Raises InputError."""
        index, first_ns, last_ns = 0, None, -1
        while True:
            image = self._source.read()
            if image is None:
                return
            stamp_ns = self._source.time_ns
            first_ns = stamp_ns if first_ns is None else first_ns
            time_ns = stamp_ns - first_ns
            leaps = index > 0 and time_ns > last_ns + LONGEST_GAP
            if time_ns <= last_ns or leaps:
                time_ns = last_ns + round(every / self.rate * 1e9)
            if leaps:
                self._leaps += 1
                first_ns = stamp_ns - time_ns
            yield Frame(index, time_ns, image)
            last_ns = time_ns
            for _ in range(every - 1):
                self._source.skip()
            index += every

    def close(self) -> None:
        """Release the file."""
        self._source.close()


class BagReader:
    """Images of one topic of a rosbag2 or ROS 1 recording; of a damaged one, those that are intact.

    Times are the header stamps, or the times of recording if the driver does not stamp, or its clock was set or stands
    still. Video packets are decoded from the first key frame on, and after damage from the next one.
    """

    def __init__(self, path: Path, topic: str = ''):
        self._path, self._unreadable, self._why = path, 0, ''
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

    @property
    def warning(self) -> str:
        """A problem that did not stop the reader; empty if there was none."""
        parts = []
        if self._unreadable:
            parts.append(f'{self._unreadable} images could not be decoded ({self._why})')
        if waiting := self._waiting + (self._decoder.waiting if self._decoder else 0):
            parts.append(f'{waiting} video packets that do not follow a key frame were left out')
        parts += self._time_line.problems
        return '; '.join([*self._bag.problems, *([f'{self._path}: {"; ".join(parts)}'] if parts else [])])

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Yield every `every`-th frame. Raises InputError."""
        count = 0
        self._time_line = TimeLine(round(every * 1e9 / self.rate))
        for index, time_ns, image in self._time_line.frames(self._stamped(every)):
            count += 1
            yield Frame(index, time_ns, image)
        if not count and self._unreadable:
            raise InputError(f'none of the {self._unreadable} images in {self._path} could be decoded: {self._why}')
        if not count and self.warning:
            raise InputError(self.warning)

    def _stamped(self, every: int) -> Iterator[Stamped]:
        for index, message in enumerate(self._bag.messages(self._topic)):
            wanted = index % every == 0
            if not wanted and message.type == 'sensor_msgs/msg/Image':
                continue
            try:
                yield from self._decode(index, message, wanted)
            except Exception as error:  # ConversionError; in damaged messages also those of struct and numpy
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
                    self._decoder = PacketDecoder(kind)
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

    @property
    def warning(self) -> str:
        """A problem that did not stop the reader; empty if there was none."""
        if not self._broken:
            return ''
        return f'{len(self._broken)} of {len(self._paths)} photos cannot be decoded: {"; ".join(self._broken)}'

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Yield every `every`-th photo. Raises InputError."""
        for index, path in list(enumerate(self._paths))[::every]:
            image = read_picture(path)
            if image is None:
                self._broken.append(f'{path}{remedy(path) or " (damaged)"}')
            else:
                yield Frame(index, 0, image)
        if len(self._broken) == len(self._paths[::every]):
            raise InputError(self.warning or f'{self._path} contains no photos')

    def close(self) -> None:
        """Nothing to release."""


class CameraReader:
    """A camera, until it is stopped; times are those of receipt."""

    expected = 0.0
    warning = ''

    def __init__(self, device: str):
        self._source = CameraSource(device)
        self.rate = self._source.rate

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Yield every `every`-th frame. Raises InputError."""
        index, first_ns = 0, None
        while True:
            try:
                image = self._source.read()
            except SourceError as error:
                raise InputError(str(error)) from error
            now_ns = time.monotonic_ns()
            first_ns = now_ns if first_ns is None else first_ns
            if index % every == 0:
                yield Frame(index, now_ns - first_ns, image)
            index += 1

    def close(self) -> None:
        """Release the camera."""
        self._source.close()
