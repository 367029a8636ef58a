"""The messages of bags, whole or damaged: rosbag2 (mcap and sqlite3, compressed or not) and ROS 1.

A bag is read file by file, so that damage to one of them costs only what is damaged.
"""

import sqlite3
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from fer_ros.media.containers import Container, container
from fer_ros.media.file_names import without_errno
from fer_ros.recordings.bag_files import decompressed, listed_files, storage_files, unpack, unpacked_container
from fer_ros.recordings.mcap_scan import McapScan

_ZSTD = b'\x28\xb5\x2f\xfd'
"""Beginning of a message that rosbag2 has compressed; a serialized message begins with 0."""


class BagError(Exception):
    """Nothing of a bag can be read; the message is one line that names it and the remedy."""


class Message(NamedTuple):
    """A message as it was recorded."""

    type: str
    """As in ROS 2: sensor_msgs/msg/Image."""
    recorded_ns: int
    data: bytes
    ros1: bool
    """Whether it is serialized as in ROS 1, not as CDR."""


@dataclass(frozen=True)
class Topic:
    """The messages of one type on a topic."""

    name: str
    type: str
    count: int


class _File(Protocol):
    topics: list[Topic]
    duration_ns: int

    def messages(self, topic: str, start: int | None = None,
                 stop: int | None = None) -> Generator[Message, None, None]:
        """Raises whatever the library raises where the file is damaged."""

    def close(self) -> None:
        ...


class Bag:
    """A bag, open for reading.

    Args:
        path: file or folder.
        types: message types that are wanted.

    Raises:
        BagError: nothing can be read.
    """

    def __init__(self, path: Path, types: frozenset[str]) -> None:
        self._path = path
        self._types = types
        self._files: list[tuple[Path, _File]] = []
        self._unpacked = False
        self._stack = ExitStack()
        self.problems: list[str] = []
        """What could not be read, in one line each, with the remedy."""
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix='fer_ros_')))
        for number, path in enumerate(self._parts()):
            try:
                file = _open(path, folder / str(number), self._types, self.problems)
            except ImportError as error:
                raise BagError(f'{self._path} is a bag: reading it needs `pip install rosbags`') from error
            except BagError as error:
                self.problems.append(str(error))
            except OSError as error:
                self.problems.append(f'{path} cannot be read: {error.strerror or error}')
            else:
                self._stack.callback(file.close)
                self._files.append((path, file))
                self._unpacked |= container(path) == 'zstd'
        if not self._files:
            raise BagError('; '.join(self.problems) or f'{self._path} contains no messages')

    def _parts(self) -> list[Path]:
        if not self._path.is_dir():
            return [self._path]
        files, listed = storage_files(self._path), listed_files(self._path)
        if listed is None:
            self.problems.append(f'{self._path / "metadata.yaml"} is empty or damaged, so all files beside it are '
                                 'read: restore it with `ros2 bag reindex`')
            return files
        for path in listed:
            if not path.exists():
                self.problems.append(f'{path} is missing: copy the whole folder')
        for path in files:
            if path.name not in {other.name for other in listed}:
                self.problems.append(f'{path} is not listed in metadata.yaml and was not read: if it belongs to the '
                                     'bag, run `ros2 bag reindex`')
        return [path for path in listed if path.exists()]

    @property
    def topics(self) -> list[Topic]:
        """The topics with messages of the wanted types in all files, by name."""
        counts: dict[tuple[str, str], int] = {}
        for _, file in self._files:
            for topic in file.topics:
                counts[topic.name, topic.type] = counts.get((topic.name, topic.type), 0) + topic.count
        return [Topic(*key, count) for key, count in sorted(counts.items())]

    @property
    def duration_ns(self) -> int:
        """Sum of the files' nanoseconds from their first to their last message; pauses between them do not count."""
        return sum(file.duration_ns for _, file in self._files)

    def times(self, topic: str, most: int) -> list[int]:
        """Times of recording in ns of the first messages on a topic."""
        times: list[int] = []
        for _, file in self._files:
            # `messages` reports what is raised here; the times before are kept.
            with suppress(Exception), closing(file.messages(topic)) as messages:
                for message in islice(messages, most - len(times)):
                    times.append(message.recorded_ns)
        return times

    @property
    def span_ns(self) -> tuple[int, int] | None:
        """Times of recording of the first and just after the last message, by which a part of it can be read.

        None where that is not so: a file is damaged, must be unpacked, or is not later than the one before.
        """
        spans = [file.span_ns for _, file in self._files if isinstance(file, _Rosbag2File | _Rosbag1File)]
        if self.problems or len(spans) < len(self._files) or self._unpacked:
            return None
        if any(later[0] < earlier[1] for earlier, later in pairwise(spans)):
            return None
        return spans[0][0], spans[-1][1]

    def messages(self, topic: str, start: int | None = None,
                 stop: int | None = None) -> Generator[Message, None, None]:
        """Yield the messages on a topic that are intact; `problems` says what is not.

        Args:
            topic: name of the topic.
            start: only messages recorded at or after this time, in ns.
            stop: only messages recorded before this time, in ns.
        """
        for path, file in self._files:
            count, last_ns = 0, -1
            try:
                for message in file.messages(topic, start, stop):
                    yield message
                    count, last_ns = count + 1, message.recorded_ns
            except Exception as error:  # the storage plug-ins do not catch those of sqlite3, struct or decompressors
                if isinstance(file, _Rosbag2File) and file.container == 'mcap':
                    scan = _ScannedFile(path, file.path, self._types)
                    rest = scan.messages(topic, start, stop)
                    if scan.problem:
                        self.problems.append(scan.problem)
                        yield from (message for message in rest if message.recorded_ns > last_ns)
                    else:  # without an index and not in the order of the times of recording
                        yield from islice(rest, count, None)
                else:
                    why = f'it is damaged after {count} messages ({without_errno(error)})'
                    self.problems.append(_damaged(path, why, getattr(file, 'container', 'sqlite3')))

    def close(self) -> None:
        """Close the files."""
        self._stack.close()


def _damaged(path: Path, why: str, found: Container) -> str:
    return f'{path}: {why}; what is intact was read: {_REMEDIES.get(found, "copy it again from where it was recorded")}'


_REMEDIES: dict[Container, str] = {
    'mcap': 'copy it again from where it was recorded, or see `mcap doctor`',
    'sqlite3': 'copy it again from where it was recorded, or see `sqlite3 FILE .recover`',
    'rosbag1': 'rebuild its index with `rosbag reindex`',
}


def _open(path: Path, work: Path, types: frozenset[str], problems: list[str]) -> _File:
    """Open one file; `work` is a path for a file with any suffix."""
    found, original = container(path), path
    if found == 'zstd':
        found = unpacked_container(path)
        unpacked = work.with_suffix('.unpacked')
        try:
            if not unpack(path, unpacked):
                problems.append(_damaged(path, 'its compressed data are cut or damaged', ''))
        except OSError as error:
            raise BagError(f'{path} cannot be unpacked into {work.parent}: {error.strerror}; set TMPDIR to a folder '
                           'with more room, or unpack it with `zstd -d`') from error
        path = unpacked
    if found == 'rosbag1':
        return _Rosbag1File(original, path, types)
    if found not in ('mcap', 'sqlite3'):
        why = 'it is damaged or in an unsupported format' if original.stat().st_size else 'it is empty'
        raise BagError(f'{original} cannot be opened as a bag: {why}')
    # rosbags goes by the suffix, and takes names for parts of URIs.
    link = work.with_suffix('.mcap' if found == 'mcap' else '.db3')
    link.symlink_to(path.absolute())
    try:
        file: _File = _Rosbag2File(found, link, types)
    except ImportError:
        raise
    except Exception as error:  # the storage plug-ins do not catch those of sqlite3, struct or decompressors
        file = _ScannedFile(original, link, types) if found == 'mcap' else _ScannedDatabase(original, link, types)
        if not file.topics and not file.count:
            raise BagError(f'{original} cannot be opened as a bag: {without_errno(error)}') from error
        if file.problem:
            problems.append(file.problem)
    rest = path.with_name(f'{path.name}-wal')
    if found == 'sqlite3' and rest.exists() and rest.stat().st_size:
        problems.append(f'{rest} has messages that are not in {original.name} yet, since recording was not finished: '
                        f'run `sqlite3 {original.name} "PRAGMA wal_checkpoint(TRUNCATE)"` there')
    return file


class _Rosbag2File:
    """An intact mcap or sqlite3 file."""

    def __init__(self, found: Container, path: Path, types: frozenset[str]) -> None:
        from rosbags.rosbag2 import Reader
        self.container, self.path = found, path
        self._reader = Reader(path)
        self._reader.open()
        self._connections = [c for c in self._reader.connections if c.msgtype in types
                             and getattr(c.ext, 'serialization_format', 'cdr') in ('cdr', '')]
        self.topics = [Topic(c.topic, c.msgtype, c.msgcount) for c in self._connections]
        self.duration_ns = self._reader.duration
        self.span_ns = (self._reader.start_time, self._reader.end_time)

    def messages(self, topic: str, start: int | None = None,
                 stop: int | None = None) -> Generator[Message, None, None]:
        wanted = [c for c in self._connections if c.topic == topic]
        if wanted:
            for connection, time_ns, data in self._reader.messages(wanted, start, stop):
                yield Message(connection.msgtype, time_ns, _plain(data), False)

    def close(self) -> None:
        self._reader.close()


class _Rosbag1File:
    """A ROS 1 bag with an index. Raises BagError if it has none."""

    container: Container = 'rosbag1'

    def __init__(self, original: Path, path: Path, types: frozenset[str]) -> None:
        from rosbags.rosbag1 import Reader
        self._reader = Reader(path)
        try:
            self._reader.open()
        except Exception as error:  # AssertionError, struct.error and others in a damaged index
            raise BagError(f'{original} cannot be opened as a ROS 1 bag: {without_errno(error)}: rebuild its index '
                           'with `rosbag reindex`, or copy it again from where it was recorded') from error
        self._connections = [c for c in self._reader.connections if c.msgtype in types]
        self.topics = [Topic(c.topic, c.msgtype, c.msgcount) for c in self._connections]
        self.duration_ns = self._reader.duration if self._reader.chunk_infos else 0
        self.span_ns = (self._reader.start_time, self._reader.end_time) if self._reader.chunk_infos else (0, 0)

    def messages(self, topic: str, start: int | None = None,
                 stop: int | None = None) -> Generator[Message, None, None]:
        wanted = [c for c in self._connections if c.topic == topic]
        if wanted:
            for connection, time_ns, data in self._reader.messages(wanted, start, stop):
                yield Message(connection.msgtype, time_ns, data, True)

    def close(self) -> None:
        self._reader.close()


class _ScannedFile:
    """An mcap file without a usable index, or whose profile rosbags does not know."""

    container: Container = 'mcap'

    def __init__(self, original: Path, path: Path, types: frozenset[str]) -> None:
        self._path, self._types = path, types
        scan, first_ns, last_ns = McapScan(path), 0, 0
        counts: dict[tuple[str, str], int] = {}
        self.count = 0
        for channel, time_ns, _ in scan.messages():
            self.count += 1
            first_ns = min(first_ns, time_ns) if self.count > 1 else time_ns
            last_ns = max(last_ns, time_ns)
            if channel.type in types and channel.encoding in ('cdr', 'ros1'):
                counts[channel.topic, channel.type] = counts.get((channel.topic, channel.type), 0) + 1
        self.topics = [Topic(*key, count) for key, count in counts.items()]
        self.duration_ns = last_ns - first_ns
        self.problem = _damaged(original, scan.damage, 'mcap') if scan.damage else ''

    def messages(self, topic: str, start: int | None = None,
                 stop: int | None = None) -> Generator[Message, None, None]:
        for channel, time_ns, data in McapScan(self._path).messages():
            if not _within(time_ns, start, stop):
                continue
            if channel.topic == topic and channel.type in self._types and channel.encoding in ('cdr', 'ros1'):
                ros1 = channel.encoding == 'ros1'
                yield Message(channel.type, time_ns, _plain(data), ros1)

    def close(self) -> None:
        pass


class _ScannedDatabase:
    """An sqlite3 file that is cut or damaged: its messages in the order in which they were stored."""

    container: Container = 'sqlite3'

    def __init__(self, original: Path, path: Path, types: frozenset[str]) -> None:
        self._path, self._types, self.count = path, types, 0
        self._topics: dict[int, tuple[str, str]] = {}
        counts: dict[tuple[str, str], int] = {}
        first_ns = last_ns = 0
        why = ''
        try:
            with closing(self._connect()) as database:
                self._topics = {number: (name, kind) for number, name, kind in
                                database.execute('SELECT id, name, type FROM topics')}
                for number, time_ns in database.execute('SELECT topic_id, timestamp FROM messages NOT INDEXED'):
                    self.count += 1
                    first_ns = first_ns or time_ns
                    last_ns = time_ns
                    topic = self._topics.get(number, ('', ''))
                    if topic[1] in types:
                        counts[topic] = counts.get(topic, 0) + 1
        except sqlite3.Error as error:
            why = f'it is damaged after {self.count} messages ({error})'
        self.topics = [Topic(*key, count) for key, count in counts.items()]
        self.duration_ns = max(0, last_ns - first_ns)
        self.problem = _damaged(original, why or 'its index is damaged', 'sqlite3')

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(f'{self._path.as_uri()}?immutable=1', uri=True)
        database.execute('PRAGMA writable_schema = ON')  # otherwise SQLite refuses a file that is shorter than it says
        return database

    def messages(self, topic: str, start: int | None = None,
                 stop: int | None = None) -> Generator[Message, None, None]:
        with closing(self._connect()) as database:
            rows = database.execute('SELECT topic_id, timestamp, data FROM messages NOT INDEXED')
            for _ in range(self.count):  # up to the damage
                number, time_ns, data = next(rows)
                name, kind = self._topics.get(number, ('', ''))
                if name == topic and kind in self._types and _within(time_ns, start, stop):
                    yield Message(kind, time_ns, _plain(data), False)

    def close(self) -> None:
        pass


def _within(time_ns: int, start: int | None, stop: int | None) -> bool:
    return (start is None or time_ns >= start) and (stop is None or time_ns < stop)


def _plain(data: bytes) -> bytes:
    return decompressed(data) if data.startswith(_ZSTD) else data


_PACKET = """std_msgs/Header header
int32 width
int32 height
string encoding
uint64 pts
uint8 flags
bool is_bigendian
uint8[] data
"""
PACKET_TYPES = {
    'foxglove_msgs/msg/CompressedVideo':
        'builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format',
    'ffmpeg_image_transport_msgs/msg/FFMPEGPacket': _PACKET,
    'depthai_ros_msgs/msg/FFMPEGPacket': _PACKET,
}
"""Definitions of the messages with video packets."""


def deserializer() -> Any:
    """A function that turns a `Message` of a type of sensor_msgs or of `PACKET_TYPES` into an object with its fields.

    Their definitions never changed, so those in the bag, which may be missing or damaged, are not needed.
    """
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore
    ros2, ros1 = get_typestore(Stores.LATEST), get_typestore(Stores.ROS1_NOETIC)
    for name, definition in PACKET_TYPES.items():
        ros2.register(get_types_from_msg(definition, name))
        ros1.register(get_types_from_msg(definition.replace('builtin_interfaces/Time', 'time'), name))

    def deserialize(message: Message) -> Any:
        return (ros1.deserialize_ros1 if message.ros1 else ros2.deserialize_cdr)(message.data, message.type)
    return deserialize
