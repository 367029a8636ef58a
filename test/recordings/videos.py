"""Videos and bags for tests: the portraits of the built-in clip in containers as they occur, whole and damaged."""

import binascii
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from fer_ros.media.built_in_clip import BuiltInClip

PARENTS = (b'moov', b'trak', b'mdia', b'minf', b'stbl')


def clip_frames(start: float, end: float, rate: float = 10.0) -> list[np.ndarray]:
    """Frames of the built-in clip, in seconds: until 8.0 both faces are there, then only the sober one, to 11.0."""
    clip = BuiltInClip()
    return [clip.frame(round((start + i / rate) * clip.rate)) for i in range(round((end - start) * rate))]


def write_video(path: Path, frames: Sequence[np.ndarray], rate: float = 10.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), rate, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def edit_box(path: Path, kind: bytes, change: Callable[[bytes], bytes]) -> None:
    """Replace the contents of the first MP4 box of a kind, and correct the sizes of the boxes around it."""
    data = bytearray(path.read_bytes())

    def edit(start: int, end: int) -> int:
        while start < end:
            size, name = struct.unpack_from('>I4s', data, start)
            if name == kind:
                contents = change(bytes(data[start + 8:start + size]))
                data[start:start + size] = struct.pack('>I4s', len(contents) + 8, name) + contents
                return len(contents) + 8 - size
            if name in PARENTS:
                grown = edit(start + 8, start + size)
                if grown is not None:
                    struct.pack_into('>I', data, start, size + grown)
                    return grown
            start += size
        return None

    assert edit(0, len(data)) is not None, f'{path} has no {kind} box'
    path.write_bytes(data)


def vary_rate(path: Path, milliseconds: Sequence[int]) -> None:
    """Give the frames of a video these durations."""
    scale = 0

    def media_header(contents: bytes) -> bytes:
        nonlocal scale
        scale, = struct.unpack_from('>I', contents, 12)
        return contents
    edit_box(path, b'mdhd', media_header)
    durations = [round(ms * scale / 1000) for ms in milliseconds]
    table = struct.pack('>II', 0, len(durations)) + b''.join(struct.pack('>II', 1, d) for d in durations)
    edit_box(path, b'stts', lambda _: table)
    path.write_bytes(path.read_bytes().replace(b'edts', b'free', 1))  # an edit list would cut at the old length


def rotate(path: Path, degrees: int) -> None:
    """Write into the track header that the picture is to be turned clockwise when it is shown."""
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    fixed = 1 << 16
    matrix = struct.pack('>9i', cos * fixed, sin * fixed, 0, -sin * fixed, cos * fixed, 0, 0, 0, 1 << 30)
    edit_box(path, b'tkhd', lambda contents: contents[:40] + matrix + contents[76:])


def index_first(path: Path) -> None:
    """Move the index of an MP4 before its data, as in files made for the web, so that a part of it can be read."""
    data = path.read_bytes()
    boxes, start = [], 0
    while start < len(data):
        size, name = struct.unpack_from('>I4s', data, start)
        boxes.append((name, data[start:start + size]))
        start += size
    index = next(box for name, box in boxes if name == b'moov')
    rest = [box for name, box in boxes if name not in (b'moov', b'ftyp')]
    path.write_bytes(boxes[0][1] + index + b''.join(rest))

    def offsets(contents: bytes) -> bytes:
        _, count = struct.unpack_from('>II', contents)
        places = struct.unpack_from(f'>{count}I', contents, 8)
        return contents[:8] + struct.pack(f'>{count}I', *(place + len(index) for place in places))
    edit_box(path, b'stco', offsets)


def cut(path: Path, share: float) -> None:
    """Keep only the beginning of a file."""
    data = path.read_bytes()
    path.write_bytes(data[:round(len(data) * share)])


def write_bag(path: Path, topics: dict[str, Sequence], storage: str = 'mcap') -> Path:
    """A rosbag2 recording.

    Args:
        topics: for each topic (message type, [(time of recording in ns, message as a function of the typestore)]).
    """
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore
    store = get_typestore(Stores.ROS2_JAZZY)
    plugin = StoragePlugin.MCAP if storage == 'mcap' else StoragePlugin.SQLITE3
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        _write_messages(writer, store, store.serialize_cdr, topics)
    return path


def _write_messages(writer, store, serialize, topics: dict[str, Sequence]) -> None:
    """In the order of their times of recording."""
    entries = []
    for topic, (kind, messages) in topics.items():
        connection = writer.add_connection(topic, kind, typestore=store)
        entries += [(time_ns, connection, kind, make(store)) for time_ns, make in messages]
    for time_ns, connection, kind, message in sorted(entries, key=lambda e: e[0]):
        writer.write(connection, time_ns, serialize(message, kind))


def _header(store, stamp_ns: int):
    header = store.types['std_msgs/msg/Header']
    number = {'seq': 0} if 'seq' in header.__dataclass_fields__ else {}  # ROS 1
    return header(**number, stamp=store.types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, 1_000_000_000)),
                  frame_id='camera')


def image_message(image: np.ndarray, stamp_ns: int, padding: int = 0, encoding: str = 'bgr8', pixel: int = 3):
    """sensor_msgs/Image with so many bytes per pixel, whose rows are followed by `padding` bytes that mean nothing."""
    def make(store):
        data = image.reshape(image.shape[0], -1)
        height, width = data.shape[0], data.shape[1] // pixel
        rows = np.full((height, width * pixel + padding), 255, np.uint8)
        rows[:, :width * pixel] = data
        return store.types['sensor_msgs/msg/Image'](
            _header(store, stamp_ns), height, width, encoding, 0, rows.shape[1], rows.ravel())
    return make


def compressed_message(image: np.ndarray, stamp_ns: int):
    """sensor_msgs/CompressedImage, JPEG."""
    def make(store):
        data = cv2.imencode('.jpg', image)[1].ravel()
        return store.types['sensor_msgs/msg/CompressedImage'](_header(store, stamp_ns), 'jpeg', data)
    return make


def write_bag1(path: Path, topics: dict[str, Sequence]) -> Path:
    """A ROS 1 bag; arguments as for `write_bag`, with the messages of the functions of this module."""
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import Stores, get_typestore
    store = get_typestore(Stores.ROS1_NOETIC)
    with Writer(path) as writer:
        _write_messages(writer, store, store.serialize_ros1, topics)
    return path


def storage(folder: Path) -> Path:
    """The only storage file of a rosbag2 recording."""
    file, = (path for path in folder.iterdir() if path.suffix in ('.mcap', '.db3'))
    return file


def mcap_record(kind: int, data: bytes) -> bytes:
    return struct.pack('<BQ', kind, len(data)) + data


def mcap_text(text: str) -> bytes:
    return struct.pack('<I', len(text)) + text.encode()


def chunked_mcap(path: Path, messages: Sequence, compression: str = 'zstd', each: int = 5, index: bool = False) -> Path:
    """An mcap file of Image messages in compressed chunks.

    Args:
        messages: [(time of recording in ns, message as a function of the typestore)].
        each: messages per chunk.
        index: whether it is finished; otherwise as a writer that was killed leaves it.
    """
    import lz4.frame
    from rosbags.rosbag2.storage_mcap import zstd
    from rosbags.typesys import Stores, get_typestore
    store = get_typestore(Stores.ROS2_JAZZY)
    kind = 'sensor_msgs/msg/Image'
    head = (mcap_record(3, struct.pack('<H', 1) + mcap_text(kind) + mcap_text('ros2msg') + mcap_text(''))
            + mcap_record(4, struct.pack('<HH', 1, 1) + mcap_text('/image') + mcap_text('cdr') + struct.pack('<I', 0)))
    data = b'\x89MCAP0\r\n' + mcap_record(1, mcap_text('ros2') + mcap_text('test'))
    pack = {'zstd': zstd.compress, 'lz4': lz4.frame.compress, '': bytes}[compression]
    index_of_chunks = b''
    for start in range(0, len(messages), each):
        part = messages[start:start + each]
        content = head + b''.join(
            mcap_record(5, struct.pack('<HIQQ', 1, i, time_ns, time_ns) + bytes(store.serialize_cdr(make(store), kind)))
            for i, (time_ns, make) in enumerate(part))
        packed = pack(content)
        begin = len(data)
        data += mcap_record(6, struct.pack('<QQQI', part[0][0], part[-1][0], len(content), binascii.crc32(content))
                            + mcap_text(compression) + struct.pack('<Q', len(packed)) + packed)
        # Of the index of the messages only its size is used: 16 bytes for each.
        place, entries = len(data), struct.pack('<HI', 1, 16 * len(part)) + bytes(16 * len(part))
        index_of_chunks += mcap_record(8, struct.pack('<QQQQ', part[0][0], part[-1][0], begin, place - begin)
                                       + struct.pack('<IHQ', 10, 1, place) + struct.pack('<Q', len(entries) + 9)
                                       + mcap_text(compression) + struct.pack('<QQ', len(packed), len(content)))
        data += mcap_record(7, entries)
    if index:
        data += mcap_record(15, bytes(4))
        data += head + index_of_chunks + mcap_record(2, struct.pack('<QQI', len(data), 0, 0)) + b'\x89MCAP0\r\n'
    path.write_bytes(data)
    return path


def split_bag(folder: Path, parts: Sequence[Sequence], storage_id: str = 'mcap', metadata: bool = True) -> Path:
    """A rosbag2 recording of Image messages in several files, as `--max-bag-size` makes.

    Args:
        parts: of each file, [(time of recording in ns, message as a function of the typestore)].
    """
    folder.mkdir()
    suffix = {'mcap': '.mcap', 'sqlite3': '.db3'}[storage_id]
    names = []
    for number, messages in enumerate(parts):
        bag = write_bag(folder / f'part{number}', {'/image': ('sensor_msgs/msg/Image', messages)}, storage_id)
        names.append(f'{folder.name}_{number}{suffix}')
        storage(bag).rename(folder / names[-1])
        text = (bag / 'metadata.yaml').read_text()
        (bag / 'metadata.yaml').unlink()
        bag.rmdir()
    if metadata:
        old = text[text.index('relative_file_paths:'):].splitlines()[1]
        lines = '\n'.join(old[:old.index('-')] + f'- {name}' for name in names)
        (folder / 'metadata.yaml').write_text(text.replace(old, lines))
    return folder
