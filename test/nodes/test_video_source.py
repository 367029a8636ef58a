import itertools
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from harness import PATIENCE, ROOT, Program, Robot, stamp_of
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from fer_ros.nodes.image_conversion import to_bgr


@pytest.fixture(scope='module')
def robot():
    robot = Robot()
    yield robot
    robot.close()


def source(log, *arguments, **parameters) -> Program:
    return Program(log, *arguments, module='fer_ros.nodes.video_source', **parameters)


def listen(robot, topic) -> list:
    """Keeps the images of some seconds in which the test's process does nothing."""
    received = []
    robot.node.create_subscription(Image, topic, received.append,
                                   QoSProfile(depth=300, reliability=ReliabilityPolicy.BEST_EFFORT))
    return received


def video(path, levels, codec='MJPG'):
    """Frames of these grey levels."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 30.0, (64, 48))
    for level in levels:
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    return path


def test_built_in_clip_in_real_time(robot, tmp_path):
    images = listen(robot, '/clip/image_raw')
    with source(tmp_path / 'log', '-r', '__ns:=/clip', rate=20.0, frame_id='front', width=320, height=240) as program:
        def stamps():
            return [stamp_of(message) * 1e-9 for message in images]
        # Never much faster than it should be; not slower than half, but while the machine is busy with other things.
        robot.wait(lambda: len(images) > 40 and any(last - first < 2.0 for first, last in zip(
            stamps(), stamps()[20:], strict=False)), 'for 20 images within two seconds')
        assert (len(images) - 1) / (stamps()[-1] - stamps()[0]) < 22
        assert all(a < b for a, b in itertools.pairwise(stamps()))
        assert abs(robot.now * 1e-9 - stamps()[-1]) < 60
        first = images[0]
        assert (first.header.frame_id, first.encoding, first.width, first.height) == ('front', 'bgr8', 320, 240)
        publisher, = robot.node.get_publishers_info_by_topic('/clip/image_raw')
        assert publisher.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
        assert program.end(signal.SIGTERM) == 0
        assert 'Traceback' not in program.log


def test_video_file_that_is_not_looped_ends_the_program(robot, tmp_path):
    """What is late is skipped, a second at most at once: its last four seconds look all alike."""
    images = listen(robot, '/once/image_raw')
    ramp = [min(10 + 2 * i, 250) for i in range(240)]
    with source(tmp_path / 'log', '-r', '__ns:=/once', video=video(tmp_path / 'a.avi', ramp), loop=False,
                reliable=True) as program:
        robot.wait(lambda: program.process.poll() is not None)
        assert program.process.returncode == 0
        assert 'a.avi has ended' in program.log

    def levels():
        return [round(float(to_bgr(message).mean())) for message in images]
    robot.wait(lambda: images and levels()[-1] == pytest.approx(250, abs=5), 'for the end of the video')
    assert levels() == sorted(levels())
    assert len(images) > 10


def test_video_file_that_ends_half_way_is_looped_with_a_warning(robot, tmp_path):
    path = video(tmp_path / 'a.avi', range(10, 70))
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
    images = listen(robot, '/half/image_raw')
    with source(tmp_path / 'log', '-r', '__ns:=/half', video=path) as program:
        robot.wait(lambda: len(images) > 90)
        assert program.log.count('frames: it is damaged') == 1
        assert '[WARN]' in program.log
        assert program.end() == 0


def test_images_are_turned_where_that_is_wanted(robot, tmp_path):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24] = 255  # bright above
    cv2.imwrite(str(tmp_path / 'a.png'), picture)
    images = listen(robot, '/turned/image_raw')
    with source(tmp_path / 'log', '-r', '__ns:=/turned', video=tmp_path / 'a.png', rotate=270) as program:
        robot.wait(lambda: images)
        assert program.end() == 0
    assert np.array_equal(to_bgr(images[0]), np.rot90(picture))


@pytest.mark.parametrize(('value', 'told'), [
    ('/no/such/video.mp4', 'no video at /no/such/video.mp4'), (str(ROOT / 'LICENSE'), 'cannot be opened as a video'),
    ('"87"', 'no camera at /dev/video87'), ('/dev/video87', 'no camera at /dev/video87'),
    (str(ROOT), 'no images in')])
def test_source_that_cannot_be_opened_ends_the_program_with_one_line(value, told):
    done = subprocess.run([sys.executable, '-m', 'fer_ros.nodes.video_source', '--ros-args', '-p', f'video:={value}'],
                          cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    lines = [line for line in done.stderr.splitlines() if line]
    assert done.returncode == 1
    assert len(lines) == 1 and lines[0].startswith('[FATAL]') and told in lines[0], done.stderr
