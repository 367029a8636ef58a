"""Bags with topics of video packets."""

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('av')
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'media'))

from encoded import grey, packets
from reading import read
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from fer_ros.recordings.bags import PACKET_TYPES
from fer_ros.recordings.inputs import InputError

S = 1_000_000_000
T0 = 1_700_000_000 * S
RAMP = [grey(20 + 5 * i) for i in range(30)]
CODED_AHEAD = {'g': '10', 'preset': 'medium', 'tune': 'film', 'bf': '3', 'b-adapt': '0'}


def write_bag(path, kind, sent, text, plugin=StoragePlugin.MCAP):
    """Packets of 10 frames/s, recorded in the order of decoding."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, definition in PACKET_TYPES.items():
        store.register(get_types_from_msg(definition, name))
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        connection = writer.add_connection('/camera', kind, typestore=store)
        for place, (data, number, _) in enumerate(sent):
            stamp = store.types['builtin_interfaces/msg/Time'](*divmod(T0 + number * S // 10, S))
            header = store.types['std_msgs/msg/Header'](stamp, 'camera')
            payload = np.frombuffer(data, np.uint8)
            make = store.types[kind]
            if kind == 'foxglove_msgs/msg/CompressedVideo':
                message = make(stamp, 'camera', payload, text)
            elif kind.endswith('FFMPEGPacket'):
                message = make(header, 128, 96, text, number, 0, False, payload)
            else:
                message = make(header, text, payload)
            writer.write(connection, T0 + place * S // 10, store.serialize_cdr(message, kind))
    return path


def numbers(frames):
    return [round((frame.image.mean() - 20) / 5) for frame in frames]


@pytest.mark.parametrize('plugin', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize(('kind', 'codec', 'text'), [
    ('sensor_msgs/msg/CompressedImage', 'libx264', 'h264'), ('sensor_msgs/msg/CompressedImage', 'libx265', 'hevc'),
    ('foxglove_msgs/msg/CompressedVideo', 'libx264', 'h264'), ('foxglove_msgs/msg/CompressedVideo', 'libx265', 'h265'),
    ('ffmpeg_image_transport_msgs/msg/FFMPEGPacket', 'libx264', 'libx264'),
    ('ffmpeg_image_transport_msgs/msg/FFMPEGPacket', 'libx265', 'hevc;yuv420p;bgr8;bgr8'),
    ('depthai_ros_msgs/msg/FFMPEGPacket', 'libx264', 'h264')])
def test_packets_of_a_bag_are_frames_with_their_times(tmp_path, kind, codec, text, plugin):
    frames, warning = read(write_bag(tmp_path / 'bag', kind, packets(RAMP, codec), text, plugin))
    assert [frame.time_ns for frame in frames] == [i * S // 10 for i in range(30)]
    assert [frame.index for frame in frames] == list(range(30))
    assert all(abs(number - i) <= 1 for i, number in enumerate(numbers(frames)))
    assert not warning


def test_frames_coded_ahead_come_in_the_order_of_their_stamps(tmp_path):
    sent = packets(RAMP, options=CODED_AHEAD)
    assert [number for _, number, _ in sent] != list(range(30))
    frames, warning = read(write_bag(tmp_path / 'bag', 'sensor_msgs/msg/CompressedImage', sent, 'h264'))
    assert [frame.time_ns for frame in frames] == [i * S // 10 for i in range(30)]
    assert [frame.index for frame in frames] == list(range(30))
    assert all(abs(number - i) <= 1 for i, number in enumerate(numbers(frames)))
    assert not warning


def test_every_nth_frame(tmp_path):
    bag = write_bag(tmp_path / 'bag', 'sensor_msgs/msg/CompressedImage', packets(RAMP), 'h264')
    frames, _ = read(bag, every=3)
    assert [frame.index for frame in frames] == list(range(0, 30, 3))
    assert [frame.time_ns for frame in frames] == [i * S // 10 for i in range(0, 30, 3)]
    assert all(abs(number - 3 * i) <= 1 for i, number in enumerate(numbers(frames)))


def test_recording_that_begins_between_key_frames(tmp_path):
    sent = packets(RAMP, options={'g': '10'})[4:]
    frames, warning = read(write_bag(tmp_path / 'bag', 'foxglove_msgs/msg/CompressedVideo', sent, 'h264'))
    assert [frame.index for frame in frames] == list(range(6, 26))
    assert abs(numbers(frames)[0] - 10) <= 1
    assert '6 video packets that do not follow a key frame were left out' in warning
    none = write_bag(tmp_path / 'none', 'foxglove_msgs/msg/CompressedVideo', sent[:6], 'h264')
    with pytest.raises(InputError, match='6 video packets that do not follow a key frame'):
        read(none)


def test_damaged_packet_is_counted_and_the_next_key_frame_awaited(tmp_path):
    sent = packets(RAMP, options={'g': '10'})
    sent[14] = (sent[14][0][:12], *sent[14][1:])
    frames, warning = read(write_bag(tmp_path / 'bag', 'sensor_msgs/msg/CompressedImage', sent, 'h264'))
    assert {*range(14), *range(20, 30)} <= {frame.index for frame in frames} | {14}
    assert all(abs(number - frame.index) <= 1 for number, frame in zip(numbers(frames), frames, strict=True))
    assert 'could not be decoded' in warning


def test_unknown_packets_are_refused_with_their_format(tmp_path):
    bag = write_bag(tmp_path / 'bag', 'foxglove_msgs/msg/CompressedVideo', packets(RAMP[:3]), 'theora')
    with pytest.raises(InputError, match="video packets of format 'theora': supported are h264"):
        read(bag)
