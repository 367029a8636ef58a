"""Neutral calibration through the services of fer_node, on a face that does not move."""

import signal

import numpy as np
import pytest
from harness import Program, Robot, stamped
from std_msgs.msg import String
from std_srvs.srv import Trigger

from fer_ros.media.built_in_clip import portraits

STEP = 83_333_333
"""Nanoseconds from one image to the next by their stamps, by which a calibration lasts two seconds, however long the
node takes for it."""
PATIENT = ('import signal; from fer_ros.nodes import neutral_baseline_services as services; services.PATIENCE = 600.0; '
           'signal.signal(signal.SIGUSR1, lambda *_: setattr(services, "PATIENCE", 0.5))')
"""Gives no calibration up because the machine is slow, until SIGUSR1 comes."""
BLANK = np.full((468, 468, 3), 128, np.uint8)


@pytest.fixture(scope='module')
def robot():
    robot = Robot()
    yield robot
    robot.close()


@pytest.fixture(scope='module')
def program(tmp_path_factory, robot):
    with Program(tmp_path_factory.mktemp('calibration') / 'fer.log', first=PATIENT, half_life=0.0) as program:
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
        self.stamp = robot.now
        self.uncalibrated = None
        """Valence of the resting face as the network reads it."""

    def look(self, image):
        """What the node finds in the next image."""
        self.stamp += STEP
        return self.robot.ask(self.camera, stamped(image, self.stamp), self.messages)

    def show(self, name, until=lambda: True):
        """The face as read after at least five frames of it."""
        for _ in range(5):
            frame = self.look(head(name))
        while not until():
            frame = self.look(head(name))
        return frame.faces[0]

    def calibrate(self, name):
        future = self.robot.start_call(Trigger, 'fer/calibrate_neutral')
        self.show(name, until=future.done)
        return future.result()


@pytest.fixture(scope='module')
def face(robot, program):
    return Face(robot)


def test_no_face_in_sight(face):
    future = face.robot.start_call(Trigger, 'fer/calibrate_neutral')
    while not future.done():
        face.look(BLANK)
    assert not future.result().success and 'no face to calibrate' in future.result().message


def test_resting_face_reads_near_zero_and_a_smile_stays_one(face):
    before = face.show('hopper')
    face.uncalibrated = before.valence
    answer = face.calibrate('hopper')
    assert answer.success, answer.message
    assert f'face {before.face_id}: valence at rest' in answer.message
    after = face.show('hopper')
    assert after.face_id == before.face_id
    assert abs(after.valence) < 0.1 and abs(after.raw_valence) < 0.1
    smile = face.show('astronaut')
    assert smile.face_id == before.face_id, 'the two faces must be one track for this test to mean anything'
    assert smile.valence > 0.1


def test_reset_undoes_it(face):
    calibrated = face.show('hopper')
    answer = face.robot.call(Trigger, 'fer/reset_calibration')
    assert answer.success and calibrated.face_id in answer.message
    assert face.show('hopper').valence == pytest.approx(face.uncalibrated, abs=0.05)
    assert face.robot.call(Trigger, 'fer/reset_calibration').message == 'no face was calibrated'


def test_one_at_a_time(face):
    first = face.robot.start_call(Trigger, 'fer/calibrate_neutral')
    face.show('hopper')
    second = face.robot.start_call(Trigger, 'fer/calibrate_neutral')
    face.robot.wait(second.done, 'for the second, while no image lets the first end')
    assert not second.result().success and 'in progress' in second.result().message
    face.show('hopper', until=first.done)
    assert first.result().success, first.result().message


def test_lost_with_the_track(face):
    assert face.calibrate('hopper').success
    calibrated = face.show('hopper')
    face.look(BLANK)
    face.stamp += 1_500_000_000  # longer than track_timeout
    face.look(BLANK)
    again = face.show('hopper')
    assert again.face_id != calibrated.face_id
    assert again.valence == pytest.approx(face.uncalibrated, abs=0.05)
    assert face.robot.call(Trigger, 'fer/reset_calibration').message == 'no face was calibrated'


def test_it_is_given_up_when_images_stop(face, program):
    face.show('hopper')
    program.process.send_signal(signal.SIGUSR1)
    answer = face.robot.call(Trigger, 'fer/calibrate_neutral')
    assert not answer.success and 'no images for' in answer.message
