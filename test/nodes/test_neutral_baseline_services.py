"""Neutral calibration through the services of fer_node, on a face that does not move."""

import json

import numpy as np
import pytest
from harness import Program, Robot
from std_msgs.msg import String
from std_srvs.srv import Trigger

from fer_ros.media.built_in_clip import portraits


@pytest.fixture(scope='module')
def robot():
    robot = Robot()
    yield robot
    robot.close()


@pytest.fixture(scope='module')
def program(tmp_path_factory, robot):
    with Program(tmp_path_factory.mktemp('calibration') / 'fer.log', half_life=0.0) as program:
        yield program
        assert program.end() == 0, program.log


def head(name):
    """A portrait's face at the same place and of the same size for both, so that one track shows both."""
    if name == 'astronaut':
        return np.repeat(np.repeat(portraits()['astronaut'][2:236, 106:340], 2, 0), 2, 1)
    return portraits()['hopper'][:468, :468]


class Face:
    def __init__(self, robot):
        self.robot = robot
        self.camera = robot.camera()
        self.messages = robot.listen(String, 'fer/faces')
        self.uncalibrated = None
        """Valence of the resting face as the network reads it."""

    def show(self, name, until=None):
        """The face as read after at least five frames of it."""
        self.messages.clear()
        self.robot.show(self.camera, head(name), 12.0, until=lambda: (until() if until else True) and len(
            [m for m in self.messages if json.loads(m.data)['faces']]) >= 5)
        return json.loads(self.messages[-1].data)['faces'][0]

    def calibrate(self, name):
        future = self.robot.start_call(Trigger, 'fer/calibrate_neutral')
        self.show(name, until=future.done)
        return future.result()


@pytest.fixture(scope='module')
def face(robot, program):
    return Face(robot)


def test_no_face_in_sight(face):
    future = face.robot.start_call(Trigger, 'fer/calibrate_neutral')
    face.robot.show(face.camera, np.full((468, 468, 3), 128, np.uint8), until=future.done)
    assert not future.result().success and 'no face to calibrate' in future.result().message


def test_resting_face_reads_near_zero_and_a_smile_stays_one(face):
    before = face.show('hopper')
    face.uncalibrated = before['valence']
    answer = face.calibrate('hopper')
    assert answer.success, answer.message
    assert f'face {before["face_id"]}: valence at rest' in answer.message
    after = face.show('hopper')
    assert after['face_id'] == before['face_id']
    assert abs(after['valence']) < 0.1 and abs(after['raw_valence']) < 0.1
    smile = face.show('astronaut')
    assert smile['face_id'] == before['face_id'], 'the two faces must be one track for this test to mean anything'
    assert smile['valence'] > 0.1


def test_reset_undoes_it(face):
    calibrated = face.show('hopper')
    answer = face.robot.call(Trigger, 'fer/reset_calibration')
    assert answer.success and calibrated['face_id'] in answer.message
    assert face.show('hopper')['valence'] == pytest.approx(face.uncalibrated, abs=0.05)
    assert face.robot.call(Trigger, 'fer/reset_calibration').message == 'no face was calibrated'


def test_one_at_a_time(face):
    first = face.robot.start_call(Trigger, 'fer/calibrate_neutral')
    face.show('hopper')
    second = face.robot.start_call(Trigger, 'fer/calibrate_neutral')
    face.show('hopper', until=second.done)
    assert not second.result().success and 'in progress' in second.result().message
    face.show('hopper', until=first.done)
    assert first.result().success, first.result().message


def test_lost_with_the_track(face):
    assert face.calibrate('hopper').success
    calibrated = face.show('hopper')
    blank = np.full((468, 468, 3), 128, np.uint8)
    face.robot.show(face.camera, blank, seconds=1.5)  # longer than track_timeout
    again = face.show('hopper')
    assert again['face_id'] != calibrated['face_id']
    assert again['valence'] == pytest.approx(face.uncalibrated, abs=0.05)
    assert face.robot.call(Trigger, 'fer/reset_calibration').message == 'no face was calibrated'


def test_it_is_given_up_when_images_stop(face):
    face.show('hopper')
    answer = face.robot.call(Trigger, 'fer/calibrate_neutral')
    assert not answer.success and 'no images for' in answer.message
