import resource
import sys

import numpy as np
import pytest

av = pytest.importorskip('av')

from fer_ros.media import video_writer  # noqa: E402
from fer_ros.media.frame_sources import VideoSource  # noqa: E402
from fer_ros.media.video_writer import ENCODERS, LONGEST_GAP, VideoWriter  # noqa: E402


def grey(level, width=64, height=48):
    return np.full((height, width, 3), level, np.uint8)


def shown(path) -> list[tuple[float, int]]:
    """Time in seconds and level of each frame."""
    with av.open(str(path)) as container:
        found = []
        for frame in container.decode(video=0):
            assert (frame.width, frame.height) == (64, 48)
            found.append((round(frame.time, 3), round(float(frame.to_ndarray(format='bgr24').mean()), -1)))
    return found


def levels(path) -> list[int]:
    return [level for _, level in shown(path)]


def recorded(path, *entries, rate=10.0):
    recorder = VideoWriter(path, rate)
    for image, stamp in entries:
        recorder.add(image, stamp)
    assert not path.exists()
    recorder.close()
    return shown(path)


def test_frames_are_shown_at_their_stamps(tmp_path):
    assert recorded(tmp_path / 'a.mp4', (grey(50), 100.0), (grey(100), 100.317), (grey(200), 101.5)
                    ) == [(0, 50), (0.317, 100), (1.5, 200)]
    with av.open(str(tmp_path / 'a.mp4')) as container:
        stream = container.streams.video[0]
        assert stream.duration * stream.time_base == pytest.approx(1.6, abs=0.001), 'the last frame is shown, too'


def test_frames_that_come_faster_than_the_rate_are_left_out(tmp_path):
    assert len(recorded(tmp_path / 'a.mp4', *((grey(50), 7 + i / 100) for i in range(100)))) in (10, 11)


def test_jitter_leaves_no_frame_out(tmp_path):
    stamps = [i / 10 + 0.04 * (-1) ** i + 0.05 for i in range(40)]
    assert len(recorded(tmp_path / 'a.mp4', *((grey(50), stamp) for stamp in stamps))) >= 39


def test_long_gaps_and_jumps_back_are_not_recorded(tmp_path):
    assert recorded(tmp_path / 'a.mp4', (grey(50), 100.0), (grey(100), 101 + LONGEST_GAP), (grey(200), 5.0),
                    (grey(150), 5.1)) == [(0, 50), (0.1, 100), (0.2, 200), (0.3, 150)]


@pytest.mark.parametrize('encoder', [name for name in ENCODERS if name in av.codec.codecs_available])
def test_format_is_one_that_browsers_and_phones_play(tmp_path, monkeypatch, encoder):
    monkeypatch.setattr(video_writer, 'ENCODERS', {encoder: ENCODERS[encoder]})
    path = tmp_path / 'a.mp4'
    assert [level for _, level in recorded(path, *((grey(20 * i, 64, 48), i / 10) for i in range(10)))
            ] == pytest.approx([20 * i for i in range(10)], abs=10)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name in ('h264', 'vp9', 'libvpx-vp9')
        assert stream.codec_context.pix_fmt == 'yuv420p'
        assert stream.codec_context.colorspace == 1
        assert stream.frames == 10
    data = path.read_bytes()
    assert data.index(b'moov') < data.index(b'mdat'), 'the index comes first, so that playing begins at once'


def test_h264_is_what_the_pinned_release_writes(tmp_path):
    recorded(tmp_path / 'a.mp4', (grey(50), 0.0))
    with av.open(str(tmp_path / 'a.mp4')) as container:
        assert container.streams.video[0].codec_context.name == 'h264'


def test_without_any_encoder_the_error_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(video_writer, 'ENCODERS', {'libnothing': {}})
    with pytest.raises(OSError, match='FFmpeg has none of the encoders libnothing'):
        VideoWriter(tmp_path / 'a.mp4', 10.0).add(grey(50), 0.0)
    assert not list(tmp_path.iterdir())


def test_without_pyav_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(OSError, match='pip install av'):
        VideoWriter(tmp_path / 'a.mp4', 10.0).add(grey(50), 0.0)


def test_odd_sizes_keep_every_pixel(tmp_path):
    image = grey(50, 65, 49)
    image[:, -1] = image[-1] = 250
    recorder = VideoWriter(tmp_path / 'a.mp4', 10.0)
    recorder.add(image, 0.0)
    recorder.close()
    frame = VideoSource(tmp_path / 'a.mp4').read()
    assert frame.shape == (50, 66, 3)
    assert frame[:40, 64].mean() > 200 > 100 > frame[:40, :60].mean()


def test_colours_come_back(tmp_path):
    colour = (200, 60, 30)
    image = np.empty((48, 64, 3), np.uint8)
    image[:] = colour
    recorder = VideoWriter(tmp_path / 'a.mp4', 10.0)
    recorder.add(image, 0.0)
    recorder.close()
    assert VideoSource(tmp_path / 'a.mp4').read().mean((0, 1)) == pytest.approx(colour, abs=4)


def test_folder_whose_name_is_not_utf_8(tmp_path):
    folder = tmp_path / b'caf\xe9'.decode(errors='surrogateescape')
    assert len(recorded(folder / '12:30.mp4', (grey(50), 0.0), (grey(50), 0.1))) == 2


def test_another_size_is_scaled_to_the_first(tmp_path):
    assert recorded(tmp_path / 'a.mp4', (grey(50), 0.0), (grey(100, 128, 96), 0.1)) == [(0, 50), (0.1, 100)]


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


@pytest.mark.parametrize('limit', [0, 5_000, 100_000])
def test_a_full_disk_leaves_no_half_file(tmp_path, limit):
    """The limit on the size of files does what a full disk does."""
    noise = np.random.default_rng(0).integers(0, 256, (100, 96, 128, 3), np.uint8)
    recorder = VideoWriter(tmp_path / 'a.mp4', 10.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(OSError, match=r'cannot.*File too large.*a\.mp4|cannot write .*a\.mp4: File too large'):
            for i, picture in enumerate(noise):
                recorder.add(picture, i / 10)
            recorder.close()
        recorder.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())
