"""Reads the frames of recordings with their times."""

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fer_ros.media.frame_sources import CameraSource, SourceError, VideoSource
from fer_ros.media.grey_levels import GreyLevels
from fer_ros.media.image_decoding import ConversionError, compressed_to_bgr, to_bgr
from fer_ros.recordings.inputs import Input, InputError

IMAGES: dict[str, Callable[[Any, Callable[[np.ndarray], np.ndarray]], np.ndarray]] = {
    'sensor_msgs/msg/Image': to_bgr, 'sensor_msgs/msg/CompressedImage': compressed_to_bgr}
_NEW_TIME_LINE = 1_000_000_000
"""Nanoseconds: header stamps that jump back further start a new time line, as with several drives in one bag."""


@dataclass(frozen=True)
class Frame:
    """One frame of a recording."""

    index: int
    """Number of the frame from 0, counting skipped frames too."""
    time_ns: int
    """Nanoseconds since the first frame; greater than that of the previous frame."""
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
        return CameraReader(item.source) if item.kind == 'camera' else VideoReader(Path(item.source))
    except (SourceError, OSError) as error:
        raise InputError(str(error)) from error


class VideoReader:
    """A video file.

    Times are the presentation times of the container, so that variable frame rates are handled, and its rotation is
    applied. Where the times are missing or decrease, they are derived from the frame rate.
    """

    def __init__(self, path: Path):
        self._source = VideoSource(path)
        self.rate, self.expected = self._source.rate, self._source.expected

    @property
    def warning(self) -> str:
        """A problem that did not stop the reader; empty if there was none."""
        return self._source.warning

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Yield every `every`-th frame. Raises InputError."""
        index, first_ns, last_ns = 0, None, -1
        while True:
            image = self._source.read()
            if image is None:
                return
            stamp_ns = round(self._source.time * 1e9)
            first_ns = stamp_ns if first_ns is None else first_ns
            time_ns = stamp_ns - first_ns
            if time_ns <= last_ns:
                time_ns = last_ns + round(every / self.rate * 1e9)
            yield Frame(index, time_ns, image)
            last_ns = time_ns
            for _ in range(every - 1):
                self._source.skip()
            index += every

    def close(self) -> None:
        """Release the file."""
        self._source.close()


class BagReader:
    """Images of one topic of a rosbag2 recording.

    Times are the header stamps, or the times of recording if the driver does not stamp.
    """

    def __init__(self, path: Path, topic: str = ''):
        # Imported late: not needed for video files, and slow.
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore
        self._path, self._unreadable, self._why = path, 0, ''
        self._late = 0
        self._levels = GreyLevels()
        try:
            # Older sqlite3 recordings lack message definitions; those of images never changed.
            self._reader = AnyReader([path], default_typestore=get_typestore(Stores.LATEST))
            self._reader.open()
        except Exception as error:  # the storage plug-ins do not catch exceptions of sqlite3, YAML or struct
            raise InputError(f'{path} cannot be opened as a rosbag2 recording: {_one_line(error)}') from error
        try:
            self._connections = self._choose(topic)
        except InputError:
            self._reader.close()
            raise
        self.expected = float(sum(c.msgcount for c in self._connections))
        seconds = self._reader.duration * 1e-9
        self.rate = min(max((self.expected - 1) / seconds, 1.0), 240.0) if seconds > 0 and self.expected > 1 else 30.0

    def _choose(self, topic: str) -> list:
        images = [c for c in self._reader.connections if c.msgtype in IMAGES]
        topics = sorted({c.topic for c in images})
        if not topics:
            raise InputError(f'{self._path} contains no topic of type {" or ".join(IMAGES)}')
        if topic and topic not in topics:
            raise InputError(f'{self._path} has no images on {topic}: choose --topic from {", ".join(topics)}')
        if not topic and len(topics) > 1:
            raise InputError(f'{self._path} has images on several topics: choose --topic from {", ".join(topics)}')
        return [c for c in images if c.topic == (topic or topics[0])]

    @property
    def warning(self) -> str:
        """A problem that did not stop the reader; empty if there was none."""
        parts = []
        if self._unreadable:
            parts.append(f'{self._unreadable} images could not be decoded ({self._why})')
        if self._late:
            parts.append(f'{self._late} images were skipped because their stamp was not newer than the previous one')
        return f'{self._path}: {"; ".join(parts)}' if parts else ''

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Yield every `every`-th frame. Raises InputError."""
        base_ns, last_ns, last_recorded_ns = None, -1, 0
        try:
            for index, (connection, recorded_ns, data) in enumerate(self._reader.messages(self._connections)):
                if index % every:
                    continue
                image, stamp_ns = self._decode(connection, data, recorded_ns)
                if image is None:
                    continue
                if base_ns is None:
                    base_ns = stamp_ns
                if stamp_ns - base_ns < last_ns - _NEW_TIME_LINE:
                    base_ns = stamp_ns - last_ns - max(1, recorded_ns - last_recorded_ns)
                if stamp_ns - base_ns <= last_ns:
                    self._late += 1
                    continue
                last_ns, last_recorded_ns = stamp_ns - base_ns, recorded_ns
                yield Frame(index, last_ns, image)
        except (ValueError, OSError, ArithmeticError, LookupError) as error:
            raise InputError(f'{self._path} cannot be read to the end: {_one_line(error)}') from error
        if last_ns < 0 and self._unreadable:
            raise InputError(f'none of the {self._unreadable} images in {self._path} could be decoded: {self._why}')

    def _decode(self, connection, data: bytes, recorded_ns: int) -> tuple[np.ndarray | None, int]:
        try:
            message: Any = self._reader.deserialize(data, connection.msgtype)
            stamp = message.header.stamp
            stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec or recorded_ns
            to_8_bits = functools.partial(self._levels, stamp=stamp_ns * 1e-9)
            return IMAGES[connection.msgtype](message, to_8_bits), stamp_ns
        except (ConversionError, ValueError, LookupError) as error:
            self._unreadable += 1
            self._why = self._why or _one_line(error)
            return None, 0

    def close(self) -> None:
        """Close the bag."""
        self._reader.close()


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


def _one_line(error: Exception) -> str:
    return ' '.join(str(error).split()) or type(error).__name__
