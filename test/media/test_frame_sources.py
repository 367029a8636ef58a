import os

import cv2
import numpy as np
import PIL.Image
import pytest

from fer_ros.media.built_in_clip import BuiltInClip
from fer_ros.media.containers import container
from fer_ros.media.frame_sources import STILL_RATE, SourceError, frames, open_source


def grey(level: int, width=64, height=48) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def video_file(path, levels, rate=12.5, codec='mp4v'):
    """A video of plain grey frames, each of its level."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, (64, 48))
    assert writer.isOpened()
    for level in levels:
        writer.write(grey(level))
    writer.release()
    return path


def levels(source) -> list[int]:
    return [round(float(frame.mean())) for frame in frames(source)]


@pytest.fixture
def video(tmp_path):
    return video_file(tmp_path / 'ramp.mp4', range(20, 220, 10))


def test_video_file_gives_every_frame_at_its_rate(video):
    source = open_source(str(video))
    assert (source.rate, source.live) == (12.5, False)
    assert levels(source) == pytest.approx(range(20, 220, 10), abs=5)
    assert source.warning == ''


def test_given_rate_comes_before_the_files_own(video):
    assert open_source(str(video), rate=50.0).rate == 50.0


def test_rewind_and_skip_of_a_video_file(video):
    source = open_source(str(video))
    source.read()
    source.rewind()
    assert source.read().mean() == pytest.approx(20, abs=5)
    source.skip()
    assert source.read().mean() == pytest.approx(40, abs=5)
    source.rewind()
    source.skip()
    assert source.read().mean() == pytest.approx(30, abs=5)


def test_loop_starts_again(video):
    many = frames(open_source(str(video)), loop=True)
    first, *_, again = [next(many) for _ in range(21)]
    assert np.array_equal(first, again)


def test_video_that_ends_half_way_gives_what_there_is_and_warns(tmp_path):
    whole = video_file(tmp_path / 'whole.avi', [60] * 200, codec='MJPG').read_bytes()
    half = tmp_path / 'half.avi'
    half.write_bytes(whole[:len(whole) // 2])
    source = open_source(str(half))
    count = len(levels(source))
    assert 50 < count < 150
    assert f'{half} ends after {count} of 200 frames' in source.warning


def test_truncated_mp4_has_no_index_and_is_refused(video):
    video.write_bytes(video.read_bytes()[:-200])
    with pytest.raises(SourceError, match=r'ramp\.mp4 cannot be opened as a video'):
        open_source(str(video))


@pytest.mark.parametrize('content', [b'', b'plain text\n' * 100, np.random.default_rng(0).bytes(5000)])
def test_what_is_not_a_video_is_refused_in_one_line(tmp_path, content, capfd):
    path = tmp_path / 'film.mp4'
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r'film\.mp4 cannot be opened as a video') as caught:
        open_source(str(path))
    assert '\n' not in str(caught.value)
    assert capfd.readouterr().err == ''


def test_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match=r'no video at .*nowhere\.mp4: give a camera number'):
        open_source(str(tmp_path / 'nowhere.mp4'))


@pytest.mark.parametrize('device', ['87', '/dev/video87'])
def test_missing_camera_is_named_with_those_that_are_there(device):
    with pytest.raises(SourceError, match=r'no camera at /dev/video87: available cameras: (/dev/video|none)'):
        open_source(device)


def test_device_that_is_no_camera_is_refused():
    with pytest.raises(SourceError, match='/dev/null delivers no frames: it is not a camera'):
        open_source('/dev/null')


class Capture:
    """Stands in for cv2.VideoCapture of a camera that is unplugged after two frames."""

    def __init__(self, *_):
        self.left, self.asked = 3, {}

    def isOpened(self):
        return True

    def set(self, key, value):
        self.asked[key] = value

    def get(self, key):
        return self.asked.get(key, 0.0)

    def grab(self):
        self.left -= 1
        return True

    def read(self):
        self.left -= 1
        return (True, grey(100)) if self.left >= 0 else (False, None)

    def release(self):
        pass


def test_camera_is_asked_for_size_and_rate_and_may_be_unplugged(monkeypatch):
    monkeypatch.setattr(cv2, 'VideoCapture', Capture)
    source = open_source('/dev/null', rate=15.0, width=800, height=600)
    assert source.live
    assert source.rate == 15.0
    assert source._capture.asked == {cv2.CAP_PROP_FRAME_WIDTH: 800, cv2.CAP_PROP_FRAME_HEIGHT: 600,
                                     cv2.CAP_PROP_FPS: 15.0}
    assert source.read() is not None
    assert source.read() is not None
    with pytest.raises(SourceError, match='/dev/null delivers no more frames: is it still connected'):
        source.read()


@pytest.fixture
def folder(tmp_path):
    for name, level in (('face10.png', 100), ('face2.PNG', 20), ('face1.jpg', 10), ('notes.txt', 0)):
        path = tmp_path / name
        path.write_text('no picture') if name.endswith('txt') else cv2.imwrite(str(path), grey(level))
    return tmp_path


def test_folder_gives_its_pictures_in_the_order_of_their_numbers(folder):
    source = open_source(str(folder))
    assert source.rate == STILL_RATE
    assert levels(source) == [10, 20, 100]


def test_single_picture(folder):
    assert levels(open_source(str(folder / 'face10.png'))) == [100]


def test_picture_that_cannot_be_read_is_left_out_with_a_warning(folder):
    (folder / 'face5.png').write_bytes(b'\x89PNG broken')
    (folder / 'face6.png').write_bytes(b'')
    source = open_source(str(folder))
    assert levels(source) == [10, 20, 100]
    assert 'face6.png cannot be decoded and is skipped' in source.warning


def test_picture_that_a_phone_has_turned(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    image = grey(0)
    image[:24] = 255
    PIL.Image.fromarray(image).save(tmp_path / 'a.webp', exif=exif, lossless=True)
    frame = open_source(str(tmp_path / 'a.webp')).read()
    assert frame.shape == (64, 48, 3)
    assert frame[:, 30:].mean() > 200, 'what is above in the file is on the right'


@pytest.mark.parametrize('name', ['drive.bag', 'drive.mcap', 'drive', 'drive.mp4', 'drive.jpg'])
@pytest.mark.parametrize('beginning', [b'#ROSBAG V2.0\n', b'\x89MCAP0\r\n', b'SQLite format 3\0'])
def test_bags_are_refused_with_what_plays_them(tmp_path, name, beginning):
    jpeg = cv2.imencode('.jpg', np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))[1].tobytes()
    path = tmp_path / name
    path.write_bytes(beginning + bytes(50) + b'rest'.join([jpeg] * 20))
    with pytest.raises(SourceError, match=rf'{name} is a bag: play it with `ros2 bag play`'):
        open_source(str(path))


def test_folder_of_a_bag_archives_and_pipes_are_refused(tmp_path):
    (tmp_path / 'bag').mkdir()
    (tmp_path / 'bag' / 'metadata.yaml').write_text('rosbag2_bagfile_information:')
    with pytest.raises(SourceError, match='bag is a bag: play it'):
        open_source(str(tmp_path / 'bag'))
    (tmp_path / 'film.mp4.zip').write_bytes(b'PK\x03\x04' + bytes(100))
    with pytest.raises(SourceError, match='unpack it first'):
        open_source(str(tmp_path / 'film.mp4.zip'))
    os.mkfifo(tmp_path / 'pipe.mp4')
    with pytest.raises(SourceError, match='is not a regular file'):
        open_source(str(tmp_path / 'pipe.mp4'))


def test_jpeg_in_an_unknown_file_is_no_video(tmp_path):
    jpeg = cv2.imencode('.jpg', np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))[1].tobytes()
    path = tmp_path / 'dump.bin'
    path.write_bytes(b'unknown format' + b'rest'.join([jpeg] * 20))
    with pytest.raises(SourceError, match=r'dump\.bin contains JPEG images, but begins as no known video or bag does'):
        open_source(str(path))
    (tmp_path / 'stream.mjpeg').write_bytes(jpeg * 20)
    assert len(levels(open_source(str(tmp_path / 'stream.mjpeg')))) == 20


def test_file_is_recognised_without_its_suffix(video, folder):
    assert len(levels(open_source(str(video.rename(folder / 'video'))))) == 20
    source = open_source(str(folder))
    assert source.warning.startswith(f'only the images in {folder} are played') and source.warning.endswith(': video')
    assert levels(open_source(str((folder / 'face10.png').rename(folder / 'picture')))) == [100]


@pytest.mark.parametrize(('suffix', 'codec'), [('avi', 'MJPG'), ('mkv', 'MJPG'), ('mov', 'mp4v'), ('mp4', 'mp4v'),
                                               ('ts', 'mpg2'), ('mpg', 'mpg1'), ('ogv', 'theo'), ('webm', 'VP80'),
                                               ('flv', 'FLV1'), ('wmv', 'WMV2')])
def test_containers_of_videos_are_known(tmp_path, suffix, codec):
    path = tmp_path / f'a.{suffix}'
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), 25, (64, 48))
    if not writer.isOpened():
        pytest.skip(f'this OpenCV writes no {suffix} with {codec}')
    for _ in range(5):
        writer.write(grey(100))
    writer.release()
    assert container(path) == 'video'


def test_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(SourceError, match='no images in'):
        open_source(str(tmp_path))
    (tmp_path / 'broken.jpg').write_bytes(b'broken')
    with pytest.raises(SourceError, match='none of the 1 images'):
        open_source(str(tmp_path))


@pytest.mark.parametrize('name', ['', 'clip'])
def test_built_in_clip(name):
    source = open_source(name, width=320, height=240, rate=5.0)
    clip = BuiltInClip(320, 240, 5.0)
    assert source.rate == 5.0
    source.skip()
    assert np.array_equal(source.read(), clip.frame(1))
    source.rewind()
    assert sum(1 for _ in frames(source)) == len(clip)
