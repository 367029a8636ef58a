"""Videos of every codec, with times, rotation and pixels as they occur, whole and damaged."""

import gc
import socket
import subprocess
import sys
import weakref
from fractions import Fraction

import cv2
import numpy as np
import pytest

av = pytest.importorskip('av')

from encoded import grey, write  # noqa: E402

from fer_ros.media.frame_sources import SourceError, VideoSource, frames, open_source  # noqa: E402
from fer_ros.media.video_file import CONTAINERS, VideoFile, VideoFileError  # noqa: E402
from fer_ros.media.video_frames import square_pixels  # noqa: E402

RAMP = [grey(20 * i + 20) for i in range(10)]


def read(path):
    source = open_source(str(path))
    found = []
    while (image := source.read()) is not None:
        found.append((source.time_ns, image))
    source.close()
    return found, source.warning


def levels(found):
    return [round(float(image.mean()), -1) for _, image in found]


@pytest.mark.parametrize(('codec', 'suffix', 'pix_fmt'), [
    ('libx264', 'mp4', 'yuv420p'), ('libx264', 'mkv', 'yuv444p'), ('libx264', 'ts', 'yuv420p'),
    ('libx265', 'mp4', 'yuv420p'),
    ('libx265', 'mkv', 'yuv420p10le'), ('libsvtav1', 'mp4', 'yuv420p'), ('libsvtav1', 'webm', 'yuv420p10le'),
    ('libvpx-vp9', 'webm', 'yuv420p'), ('mpeg4', 'avi', 'yuv420p'), ('mpeg4', 'mov', 'yuv420p'),
    ('mjpeg', 'avi', 'yuvj420p'), ('mpeg2video', 'mpg', 'yuv420p'), ('flv1', 'flv', 'yuv420p'),
    ('wmv2', 'wmv', 'yuv420p'), ('ffv1', 'mkv', 'bgr0'), ('prores_ks', 'mov', 'yuv422p10le'),
    ('rawvideo', 'avi', 'yuv420p'), ('gif', 'gif', 'rgb8')])
def test_every_codec_is_decoded(tmp_path, codec, suffix, pix_fmt):
    rate = 25 if codec == 'mpeg2video' else 10
    path = write(tmp_path / f'a.{suffix}', RAMP, codec=codec, rate=rate, pix_fmt=pix_fmt)
    found, warning = read(path)
    assert [float(image.mean()) for _, image in found] == pytest.approx([20 * i + 20 for i in range(10)], abs=6)
    start = found[0][0]
    assert [time - start for time, _ in found] == pytest.approx([i * 1e9 / rate for i in range(10)], abs=1.1e6)
    assert not warning


def test_b_frames_come_in_the_order_of_presentation(tmp_path):
    path = write(tmp_path / 'a.mp4', RAMP, options={'preset': 'medium', 'bf': '3', 'b-adapt': '0'})
    with av.open(str(path)) as container:
        order = [packet.pts for packet in container.demux() if packet.pts is not None]
    assert order != sorted(order)
    assert levels(read(path)[0]) == [20 * i + 20 for i in range(10)]


@pytest.mark.parametrize('suffix', ['mp4', 'mkv'])
def test_variable_rate_and_a_late_start_are_exact(tmp_path, suffix):
    times = [5000, 5033, 5067, 5500, 5501, 8000, 8100, 8101, 9000, 9999]
    path = write(tmp_path / f'a.{suffix}', RAMP, times, time_base=Fraction(1, 1000))
    found, _ = read(path)
    assert [(time - found[0][0]) // 1_000_000 for time, _ in found] == [time - 5000 for time in times]
    assert levels(found) == [20 * i + 20 for i in range(10)]


def test_times_of_30_over_1_001_frames_per_second_do_not_drift(tmp_path):
    rate = Fraction(30000, 1001)
    path = write(tmp_path / 'a.mp4', [grey(100)] * 300, rate=rate, time_base=1 / rate)
    source = VideoSource(path)
    assert source.rate == pytest.approx(29.97003, abs=1e-5)
    for i in range(300):
        assert source.read() is not None
        assert source.time_ns == round(i * Fraction(1001, 30000) * 10**9)


def edit_list(path, start: int, length: int):
    """Let an MP4 of one track begin at `start` and last `length`, both in units of its time scales, which are equal."""
    data = path.read_bytes()
    place = data.index(b'elst') + 4
    assert data[place] == 0 and int.from_bytes(data[place + 4:place + 8], 'big') == 1
    path.write_bytes(data[:place + 8] + length.to_bytes(4, 'big') + start.to_bytes(4, 'big') + data[place + 16:])


def test_edit_list_leaves_frames_out_without_a_warning(tmp_path):
    images = [grey(20 + 2 * i) for i in range(100)]
    path = write(tmp_path / 'a.mp4', images, options={'g': '10', 'bf': '0'},
                 container_options={'video_track_timescale': '10000', 'movie_timescale': '10000'})
    whole, _ = read(path)
    assert len(whole) == 100
    edit_list(path, 20000, 50000)
    found, warning = read(path)
    assert len(found) == 50
    assert all(np.array_equal(image, other) for (_, image), (_, other) in zip(found, whole[20:70], strict=True))
    assert not warning


@pytest.mark.parametrize(('degrees', 'bright'), [(90, 'left'), (180, 'bottom'), (-90, 'right'), (0, 'top')])
def test_rotation_is_applied(tmp_path, degrees, bright):
    image = grey(0)
    image[:48] = 255
    path = write(tmp_path / 'a.mp4', [image] * 3, prepare=lambda stream: stream.set_display_rotation(degrees))
    picture = read(path)[0][1][1]
    assert picture.shape[:2] == ((128, 96) if abs(degrees) == 90 else (96, 128))
    halves = {'left': picture[:, :40], 'right': picture[:, 56:], 'top': picture[:40], 'bottom': picture[56:]}
    assert halves[bright].mean() > 200


def test_mirrored_video_of_a_front_camera(tmp_path):
    image = grey(0)
    image[:, :64] = 255
    mirrored = (-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    path = write(tmp_path / 'a.mp4', [image] * 3, prepare=lambda stream: stream.set_display_matrix(mirrored))
    picture = read(path)[0][1][1]
    assert picture[:, 70:].mean() > 200 > 60 > picture[:, :58].mean()


def test_upside_down_without_a_rotation(tmp_path):
    image = grey(0)
    image[:48] = 255
    flipped = (65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30)
    path = write(tmp_path / 'a.mp4', [image] * 3, prepare=lambda stream: stream.set_display_matrix(flipped))
    assert all(picture[56:].mean() > 200 > 60 > picture[:40].mean() for _, picture in read(path)[0])


def test_a_file_that_was_read_is_released_at_once(tmp_path):
    """Its frames are large and few, so that Python would look for cycles among them too late."""
    path = write(tmp_path / 'a.mp4', RAMP * 10)
    gc.collect()
    gc.disable()
    try:
        file = VideoFile(path)
        while file.advance():
            file.image()
        file.close()
        freed = weakref.ref(file)
        del file
        assert freed() is None
        assert gc.collect() < 10, 'one frame has been asked for its side data'
    finally:
        gc.enable()


@pytest.mark.parametrize(('ratio', 'shape'), [((4, 3), (96, 171)), ((1, 2), (192, 128)), ((1, 1), (96, 128))])
def test_oblong_pixels_are_stretched(tmp_path, ratio, shape):
    def prepare(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(*ratio)
    path = write(tmp_path / 'a.mkv', RAMP, prepare=prepare)
    found, _ = read(path)
    assert {image.shape for _, image in found} == {(*shape, 3)}
    assert levels(found) == [20 * i + 20 for i in range(10)]


@pytest.mark.parametrize(('ratio', 'size'), [(0, (10, 20)), (1000, (10, 20)), (1e-3, (10, 20)),
                                             (float('nan'), (10, 20)), (1.5, (15, 20)), (0.5, (10, 40))])
def test_square_pixels(ratio, size):
    assert square_pixels(10, 20, ratio) == size


def test_stretching_does_not_go_beyond_the_largest_image():
    assert square_pixels(10_000, 9_000, 3.0) == (10_000, 9_000)


@pytest.mark.parametrize(('height', 'colour'), [(96, (250, 30, 20)), (720, (30, 220, 90))])
def test_colours_follow_the_tag_or_the_size(tmp_path, height, colour):
    image = np.empty((height, 128, 3), np.uint8)
    image[:] = colour
    matrix = {96: 'itu601', 720: 'itu709'}[height]
    frame = av.VideoFrame.from_ndarray(image, 'bgr24').reformat(format='yuv444p', dst_colorspace=matrix)
    with av.open(str(tmp_path / 'a.mkv'), 'w') as container:
        stream = container.add_stream('ffv1', rate=10)
        stream.width, stream.height, stream.pix_fmt = 128, height, 'yuv444p'
        frame.colorspace = 2  # unspecified
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert read(tmp_path / 'a.mkv')[0][0][1].mean((0, 1)) == pytest.approx(colour, abs=4)


def damaged(path, shares, length=400, seed=0):
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(seed)
    for share in shares:
        place = round(len(data) * share)
        data[place:place + length] = noise.integers(0, 256, length, np.uint8).tobytes()
    path.write_bytes(data)


def noisy(count, seed=0):
    noise = np.random.default_rng(seed)
    return [cv2.resize(noise.integers(0, 256, (12, 16, 3), np.uint8), (128, 96)) for _ in range(count)]


@pytest.mark.parametrize(('codec', 'suffix'), [('libx264', 'mkv'), ('libx264', 'ts'), ('libx265', 'mkv'),
                                               ('mpeg4', 'avi'), ('libvpx-vp9', 'webm'),
                                               ('libsvtav1', 'webm'), ('ffv1', 'mkv')])
def test_what_is_damaged_inside_is_skipped_and_counted(tmp_path, codec, suffix):
    options = {'g': '5'}
    path = write(tmp_path / f'a.{suffix}', noisy(200), codec=codec, rate=25, options=options)
    before, _ = read(path)
    assert len(before) == 200
    damaged(path, [0.4, 0.6], length=6000)
    after, warning = read(path)
    assert 100 < len(after) < 200
    if suffix not in ('mkv', 'webm') or codec == 'ffv1':  # FFmpeg skips damage between Matroska's frames in silence
        assert 'damaged frame' in warning or 'it is damaged' in warning
    # Nothing is given that was not there. Times in AVI files count the frames, so those behind the damage are early.
    whole = [(time, image.astype(int)) for time, image in before]
    near = 10**10 if suffix == 'avi' else 1
    wrong = [time for time, image in after
             if min((np.abs(image - other).mean() for at, other in whole if abs(at - time) < near), default=255) > 8]
    assert len(wrong) <= 0.05 * len(after)


@pytest.mark.parametrize(('codec', 'suffix'), [('libx264', 'mkv'), ('libx264', 'ts'), ('mpeg4', 'avi'),
                                               ('libvpx-vp9', 'webm'), ('libx264', 'mp4')])
def test_truncated_file_is_read_to_where_it_is_intact(tmp_path, codec, suffix):
    options = {'movflags': 'frag_keyframe+empty_moov'} if suffix == 'mp4' else None
    path = write(tmp_path / f'a.{suffix}', noisy(100), codec=codec, rate=25, options={'g': '5'},
                 container_options=options)
    data = path.read_bytes()
    path.write_bytes(data[:len(data) * 6 // 10])
    found, warning = read(path)
    assert 40 < len(found) < 70
    if suffix in ('mkv', 'webm', 'avi'):  # the others do not announce their length
        assert 'of 100 frames: it is damaged' in warning


def test_longer_sound_is_no_truncated_video(tmp_path):
    for suffix in ('mkv', 'mp4'):
        path = write(tmp_path / f'a.{suffix}', RAMP, audio_s=30.0)
        found, warning = read(path)
        assert len(found) == 10
        assert not warning


def test_sound_alone_and_a_cover_are_no_video(tmp_path):
    path = tmp_path / 'a.mkv'
    with av.open(str(path), 'w') as container:
        sound = container.add_stream('aac', rate=8000)
        for number in range(10):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
            samples.rate, samples.pts = 8000, 1024 * number
            container.mux(sound.encode(samples))
        container.mux(sound.encode())
    with pytest.raises(SourceError, match=r'a\.mkv cannot be opened as a video: it contains no video'):
        open_source(str(path))


def test_size_may_change_within_a_video(tmp_path):
    one, two = (write(tmp_path / f'{width}.ts', [grey(100, width, width)] * 5) for width in (64, 96))
    both = tmp_path / 'both.ts'
    both.write_bytes(one.read_bytes() + two.read_bytes())
    assert {image.shape[:2] for _, image in read(both)[0]} == {(64, 64), (96, 96)}


@pytest.mark.parametrize('text', ['#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n',
                                  'ffconcat version 1.0\nfile {target}\n'])
def test_playlists_are_no_videos_and_open_nothing(tmp_path, text):
    target = write(tmp_path / 'secret.ts', RAMP)
    with socket.create_server(('127.0.0.1', 0)) as server:
        server.settimeout(0.5)
        for address in (target.name, str(target), f'http://127.0.0.1:{server.getsockname()[1]}/a.ts'):
            for name in ('list.mp4', 'list.m3u8', 'list.ffconcat'):
                path = tmp_path / name
                path.write_text(text.format(target=address))
                with pytest.raises(VideoFileError):
                    VideoFile(path)
        with pytest.raises(TimeoutError):
            server.accept()


def test_only_containers_that_are_allowed(tmp_path):
    path = write(tmp_path / 'a.mkv', RAMP)
    with pytest.raises(VideoFileError):
        VideoFile(path, ('mov',))
    video = VideoFile(path, ('matroska',))
    assert video.advance()
    video.close()
    known = {part for name in av.formats_available for part in name.split(',')}
    assert set(CONTAINERS) <= known | {'vvc', 'apng'}


def test_name_with_a_colon_and_one_that_is_not_utf_8(tmp_path):
    path = write(tmp_path / 'a.mkv', RAMP)
    for name in (b'12:30.mkv', b'http:', b'caf\xe9.mkv', 'späť %03d.mkv'.encode()):
        other = tmp_path / name.decode(errors='surrogateescape')
        other.write_bytes(path.read_bytes())
        assert len(list(frames(VideoSource(other)))) == 10


def test_unreadable_file_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        VideoFile(tmp_path / 'nowhere.mp4')


def test_memory_does_not_grow_with_the_length(tmp_path):
    code = ('import sys, resource; from pathlib import Path; from fer_ros.media.video_file import VideoFile\n'
            'video = VideoFile(Path(sys.argv[1])); most = []\n'
            'for i in range(1200):\n'
            '    assert video.advance(); video.image()\n'
            '    most.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n'
            'print(most[-1] - most[200])')
    path = write(tmp_path / 'a.mkv', noisy(1200), rate=25)
    grown = int(subprocess.run([sys.executable, '-c', code, path], check=True, capture_output=True, text=True).stdout)
    assert grown < 8_000, f'{grown} KB more after 1200 frames than after 200'


def test_opencv_torch_and_pyav_work_in_one_process(tmp_path):
    """The wheels of OpenCV and PyAV have an FFmpeg each, whose functions have the same names."""
    code = '''if True:
        import sys
        order = sys.argv[2].split(',')
        for name in order:
            __import__(name)
        import av, cv2, numpy, torch
        path = sys.argv[1]
        torch.nn.Conv2d(3, 4, 3)(torch.zeros(1, 3, 16, 16))
        with av.open(path) as container:
            frames = container.decode(video=0)
            capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
            for _ in range(10):
                ours = next(frames).to_ndarray(format='bgr24')
                assert abs(ours.astype(int) - capture.read()[1]).mean() < 3
        writer = cv2.VideoWriter(path + '.avi', cv2.VideoWriter.fourcc(*'mp4v'), 10, (64, 48))
        writer.write(numpy.zeros((48, 64, 3), numpy.uint8))
        writer.release()
    '''
    path = write(tmp_path / 'a.mp4', noisy(10), codec='mpeg4', options={'qscale': '2'})
    for order in ('av,cv2,torch', 'torch,cv2,av'):
        done = subprocess.run([sys.executable, '-c', code, path, order], capture_output=True, text=True, timeout=300)
        assert (done.returncode, done.stderr) == (0, '')


def test_import_opens_no_connection():
    code = '''if True:
        import sys
        def refuse(event, arguments):
            if event in ('socket.connect', 'socket.bind', 'socket.getaddrinfo', 'subprocess.Popen'):
                raise SystemExit(event)
        sys.addaudithook(refuse)
        import av
        with open('/proc/self/net/tcp') as file:
            pass
        import os
        assert not [fd for fd in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{fd}')
                    and os.readlink(f'/proc/self/fd/{fd}').startswith('socket:') and int(fd) > 2]
    '''
    subprocess.run([sys.executable, '-c', code], check=True, timeout=100)


def test_without_pyav_the_remedy_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / 'a.mp4', RAMP)
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(SourceError, match='video needs PyAV: `pip install av`'):
        open_source(str(path))
