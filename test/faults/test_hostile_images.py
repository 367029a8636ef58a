"""Random, damaged and hostile images: decoded or refused, in thousands, and sent to a running node."""

import json
import time

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import PATIENCE, Program, Robot, stamp_of
from hostile import compressed, pixels, raw
from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

from fer_ros.media.built_in_clip import portraits
from fer_ros.nodes.image_conversion import ENCODINGS, MAX_PIXELS, ConversionError, compressed_to_bgr, to_bgr, to_message

pytestmark = pytest.mark.filterwarnings('ignore::UserWarning:PIL')  # of damaged TIFF

MESSAGES = 1000
"""Sent over DDS."""
QUEUE = 200
"""Messages; so that the node gets all of them."""
MEMORY = 200.0
"""MB that the node may need beyond what it had: one picture of the largest size that messages here have, and room."""


def picture_or_refusal(decoder, message) -> bool:
    """Whether it is a picture; any other outcome than a picture or `ConversionError` fails."""
    try:
        image = decoder(message)
    except ConversionError as error:
        assert str(error)
        return False
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    assert 0 < image.shape[0] * image.shape[1] <= MAX_PIXELS
    image.sum()  # every byte of it can be read
    return True


def test_hostile_images_become_pictures_or_are_refused():
    pictures = [picture_or_refusal(to_bgr, message) for message in raw(10_000, seed=1)]
    assert 0.05 < np.mean(pictures) < 0.6, 'both occur often'


def test_hostile_compressed_images_become_pictures_or_are_refused():
    pictures = [picture_or_refusal(compressed_to_bgr, message) for message in compressed(3_000, seed=2)]
    assert 0.05 < np.mean(pictures) < 0.6, 'both occur often'


UINT32 = st.one_of(st.integers(0, 70), st.integers(0, 2**32 - 1))


@settings(max_examples=1000)
@given(encoding=st.one_of(st.sampled_from(ENCODINGS), st.text(max_size=20)), width=UINT32, height=UINT32, step=UINT32,
       bigendian=st.integers(0, 255), data=st.binary(max_size=3000))
def test_any_fields_become_a_picture_of_that_size_or_are_refused(encoding, width, height, step, bigendian, data):
    message = Image(encoding=encoding, width=width, height=height, step=step, is_bigendian=bigendian)
    message.data.frombytes(data)
    if picture_or_refusal(to_bgr, message):
        assert to_bgr(message).shape == (height, width, 3)


@settings(max_examples=1000)
@given(start=st.sampled_from((b'', b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n', b'II*\0\x08\0\0\0', b'MM\0*\0\0\0\x08')),
       data=st.binary(max_size=500), name=st.text(max_size=10))
def test_any_bytes_become_a_picture_or_are_refused(start, data, name):
    message = CompressedImage(format=name)
    message.data.frombytes(start + data)
    picture_or_refusal(compressed_to_bgr, message)


class Node:
    """The running node, which must answer a good picture after whatever it was sent."""

    def __init__(self, program: Program, robot: Robot):
        self.program, self.robot = program, robot
        self.faces = robot.listen(String, 'fer/faces')
        self.reports = robot.listen(DiagnosticArray, '/diagnostics')

    def connect(self, message_type: type, topic: str):
        """A camera that loses nothing."""
        camera = self.robot.node.create_publisher(message_type, topic, QUEUE)
        self.robot.wait(lambda: camera.get_subscription_count() == 1, 'for the node')
        return camera

    def endures(self, camera, messages, good) -> None:
        """All of `messages` arrive, none ends it, and then it answers pictures that `good` makes of a header."""
        messages = list(messages)
        self.answers(camera, good)
        memory, before = self.program.memory, self.count('received')
        self.program.forget_peak()
        sent, end = 0, time.monotonic() + PATIENCE
        # The slower the machine, the more of them are replaced by newer ones before it looks at them.
        while not sent or self.count('bad') <= len(messages) / 10:
            assert time.monotonic() < end, 'it has looked at few of them'
            for number, message in enumerate(messages, 1):
                camera.publish(message)
                self.robot.spin(0.004)
                assert self.program.process.poll() is None, self.program.log[-3000:]
                if number % 100 == 0:
                    self.answers(camera, good)
            sent += len(messages)
        assert self.count('received') >= before + sent
        assert self.program.peak_memory < memory + MEMORY

    def answers(self, camera, good) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            header = self.robot.header()
            self.faces.clear()
            camera.publish(good(header))
            self.robot.spin(0.5, until=lambda header=header: self.answers_to(header))
            if any(frame['faces'] for frame in self.answers_to(header)):
                return
        raise AssertionError(f'it finds no face any more; the log says {self.program.log[-3000:]}')

    def answers_to(self, header) -> list[dict]:
        """What was found in the image with this header."""
        frames = [json.loads(message.data) for message in self.faces]  # hostile stamps cannot be decoded
        stamp = {'sec': header.stamp.sec, 'nanosec': header.stamp.nanosec}
        return [frame for frame in frames if frame['stamp'] == stamp]

    def count(self, kind: str) -> int:
        """What the next report says of frames since activation."""
        since = self.robot.now
        self.robot.wait(lambda: self.reports and stamp_of(self.reports[-1]) > since)
        return next(int(value.value) for value in self.reports[-1].status[0].values
                    if value.key == f'{kind} since activation')

    def change(self, *transitions) -> None:
        for transition in transitions:
            assert self.robot.call(ChangeState, 'fer/change_state', ChangeState.Request(
                transition=Transition(id=transition))).success, self.program.log


@pytest.fixture(scope='module')
def node(tmp_path_factory):
    robot = Robot()
    overrides = (part for topic in ('/image', '/image/compressed')
                 for name, value in (('reliability', 'reliable'), ('depth', QUEUE))
                 for part in ('-p', f'qos_overrides.{topic}.subscription.{name}:={value}'))
    with Program(tmp_path_factory.mktemp('hostile') / 'fer.log', *overrides) as program:
        yield Node(program, robot)
        assert program.end() == 0, program.log
        assert 'Traceback' not in program.log and 'internal error' not in program.log, program.log
    robot.close()


def test_a_running_node_endures_hostile_images(node):
    picture = portraits()['astronaut']
    node.endures(node.connect(Image, 'image'), raw(MESSAGES, seed=3), lambda header: to_message(picture, header))
    assert 'frame on /image ignored' in node.program.log


def test_a_running_node_endures_hostile_compressed_images(node):
    node.change(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
    parameter = Parameter(name='image_transport', value=ParameterValue(type=ParameterType.PARAMETER_STRING,
                                                                       string_value='compressed'))
    assert node.robot.call(SetParameters, 'fer/set_parameters',
                           SetParameters.Request(parameters=[parameter])).results[0].successful
    node.change(Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
    jpeg = cv2.imencode('.jpg', portraits()['astronaut'])[1].tobytes()
    node.endures(node.connect(CompressedImage, 'image/compressed'), compressed(300, seed=4),
                 lambda header: CompressedImage(header=header, format='jpeg', data=pixels(jpeg)))
    assert 'frame on /image/compressed ignored' in node.program.log
