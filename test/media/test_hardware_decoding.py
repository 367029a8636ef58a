"""Decoding of video in hardware, and what is said where there is none."""

import numpy as np
import pytest

pytest.importorskip('av')

from encoded import grey, packets, write

from fer_ros.media import hardware_decoding
from fer_ros.media.hardware_decoding import HardwareDecodingError, accelerator, check, known_devices
from fer_ros.media.packet_decoding import PacketDecoder
from fer_ros.media.video_file import VideoFile

RAMP = [grey(20 * i + 20) for i in range(10)]


def here():
    """The devices of this computer."""
    found = []
    for device in known_devices():
        try:
            check(device)
        except HardwareDecodingError:
            continue
        found.append(device)
    return found


def read(path, hwaccel):
    file, found = VideoFile(path, hwaccel=hwaccel), []
    while file.advance():
        found.append((file.time_ns, file.image()))
    file.close()
    return found


def of_packets(hwaccel):
    decoder, found = PacketDecoder('h264', hwaccel), []
    for data, number, _ in packets(RAMP, 'libx264', {'g': '10'}):
        found += decoder.decode(data, number)
    return [(frame.tag, frame.image) for frame in [*found, *decoder.flush()]]


def assert_same(found, expected, tolerance):
    assert [when for when, _ in found] == [when for when, _ in expected]
    for (_, image), (_, other) in zip(found, expected, strict=True):
        assert np.abs(image.astype(int) - other).max() <= tolerance


def test_the_processor_is_always_there():
    check('')
    assert accelerator('') is None


@pytest.mark.parametrize('device', ['cpu', 'CUDA', 'opencl', 'none'])
def test_an_unknown_device_is_named_with_those_that_are_known(device):
    with pytest.raises(HardwareDecodingError, match=f"with '{device}': this FFmpeg knows .+; leave out --hwaccel"):
        check(device)


def test_no_device_is_known_to_a_plain_ffmpeg(monkeypatch):
    monkeypatch.setattr(hardware_decoding, 'known_devices', list)
    with pytest.raises(HardwareDecodingError, match='knows no device for it'):
        check('cuda')


def test_a_device_that_is_not_here_is_refused():
    absent = [device for device in known_devices() if device not in here()]
    if not absent:
        pytest.skip('every device that FFmpeg knows is here')
    with pytest.raises(HardwareDecodingError, match=rf"with '{absent[0]}' on this computer \(.+\): install its driver"):
        check(absent[0])


def test_what_a_device_cannot_decode_the_processor_decodes(tmp_path):
    # FFmpeg has this kind of device, but no decoder that uses it.
    path = write(tmp_path / 'a.mp4', RAMP)
    assert_same(read(path, 'opencl'), read(path, ''), 0)
    assert_same(of_packets('opencl'), of_packets(''), 0)


def test_a_device_decodes_the_same_frames(tmp_path):
    devices = here()
    if not devices:
        pytest.skip(f'no device of the kinds {", ".join(known_devices())} is in this computer')
    path = write(tmp_path / 'a.mp4', RAMP)
    for device in devices:
        assert_same(read(path, device), read(path, ''), 2)
        assert_same(of_packets(device), of_packets(''), 2)
