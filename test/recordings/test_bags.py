"""Bags as people have them: of ROS 1, renamed, cut, split, compressed, without an index."""

import gzip
import sqlite3
import struct

import numpy as np
import pytest
import reading
from reading import frames_of
from rosbags.rosbag2.storage_mcap import zstd
from videos import (
    chunked_mcap,
    compressed_message,
    cut,
    image_message,
    mcap_record,
    mcap_text,
    split_bag,
    storage,
    write_bag,
    write_bag1,
)

from fer_ros.recordings.frame_readers import open_reader
from fer_ros.recordings.inputs import InputError, find_inputs

S = 1_000_000_000
T0 = 1_700_000_000 * S
IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'


def plain(level, width=64, height=48):
    return np.full((height, width, 3), level, np.uint8)


def images(first=0, last=10):
    """Levels of grey that say which image it is, 10 images per second."""
    return [(T0 + i * S // 10 + 5, image_message(plain(10 * i), T0 + i * S // 10)) for i in range(first, last)]


def photographs():
    """JPEG, which FFmpeg finds in any file."""
    noise = np.random.default_rng(0).integers(0, 256, (10, 48, 64, 3), np.uint8)
    return [(T0 + i * S // 5 + 5, compressed_message(noise[i], T0 + i * S // 5)) for i in range(10)]


def read(path, topic='', every=1):
    item, = find_inputs([str(path)])
    assert item.kind == 'bag'
    return reading.read(path, every, topic)


def times(frames):
    return [round(f.time_ns / 1e9, 3) for f in frames]


def numbers(frames):
    return [round(float(f.image.mean()) / 10) for f in frames]


@pytest.mark.parametrize('compression', [None, 'lz4', 'bz2'])
def test_bag_of_ros_1(tmp_path, compression):
    path = write_bag1(tmp_path / 'drive.bag', {'/camera/image': (IMAGE, images())})
    if compression:
        from rosbags.rosbag1 import Reader, Writer
        path = tmp_path / 'packed.bag'
        with Reader(tmp_path / 'drive.bag') as reader:
            writer = Writer(path)
            writer.set_compression(Writer.CompressionFormat[compression.upper()])
            with writer:
                connection, = reader.connections
                copy = writer.add_connection(connection.topic, connection.msgtype, msgdef=connection.msgdef.data,
                                             md5sum=connection.digest)
                for _, time_ns, data in reader.messages():
                    writer.write(copy, time_ns, data)
    frames, warning = read(path)
    assert numbers(frames) == list(range(10))
    assert times(frames) == [i / 10 for i in range(10)]
    assert warning == ''


@pytest.mark.parametrize('name', ['drive.bag', 'drive.BAG', 'drive', 'drive.mp4', 'drive.mcap', 'drive.bin'])
@pytest.mark.parametrize('kind', ['mcap', 'sqlite3', 'ros 1'])
def test_bag_of_jpeg_is_no_video_whatever_its_name_is(tmp_path, name, kind):
    path = tmp_path / name
    if kind == 'ros 1':
        write_bag1(path, {'/image/compressed': (COMPRESSED, photographs())})
    else:
        storage(write_bag(tmp_path / 'bag', {'/image/compressed': (COMPRESSED, photographs())}, kind)).rename(path)
        (tmp_path / 'bag' / 'metadata.yaml').unlink()
    frames, warning = read(path)
    assert times(frames) == [i / 5 for i in range(10)]
    assert warning == ''
    assert [item.source for item in find_inputs([str(tmp_path)])] == [str(path)], 'also in a folder'


def test_two_cameras_of_a_renamed_bag_are_not_mixed(tmp_path):
    folder = write_bag(tmp_path / 'bag', dict.fromkeys(('/left', '/right'), (COMPRESSED, photographs())))
    path = storage(folder).rename(tmp_path / 'recording')
    with pytest.raises(InputError, match='--topic from /left, /right'):
        read(path)
    assert len(read(path, '/left')[0]) == 10


def test_jpeg_in_an_unknown_file_is_no_video(tmp_path):
    import cv2
    jpeg = cv2.imencode('.jpg', np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))[1].tobytes()
    path = tmp_path / 'capture.pcap'
    path.write_bytes(b'\xd4\xc3\xb2\xa1' + b'header ' * 20 + b'noise'.join([jpeg] * 30))
    item, = find_inputs([str(path)])
    with pytest.raises(InputError, match=r'capture\.pcap contains JPEG images, but begins as no known video or bag'):
        open_reader(item)
    (tmp_path / 'stream.mjpeg').write_bytes(jpeg * 30)
    item, = find_inputs([str(tmp_path / 'stream.mjpeg')])
    assert len(frames_of(open_reader(item), item.source)[0]) == 30


def test_ros_1_bag_without_an_index_says_how_to_make_one(tmp_path):
    path = write_bag1(tmp_path / 'drive.bag', {'/image': (IMAGE, images())})
    cut(path, 0.7)
    with pytest.raises(InputError, match=r'drive\.bag cannot be opened as a ROS 1 bag: .*`rosbag reindex`'):
        read(path)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError, match=r'drive\.bag cannot be opened as a ROS 1 bag'):
        read(path)


@pytest.mark.parametrize('missing', [1, 20, 37, 200])
def test_mcap_without_its_last_bytes_gives_all_images(tmp_path, missing):
    path = storage(write_bag(tmp_path / 'bag', {'/image': (IMAGE, images())}))
    path.write_bytes(path.read_bytes()[:-missing])
    frames, _ = read(path)
    assert numbers(frames) == list(range(10))
    assert times(frames) == [i / 10 for i in range(10)]
    assert read(path, every=3)[0][1].index == 3


def test_mcap_cut_in_the_middle_gives_what_is_before(tmp_path):
    path = storage(write_bag(tmp_path / 'bag', {'/image': (IMAGE, images())}))
    cut(path, 0.55)
    frames, warning = read(path)
    assert 4 <= len(frames) <= 6
    assert numbers(frames) == list(range(len(frames)))
    assert f'{path}: it ends in the middle of a record; what is intact was read: copy it again' in warning


@pytest.mark.parametrize('compression', ['', 'lz4', 'zstd'])
def test_unfinished_mcap_with_chunks(tmp_path, compression):
    noise = np.random.default_rng(0).integers(0, 256, (20, 48, 64, 3), np.uint8)
    messages = [(T0 + i * S // 10, image_message(noise[i], T0 + i * S // 10)) for i in range(20)]
    path = chunked_mcap(tmp_path / 'killed.mcap', messages, compression)
    frames, warning = read(path)
    assert len(frames) == 20
    assert 'it ends before its index' in warning
    whole = path.read_bytes()
    path.write_bytes(whole[:round(len(whole) * 0.6)])  # in the third chunk of four
    frames, warning = read(path)
    assert 10 <= len(frames) <= 12
    assert 'it ends in the middle of a record' in warning
    broken = bytearray(whole)
    place = round(len(whole) * 0.4)  # in the second chunk
    broken[place:place + 50] = bytes(50)
    path.write_bytes(broken)
    frames, warning = read(path)
    assert [f.index for f in frames] == list(range(15))
    assert times(frames)[4:6] == [0.4, 1.0]
    assert 'a part inside is damaged' in warning


def test_damage_inside_an_indexed_mcap_costs_only_its_part(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, 48, 64, 3), np.uint8)
    messages = [(T0 + i * S // 10, image_message(noise[i], T0 + i * S // 10)) for i in range(20)]
    path = chunked_mcap(tmp_path / 'drive.mcap', messages, index=True)
    assert read(path)[1] == ''
    data = bytearray(path.read_bytes())
    place = round(len(data) * 0.4)  # in the second chunk of four
    data[place:place + 50] = bytes(50)
    path.write_bytes(data)
    frames, warning = read(path)
    assert times(frames) == [i / 10 for i in (*range(5), *range(10, 20))]
    assert f'{path}: a part inside is damaged; what is intact was read' in warning


@pytest.mark.parametrize(('kind', 'share'), [('mcap', 0.5), ('sqlite3', 0.5), ('mcap', 0.0), ('sqlite3', 0.0)])
def test_split_bag_whose_last_part_is_cut_gives_the_intact_parts(tmp_path, kind, share):
    folder = split_bag(tmp_path / 'bag', [images(0, 6), images(6, 12), images(12, 18)], kind)
    assert numbers(read(folder)[0]) == list(range(18))
    last = sorted(folder.glob('bag_2*'))[0]
    cut(last, share)
    frames, warning = read(folder)
    assert numbers(frames)[:12] == list(range(12))
    assert str(last) in warning
    last.unlink()
    frames, warning = read(folder)
    assert numbers(frames) == list(range(12))
    assert f'{last} is missing: copy the whole folder' in warning


@pytest.mark.parametrize('text', ['', '\n', 'rosbag2_bagfile_information:\n', '{', 'rosbag2_bagfile_information: 3',
                                  '\0\1'])
def test_bag_with_an_empty_or_damaged_metadata_file_is_read(tmp_path, text):
    folder = split_bag(tmp_path / 'bag', [images(0, 6), images(6, 12)])
    (folder / 'metadata.yaml').write_text(text)
    frames, warning = read(folder)
    assert numbers(frames) == list(range(12))
    assert 'metadata.yaml is empty or damaged' in warning and '`ros2 bag reindex`' in warning


def test_part_that_is_not_listed_is_named(tmp_path):
    folder = split_bag(tmp_path / 'bag', [images(0, 6)])
    other = storage(write_bag(tmp_path / 'other', {'/image': (IMAGE, images(6, 12))}))
    other.rename(folder / 'bag_1.mcap')
    frames, warning = read(folder)
    assert numbers(frames) == list(range(6))
    assert 'bag_1.mcap is not listed in metadata.yaml' in warning


@pytest.mark.parametrize('name', ['bag.mcap.zstd', 'bag.zst', 'bag.mcap'])
def test_file_that_is_compressed_as_a_whole_is_read(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 40, (8, 96, 128, 3), np.uint8)
    messages = [(T0 + i, image_message(noise[i], T0 + i * S // 10)) for i in range(8)]
    packed = zstd.compress(storage(write_bag(tmp_path / 'bag', {'/image': (IMAGE, messages)})).read_bytes())
    path = tmp_path / name
    path.write_bytes(packed)
    frames, warning = read(path)
    assert times(frames) == [i / 10 for i in range(8)]
    assert warning == ''
    path.write_bytes(packed[:round(0.8 * len(packed))])
    frames, warning = read(path)
    assert times(frames) == [i / 10 for i in range(len(frames))]
    assert 3 <= len(frames) <= 7
    assert f'{path}: its compressed data are cut or damaged' in warning


def test_compressed_ros_1_bag_and_folder_of_compressed_parts(tmp_path):
    path = tmp_path / 'old.bag.zst'
    path.write_bytes(zstd.compress(write_bag1(tmp_path / 'old.bag', {'/image': (IMAGE, images())}).read_bytes()))
    assert len(read(path)[0]) == 10
    folder = split_bag(tmp_path / 'bag', [images(0, 6), images(6, 12)])
    for part in folder.glob('*.mcap'):
        part.with_name(f'{part.name}.zstd').write_bytes(zstd.compress(part.read_bytes()))
        part.unlink()
    text = (folder / 'metadata.yaml').read_text().replace('.mcap', '.mcap.zstd')
    (folder / 'metadata.yaml').write_text(text)
    frames, warning = read(folder)
    assert numbers(frames) == list(range(12))
    assert warning == ''


def test_messages_that_rosbag2_has_compressed(tmp_path):
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore
    store = get_typestore(Stores.ROS2_JAZZY)
    writer = Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin.SQLITE3)
    writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection('/image', IMAGE, typestore=store)
        for time_ns, make in images():
            writer.write(connection, time_ns, store.serialize_cdr(make(store), IMAGE))
    assert numbers(read(tmp_path / 'bag')[0]) == list(range(10))
    assert numbers(read(storage(tmp_path / 'bag'))[0]) == list(range(10)), 'also without metadata.yaml'


def test_other_archives_say_what_to_do(tmp_path):
    path = tmp_path / 'bag.mcap.gz'
    path.write_bytes(gzip.compress(storage(write_bag(tmp_path / 'bag', {'/image': (IMAGE, images())})).read_bytes()))
    with pytest.raises(InputError, match=r'bag\.mcap\.gz is compressed or an archive: unpack it first'):
        find_inputs([str(path)])


def test_database_with_messages_not_yet_in_it_says_so(tmp_path):
    path = storage(write_bag(tmp_path / 'bag', {'/image': (IMAGE, images())}, 'sqlite3'))
    path.with_name(f'{path.name}-wal').write_bytes(b'pages')
    frames, warning = read(path)
    assert len(frames) == 10
    assert f'{path}-wal has messages that are not in {path.name} yet' in warning
    assert 'wal_checkpoint' in warning


def test_damaged_database_gives_what_is_intact(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), np.uint8)
    messages = [(T0 + i * S // 10, image_message(noise[i], T0 + i * S // 10)) for i in range(30)]
    path = storage(write_bag(tmp_path / 'bag', {'/image': (IMAGE, messages)}, 'sqlite3'))
    cut(path, 0.5)
    frames, warning = read(path)
    assert 3 < len(frames) < 30
    assert 'it is damaged after' in warning
    with sqlite3.connect(path) as database, pytest.raises(sqlite3.DatabaseError):
        database.execute('SELECT count(data) FROM messages ORDER BY timestamp').fetchall()


def test_mcap_of_ros_1_and_of_other_profiles(tmp_path):
    from rosbags.typesys import Stores, get_typestore
    store = get_typestore(Stores.ROS1_NOETIC)
    data = b'\x89MCAP0\r\n' + mcap_record(1, mcap_text('ros1') + mcap_text('test'))
    data += mcap_record(3, struct.pack('<H', 1) + mcap_text('sensor_msgs/Image') + mcap_text('ros1msg') + mcap_text(''))
    data += mcap_record(4, struct.pack('<HH', 1, 1) + mcap_text('/image') + mcap_text('ros1') + struct.pack('<I', 0))
    for time_ns, make in images():
        message = bytes(store.serialize_ros1(make(store), IMAGE))
        data += mcap_record(5, struct.pack('<HIQQ', 1, 0, time_ns, time_ns) + message)
    path = tmp_path / 'converted.mcap'
    path.write_bytes(data + mcap_record(15, bytes(4)) + mcap_record(2, bytes(20)) + b'\x89MCAP0\r\n')
    frames, warning = read(path)
    assert numbers(frames) == list(range(10))
    assert warning == ''


def test_mcap_without_an_index_whose_clock_was_set_back(tmp_path):
    """rosbags refuses it in the middle."""
    from rosbags.typesys import Stores, get_typestore
    store = get_typestore(Stores.ROS2_JAZZY)
    data = b'\x89MCAP0\r\n' + mcap_record(1, mcap_text('ros2') + mcap_text('test'))
    data += mcap_record(3, struct.pack('<H', 1) + mcap_text(IMAGE) + mcap_text('ros2msg') + mcap_text('uint8 unused'))
    data += mcap_record(4, struct.pack('<HH', 1, 1) + mcap_text('/image') + mcap_text('cdr') + struct.pack('<I', 0))
    for i in range(10):
        time_ns = (T0 if i < 5 else 100 * S) + i * S // 10
        message = bytes(store.serialize_cdr(image_message(plain(10 * i), time_ns)(store), IMAGE))
        data += mcap_record(5, struct.pack('<HIQQ', 1, 0, time_ns, time_ns) + message)
    path = tmp_path / 'drive.mcap'
    path.write_bytes(data + mcap_record(15, bytes(4)) + mcap_record(2, bytes(20)) + b'\x89MCAP0\r\n')
    frames, warning = read(path)
    assert numbers(frames) == list(range(10))
    assert times(frames) == [i / 10 for i in range(10)]
    assert 'stamps leap once' in warning and 'damaged' not in warning


def test_names_that_libraries_take_for_uris(tmp_path):
    for name in ('50%41?x=1#a', 'ä'):
        folder = tmp_path / name
        folder.mkdir()
        path = storage(write_bag(tmp_path / f'{len(name)}', {'/image': (IMAGE, images())}, 'sqlite3'))
        assert len(read(path.rename(folder / 'bag.db3'))[0]) == 10
