"""The disk is full while files are written: a limit on the size of files does to a running process what a full disk
does, for every user."""

import csv
import math
import resource
import signal

import cv2
import numpy as np
import pytest
from harness import Program, Robot, stamp_of
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

from fer_ros.nodes.image_conversion import to_message
from fer_ros.results.faces import FaceEmotion, FacesFrame, encode

FULL = 20_000
"""Bytes that a file may have; less than a table of `FRAMES`, more than a log."""
FRAMES = 300


@pytest.fixture
def robot():
    robot = Robot()
    yield robot
    robot.close()


def limit(program: Program, size: int) -> None:
    _, hard = resource.prlimit(program.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(program.process.pid, resource.RLIMIT_FSIZE, (size, hard))


class Faces:
    """What fer_node would publish: two faces, 30 frames/s."""

    def __init__(self, robot: Robot, node: str):
        self._robot, self._number = robot, 0
        self._publisher = robot.node.create_publisher(String, 'fer/faces', 1000)
        robot.wait(lambda: self._publisher.get_subscription_count() == 1, 'for the program')
        robot.meet(node)

    def send(self, count: int) -> int:
        """The last stamp, in nanoseconds."""
        for _ in range(count):
            t = self._number / 30
            stamp = 1_700_000_000_000_000_000 + round(t * 1e9)
            faces = tuple(FaceEmotion(name, (10.0, 20.0, 30.0, 40.0), (0, 0, 0, 1, 0, 0, 0), 'happy', 0.9,
                                      math.sin(t), math.cos(t)) for name in ('fa', 'fb'))
            self._publisher.publish(String(data=encode(
                FacesFrame(stamp, 'camera', 640, 480, faces, 'fa'))))
            self._number += 1
            self._robot.spin(0.003)
        return stamp


def test_plot_says_so_lives_on_and_leaves_no_half_file(robot, tmp_path):
    out = tmp_path / 'out'
    with Program(tmp_path / 'log.txt', module='fer_ros.nodes.valence_plot', window=False, output_dir=out) as program:
        faces, plots = Faces(robot, 'valence_plot'), robot.listen(Image, 'valence_plot/plot')

        def save():
            return robot.call(Trigger, 'valence_plot/save')

        def send(count):
            """All that was sent is in the plot: a service may overtake the frames."""
            last = faces.send(count)
            robot.wait(lambda: plots and stamp_of(plots[-1]) == last, 'for the last frame')
        send(FRAMES)
        assert save().success
        for path in out.iterdir():
            path.unlink()
        limit(program, FULL)
        answer = save()
        assert not answer.success
        assert 'nothing saved' in answer.message and 'too large' in answer.message
        assert list(out.iterdir()) == []
        limit(program, resource.RLIM_INFINITY)
        send(30)
        assert save().success
        (table,), (picture,) = out.glob('*.csv'), out.glob('*.png')
        with table.open(newline='') as file:
            rows = list(csv.DictReader(file))
        assert len(rows) > FRAMES and all(None not in row.values() for row in rows)
        assert cv2.imread(str(picture)).shape == (400, 960, 3)
        table.unlink()
        picture.unlink()
        limit(program, FULL)
        assert program.end(signal.SIGTERM) == 0, program.log
    assert program.log.count('nothing saved') == 2, 'at the end too'
    assert 'Traceback' not in program.log
    assert list(out.iterdir()) == []


def test_live_table_says_so_and_leaves_no_half_recording(robot, tmp_path):
    with Program(tmp_path / 'log.txt', module='fer_ros.nodes.live_table', video=tmp_path / 'out' / 'a.mp4') as program:
        camera = robot.node.create_publisher(Image, 'fer/annotated', QoSProfile(depth=5))
        robot.wait(lambda: camera.get_subscription_count() == 1, 'for the program')
        faces = Faces(robot, 'live_table')
        noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
        for number in range(30):
            camera.publish(to_message(np.roll(noise, number, 0), robot.header()))
            robot.spin(0.04)
            if number == 5:
                limit(program, FULL)

        def told():
            """It shows the faces of the last two seconds, every two seconds."""
            faces.send(10)
            return 'fa ' in program.log
        robot.wait(told, 'for the table')
        assert program.end() == 0, program.log
    assert 'a.mp4: the video cannot be written: File too large' in program.log
    assert 'Traceback' not in program.log
    assert list((tmp_path / 'out').iterdir()) == []
