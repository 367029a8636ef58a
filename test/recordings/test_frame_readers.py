"""Frames and times of recordings."""

import numpy as np
import pytest
from reading import read
from videos import (
    clip_frames,
    compressed_message,
    cut,
    image_message,
    index_first,
    rotate,
    vary_rate,
    write_bag,
    write_video,
)

from fer_ros.media.frame_sources import VideoSource
from fer_ros.recordings.frame_readers import open_reader
from fer_ros.recordings.inputs import InputError, find_inputs

S = 1_000_000_000
T0 = 1_700_000_000 * S


def plain(level, width=64, height=48):
    return np.full((height, width, 3), level, np.uint8)


def steps(count=10):
    return [plain(20 * i) for i in range(count)]


def times(frames):
    return [round(f.time_ns / 1e9, 3) for f in frames]


def levels(frames):
    return [round(float(f.image.mean()), -1) for f in frames]


def test_video_frames_in_order_with_their_times(tmp_path):
    frames, warning = read(write_video(tmp_path / 'a.mp4', steps(), rate=10))
    assert times(frames) == [round(i / 10, 3) for i in range(10)]
    assert levels(frames) == [20 * i for i in range(10)]
    assert [f.index for f in frames] == list(range(10))
    assert not warning


def test_variable_frame_rate_is_that_of_the_container(tmp_path):
    path = write_video(tmp_path / 'a.mp4', steps(), rate=10)
    durations = [100, 40, 40, 500, 20, 2000, 100, 33, 67, 100]
    vary_rate(path, durations)
    frames, _ = read(path)
    assert levels(frames) == [20 * i for i in range(10)]
    assert times(frames) == pytest.approx([sum(durations[:i]) / 1000 for i in range(10)], abs=0.002)


def test_times_of_a_video_that_leap_by_more_than_a_day(tmp_path, monkeypatch):
    path = write_video(tmp_path / 'a.mp4', steps(), rate=10)
    # FFmpeg corrects such durations in MP4 files, but not in all containers.
    stamps = [0, 0.1, 0.2, 90_000.2, 90_000.3, *(110_000 + i / 10 for i in range(5))]
    monkeypatch.setattr(VideoSource, 'time_ns', property(lambda source: round(stamps[source._count - 1] * 1e9)))
    frames, warning = read(path)
    assert times(frames) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, *(20_000.1 + i / 10 for i in range(5))], abs=0.002)
    assert f'{path}: its times leap once by more than a day' in warning


def test_every_nth_frame_keeps_numbers_and_times(tmp_path):
    frames, _ = read(write_video(tmp_path / 'a.mp4', steps(), rate=10), every=3)
    assert [f.index for f in frames] == [0, 3, 6, 9]
    assert times(frames) == [0, 0.3, 0.6, 0.9]
    assert levels(frames) == [0, 60, 120, 180]


@pytest.mark.parametrize(('degrees', 'bright'), [(90, 'right'), (180, 'bottom'), (270, 'left')])
def test_rotation_of_the_container_is_honoured(tmp_path, degrees, bright):
    image = plain(0)
    image[:24] = 255  # bright above
    path = write_video(tmp_path / 'a.mp4', [image] * 3)
    rotate(path, degrees)
    picture = read(path)[0][1].image
    assert picture.shape[:2] == ((48, 64) if degrees == 180 else (64, 48))
    halves = {'right': picture[:, 28:], 'left': picture[:, :20], 'bottom': picture[28:]}
    assert halves[bright].mean() > 200


def test_truncated_video_gives_what_there_is_and_a_warning(tmp_path):
    path = write_video(tmp_path / 'a.mp4', clip_frames(0, 5))
    index_first(path)
    assert len(read(path)[0]) == 50
    cut(path, 0.5)
    frames, warning = read(path)
    assert 10 < len(frames) < 45
    assert str(path) in warning
    assert 'of 50 frames' in warning


def test_video_without_index_and_text_are_not_videos(tmp_path):
    path = write_video(tmp_path / 'a.mp4', clip_frames(0, 1))
    cut(path, 0.5)
    text = tmp_path / 'text.mp4'
    text.write_text('not a video\n' * 100)
    empty = tmp_path / 'empty.mp4'
    empty.write_bytes(b'')
    for broken in (path, text, empty):
        with pytest.raises(InputError, match=broken.name):
            read(broken)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('as_file', [False, True])
def test_bag_of_padded_images(tmp_path, storage, as_file):
    messages = [(T0 + i * S // 10 + 5, image_message(plain(20 * i), T0 + i * S // 10, padding=7)) for i in range(10)]
    path = write_bag(tmp_path / 'bag', {'/image': ('sensor_msgs/msg/Image', messages)}, storage)
    if as_file:
        path = next(p for p in path.iterdir() if p.suffix in ('.mcap', '.db3'))
    frames, warning = read(path)
    assert times(frames) == [round(i / 10, 3) for i in range(10)]
    assert [f.image[0, 0, 0] for f in frames] == [20 * i for i in range(10)]
    assert frames[3].image.shape == (48, 64, 3)
    assert not warning


def test_bag_of_compressed_images(tmp_path):
    messages = [(T0 + i, compressed_message(plain(20 * i), T0 + i * S // 4)) for i in range(10)]
    path = write_bag(tmp_path / 'bag', {'/image/compressed': ('sensor_msgs/msg/CompressedImage', messages)})
    frames, _ = read(path)
    assert levels(frames) == [20 * i for i in range(10)]
    assert times(frames) == [i / 4 for i in range(10)]


def test_bag_with_several_topics_asks_which(tmp_path):
    message = [(T0, image_message(plain(100), T0))]
    path = write_bag(tmp_path / 'bag', dict.fromkeys(('/left', '/right'), ('sensor_msgs/msg/Image', message)))
    with pytest.raises(InputError, match='--topic from /left, /right'):
        read(path)
    with pytest.raises(InputError, match='no images on /up'):
        read(path, topic='/up')
    assert len(read(path, topic='/right')[0]) == 1


def test_a_topic_without_messages_is_no_choice(tmp_path):
    message = [(T0, image_message(plain(100), T0))]
    kind = 'sensor_msgs/msg/Image'
    path = write_bag(tmp_path / 'bag', {'/left': (kind, message), '/right': (kind, [])})
    assert len(read(path)[0]) == 1
    with pytest.raises(InputError, match='contains no messages of type sensor_msgs/msg/Image'):
        read(write_bag(tmp_path / 'none', {'/left': (kind, [])}))


def test_bag_without_images_and_broken_bags_are_named(tmp_path):
    def text(store):
        return store.types['std_msgs/msg/String']('hello')
    path = write_bag(tmp_path / 'bag', {'/chatter': ('std_msgs/msg/String', [(T0, text)])})
    with pytest.raises(InputError, match=r'sensor_msgs/msg/Image'):
        read(path)
    for name in ('a.mcap', 'a.db3'):
        (tmp_path / name).write_bytes(b'nothing of the kind')
        with pytest.raises(InputError, match=name):
            read(tmp_path / name)


def test_images_that_cannot_be_read_are_left_out_and_counted(tmp_path):
    messages = [(T0 + i, image_message(plain(20 * i), T0 + i * S // 10, encoding='bgr8' if i != 4 else 'what'))
                for i in range(10)]
    frames, warning = read(write_bag(tmp_path / 'bag', {'/image': ('sensor_msgs/msg/Image', messages)}))
    assert [f.index for f in frames] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert '1 images could not be decoded' in warning
    assert "'what'" in warning
    bad = [(T0 + i, image_message(plain(0), T0 + i, encoding='what')) for i in range(3)]
    with pytest.raises(InputError, match='none of the 3 images'):
        read(write_bag(tmp_path / 'bad', {'/image': ('sensor_msgs/msg/Image', bad)}))


def test_stamps_of_zero_late_and_begun_anew(tmp_path):
    def bag(name, stamps):
        messages = [(T0 + i * S // 10, image_message(plain(20 * i), stamp)) for i, stamp in enumerate(stamps)]
        return read(write_bag(tmp_path / name, {'/image': ('sensor_msgs/msg/Image', messages)}))
    unstamped, _ = bag('zero', [0] * 5)
    assert times(unstamped) == [0, 0.1, 0.2, 0.3, 0.4]
    late, warning = bag('late', [T0, T0 + S, T0 + S // 2, T0 + S, T0 + 2 * S])
    assert times(late) == [0, 1, 2]
    assert '2 images were skipped because their stamp was not newer' in warning
    anew, warning = bag('anew', [T0 + 100 * S, T0 + 101 * S, T0 + 3 * S, T0 + 4 * S])
    assert times(anew) == [0, 1, 1.1, 2.1]
    assert 'stamps leap once by -98.000 s' in warning


def test_inputs_have_names_that_differ(tmp_path):
    for folder in ('a', 'b'):
        (tmp_path / folder).mkdir()
        write_video(tmp_path / folder / 'clip.mp4', steps(1))
    write_video(tmp_path / 'a' / 'other.avi', steps(1))
    (tmp_path / 'a' / 'notes.txt').write_text('')
    (tmp_path / 'out').mkdir()
    write_video(tmp_path / 'out' / 'clip.mp4', steps(1))
    items = find_inputs([str(tmp_path)], leave_out=tmp_path / 'out')
    assert [(item.name, item.kind) for item in items] == [
        ('a_clip.mp4', 'video'), ('other', 'video'), ('b_clip.mp4', 'video')]


def test_an_input_named_twice_is_one(tmp_path):
    path = write_video(tmp_path / 'a.mp4', steps(1))
    assert len(find_inputs([str(path), str(tmp_path)])) == 1


def test_inputs_that_are_not_there_are_named(tmp_path):
    with pytest.raises(InputError, match=r'missing\.mp4'):
        find_inputs([str(tmp_path / 'missing.mp4')])
    with pytest.raises(InputError, match=str(tmp_path)):
        find_inputs([str(tmp_path)])
    (item,) = find_inputs(['63'])
    with pytest.raises(InputError, match='/dev/video63'):
        open_reader(item)
