"""Reads mcap files from the beginning to where they are damaged, without their index.

For files that were cut, never finished, or damaged inside, which the reader of rosbags refuses. The format is specified
at https://mcap.dev/spec.
"""

import struct
from binascii import crc32
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from fer_ros.recordings.bag_files import decompressor

_MAGIC = 8
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0f
_RECORD = struct.Struct('<BQ')
_LARGEST_CHUNK = 1 << 32
"""Bytes; more in one chunk is taken for damage."""


@dataclass(frozen=True)
class Channel:
    """A topic of the file."""

    topic: str
    type: str
    """As in ROS 2: sensor_msgs/msg/Image."""
    encoding: str
    """Of the messages: cdr, ros1 or others."""


@dataclass
class McapScan:
    """One pass over a file, after which `channels`, `damage` and `complete` are known."""

    path: Path
    channels: dict[int, Channel] = field(default_factory=dict)
    damage: str = ''
    """The first damage found; '' if there is none."""

    def messages(self) -> Iterator[tuple[Channel, int, bytes]]:
        """Yield channel, time of recording in ns, and data of each intact message, as they were written.

        Raises OSError.
        """
        schemas: dict[int, str] = {}
        for kind, record in self._records():
            try:
                if kind == _SCHEMA:
                    number, = struct.unpack_from('<H', record)
                    schemas[number] = _text(record, 2)[0]
                elif kind == _CHANNEL:
                    number, schema = struct.unpack_from('<HH', record)
                    topic, end = _text(record, 4)
                    self.channels[number] = Channel(topic, _ros2_name(schemas.get(schema, '')), _text(record, end)[0])
                else:
                    number, _, time_ns, _ = struct.unpack_from('<HIQQ', record)
                    if number in self.channels:
                        yield self.channels[number], time_ns, bytes(record[22:])
            except (struct.error, UnicodeDecodeError):
                self._damaged('a record is damaged')

    def _damaged(self, what: str) -> None:
        self.damage = self.damage or what

    def _records(self) -> Iterator[tuple[int, memoryview]]:
        """The schemas, channels and messages, also those in chunks."""
        size = self.path.stat().st_size
        with self.path.open('rb') as file:
            file.seek(_MAGIC)
            while True:
                head = file.read(_RECORD.size)
                if len(head) < _RECORD.size:
                    self._damaged('it ends before its index')
                    return
                kind, length = _RECORD.unpack(head)
                if kind == _DATA_END:
                    return
                whole = file.tell() + length <= size
                if kind == _CHUNK:
                    yield from self._chunk(file, length, whole)
                elif whole and kind in (_SCHEMA, _CHANNEL, _MESSAGE):
                    yield kind, memoryview(file.read(length))
                else:
                    file.seek(length if whole else 0, 1)
                if not whole:
                    self._damaged('it ends in the middle of a record')
                    return

    def _chunk(self, file: BinaryIO, length: int, whole: bool) -> Iterator[tuple[int, memoryview]]:
        data = memoryview(file.read(length))  # what there is of it, if it is cut
        try:
            unpacked_size, crc = struct.unpack_from('<QI', data, 16)
            compression, end = _text(data, 28)
            packed_size, = struct.unpack_from('<Q', data, end)
            packed = data[end + 8:end + 8 + packed_size]
            if unpacked_size > _LARGEST_CHUNK:
                raise ValueError(unpacked_size)
            content = memoryview(decompressor(compression)(bytes(packed), unpacked_size))
            if whole and (len(content) != unpacked_size or (crc and crc32(content) != crc)):
                raise ValueError(len(content))
        except Exception:  # each compression raises its own
            self._damaged('a part inside is damaged' if whole else 'it ends in the middle of a record')
            return
        place = 0
        while place + _RECORD.size <= len(content):
            kind, length = _RECORD.unpack_from(content, place)
            place += _RECORD.size
            if place + length > len(content):
                return
            if kind in (_SCHEMA, _CHANNEL, _MESSAGE):
                yield kind, content[place:place + length]
            place += length


def _text(data: memoryview, place: int) -> tuple[str, int]:
    """The string at `place`, and where it ends."""
    length, = struct.unpack_from('<I', data, place)
    if place + 4 + length > len(data):
        raise struct.error('a string is longer than its record')
    return bytes(data[place + 4:place + 4 + length]).decode(), place + 4 + length


def _ros2_name(name: str) -> str:
    package, _, message = name.partition('/')
    return name if '/' in message or not message else f'{package}/msg/{message}'
