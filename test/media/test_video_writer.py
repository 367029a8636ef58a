import os
import resource

import cv2
import numpy as np
import pytest

from fer_ros.media.video_writer import LONGEST_GAP, VideoWriter


def grey(level, width=64, height=48):
    return np.full((height, width, 3), level, np.uint8)


def levels(path) -> list[int]:
    capture = cv2.VideoCapture(str(path))
    found = []
    while (frame := capture.read()[1]) is not None:
        assert frame.shape == (48, 64, 3)
        found.append(round(float(frame.mean()), -1))
    return found


def recorded(path, *entries, rate=10.0):
    recorder = VideoWriter(path, rate)
    for image, stamp in entries:
        recorder.add(image, stamp)
    assert not path.exists()
    recorder.close()
    return levels(path)


def test_plays_as_fast_as_the_stamps_say(tmp_path):
    assert recorded(tmp_path / 'a.mp4', (grey(50), 100.0), (grey(100), 100.3), (grey(200), 100.4)
                    ) == [50, 100, 100, 100, 200]


def test_frames_that_come_faster_than_the_rate_are_left_out(tmp_path):
    assert len(recorded(tmp_path / 'a.mp4', *((grey(50), 7 + i / 100) for i in range(100)))) == 10


def test_long_gaps_and_jumps_back_are_not_recorded(tmp_path):
    assert recorded(tmp_path / 'a.mp4', (grey(50), 100.0), (grey(100), 101 + LONGEST_GAP), (grey(200), 5.0),
                    (grey(150), 5.1)) == [50, 100, 200, 150]


def test_another_size_is_scaled_to_the_first(tmp_path):
    assert recorded(tmp_path / 'a.mp4', (grey(50), 0.0), (grey(100, 128, 96), 0.1)) == [50, 100]


def test_what_a_killed_process_has_left_goes(tmp_path):
    (tmp_path / 'a.partial.mp4').write_bytes(b'half')
    VideoWriter(tmp_path / 'a.mp4', 10.0)
    assert not list(tmp_path.iterdir())


def test_without_frames_there_is_no_file(tmp_path):
    VideoWriter(tmp_path / 'a.mp4', 10.0).close()
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OSError, match=r'cannot write a video of 64×48 to .*a\.nonsense'):
        VideoWriter(tmp_path / 'a.nonsense', 10.0).add(grey(50), 0.0)


def test_a_full_disk_leaves_no_half_file(tmp_path):
    """The limit on the size of files does what a full disk does."""
    recorder = VideoWriter(tmp_path / 'a.mp4', 10.0)
    noise = np.random.default_rng(0).integers(0, 256, (100, 240, 320, 3), np.uint8)
    recorder.add(noise[0], 0.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        for i, picture in enumerate(noise):
            recorder.add(picture, i / 10)
        with pytest.raises(OSError, match=r'only \d+ of 100 frames could be written to .*a\.mp4: is the disk full\?'):
            recorder.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_a_reader_that_is_named_for_others_does_not_matter(tmp_path, monkeypatch):
    """As where a Matroska upload is read: OpenCV 5 heeds the options, and takes MP4 for damaged then."""
    monkeypatch.setenv('OPENCV_FFMPEG_CAPTURE_OPTIONS', 'protocol_whitelist;file|input_format;matroska')
    recorder = VideoWriter(tmp_path / 'a.mp4', 10.0)
    for i in range(12):
        recorder.add(grey(50), i / 10)
    recorder.close()
    assert os.environ['OPENCV_FFMPEG_CAPTURE_OPTIONS'].endswith('matroska')
    monkeypatch.delenv('OPENCV_FFMPEG_CAPTURE_OPTIONS')
    assert levels(tmp_path / 'a.mp4') == [50] * 12
