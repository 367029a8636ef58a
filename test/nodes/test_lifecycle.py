"""Every way through the life of fer_node, which runs as a process of its own."""

import itertools
import json
import re

import cv2
import numpy as np
import pytest
from harness import Program, Robot, stamped
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from std_msgs.msg import Float32, String
from std_srvs.srv import Trigger

from fer_ros.media.built_in_clip import portraits


class Managed:
    """The robot's view of the node."""

    def __init__(self, program, robot):
        self.program, self.robot = program, robot
        self.camera = robot.camera()
        self.faces = robot.listen(String, 'fer/faces')
        self.valence = robot.listen(Float32, 'fer/valence')
        self.picture = scene(1.0)

    def change(self, transition):
        return self.robot.call(ChangeState, 'fer/change_state',
                               ChangeState.Request(transition=Transition(id=transition))).success

    @property
    def state(self):
        return self.robot.call(GetState, 'fer/get_state').current_state.id

    def set(self, name, value):
        kinds = {bool: ('bool_value', ParameterType.PARAMETER_BOOL), float: ('double_value',
                 ParameterType.PARAMETER_DOUBLE), str: ('string_value', ParameterType.PARAMETER_STRING),
                 int: ('integer_value', ParameterType.PARAMETER_INTEGER)}
        field, kind = kinds[type(value)]
        parameter = Parameter(name=name, value=ParameterValue(type=kind, **{field: value}))
        return self.robot.call(SetParameters, 'fer/set_parameters',
                               SetParameters.Request(parameters=[parameter])).results[0]

    def see_faces(self):
        """Show the scene until both faces are found in an image that was taken after this call; returns the answer."""
        return self.see(lambda answer: len(answer['faces']) == 2)

    def see(self, condition):
        """Show the scene until there is such an answer to an image that was taken after this call; returns it."""
        since, found = self.robot.now, []
        self.faces.clear()

        def seen():
            found[:] = [answer for answer in self.answers(since) if condition(answer)]
            return found
        self.robot.show(self.camera, self.picture, until=seen)
        return found[-1]

    def answers(self, since):
        """What has come about images that were taken at `since` (nanoseconds) or later."""
        answers = [json.loads(message.data) for message in self.faces]
        return [answer for answer in answers if stamp_of(answer) >= since]


def stamp_of(answer):
    return answer['stamp']['sec'] * 1_000_000_000 + answer['stamp']['nanosec']


def scene(size_of_second):
    """The two portraits side by side with faces of the same size, but for the second one's factor."""
    image = np.full((480, 640, 3), 128, np.uint8)
    heads = portraits()['astronaut'][2:236, 106:340], portraits()['hopper'][:512]
    for i, (head, factor) in enumerate(zip(heads, (1.0, size_of_second), strict=True)):
        side = round(260 * factor)
        image[100:100 + side, 10 + 320 * i:10 + 320 * i + side] = cv2.resize(head, (side, side),
                                                                            interpolation=cv2.INTER_AREA)
    return image


@pytest.fixture(scope='module')
def managed(tmp_path_factory):
    robot = Robot()
    with Program(tmp_path_factory.mktemp('lifecycle') / 'fer.log', autostart=False, model='/no/such/model.safetensors',
                 image_transport='raw') as program:
        yield Managed(program, robot)
        assert program.end() == 0, program.log
    robot.close()


# The tests of this module lead one node through its life, in this order.

def test_starts_unconfigured(managed):
    assert managed.state == State.PRIMARY_STATE_UNCONFIGURED


def test_failed_configure_leaves_it_unconfigured_with_the_reason_logged(managed):
    assert not managed.change(Transition.TRANSITION_CONFIGURE)
    assert managed.state == State.PRIMARY_STATE_UNCONFIGURED
    assert 'not configured' in managed.program.log and '/no/such/model.safetensors' in managed.program.log


@pytest.mark.parametrize('transition', [Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE,
                                        Transition.TRANSITION_CLEANUP, 99])
def test_a_transition_that_the_state_does_not_allow_is_refused(managed, transition):
    assert not managed.change(transition)
    assert managed.state == State.PRIMARY_STATE_UNCONFIGURED
    # By this package; from Kilted on rclpy rejects it first.
    assert re.search(rf'transition {transition} rejected|Unable to start transition {transition} ', managed.program.log)


def test_configures_with_the_corrected_parameter(managed):
    assert managed.set('model', '').successful
    assert managed.change(Transition.TRANSITION_CONFIGURE)
    assert managed.state == State.PRIMARY_STATE_INACTIVE


def test_inactive_it_does_not_subscribe(managed):
    assert managed.robot.node.count_subscribers('image') == 0
    answer = managed.robot.call(Trigger, 'fer/calibrate_neutral')
    assert not answer.success and answer.message == 'the node is not active'


def test_active_it_answers_frames(managed):
    assert managed.change(Transition.TRANSITION_ACTIVATE)
    managed.see_faces()
    managed.robot.wait(lambda: managed.valence)
    assert not managed.change(Transition.TRANSITION_ACTIVATE), 'it is active already'
    managed.see_faces()


@pytest.mark.parametrize(('name', 'value', 'reason'), [
    ('half_life', 11.0, 'range'), ('half_life', -0.1, 'range'), ('max_faces', 0, 'range'),
    ('rotate', 45, 'one of 0, 90, 180, 270'), ('primary_face', 'smallest', 'largest, oldest, centre'),
    ('model', 'other.safetensors', 'deactivate and clean up'),
    ('detector', 'full', 'deactivate and clean up'), ('autostart', True, 'read'), ('half_life', 'long', 'type')])
def test_refused_parameters(managed, name, value, reason):
    before = managed.robot.call(GetParameters, 'fer/get_parameters', GetParameters.Request(names=[name])).values
    result = managed.set(name, value)
    assert not result.successful and reason in result.reason.lower(), result.reason
    assert managed.robot.call(GetParameters, 'fer/get_parameters',
                              GetParameters.Request(names=[name])).values == before


@pytest.mark.parametrize(('name', 'value'), [('half_life', 0.0), ('primary_face', 'centre'), ('annotated', False),
                                             ('detection_confidence', 0.4), ('warn_rate', 3.0), ('primary_hold', 0.5)])
def test_accepted_parameters(managed, name, value):
    result = managed.set(name, value)
    assert result.successful, result.reason


def test_a_parameter_takes_effect_while_running(managed):
    managed.see_faces()
    assert managed.set('detection_confidence', 1.0).successful
    managed.see(lambda answer: not answer['faces'])
    assert managed.set('detection_confidence', 0.5).successful
    managed.see_faces()


def test_turned_images_are_seen_as_new_ones_and_boxes_are_in_them(managed):
    before = managed.see_faces()
    upright = managed.picture
    managed.picture = np.ascontiguousarray(np.rot90(upright))  # as a camera sees them that is rolled clockwise
    assert managed.set('rotate', 90).successful
    try:
        managed.see_faces()
        after = managed.see_faces()
    finally:
        managed.picture = upright
        assert managed.set('rotate', 0).successful
    assert after['image'] == before['image'] == {'width': 640, 'height': 480}
    assert not {face['face_id'] for face in before['faces']} & {face['face_id'] for face in after['faces']}
    boxes = [sorted(tuple(face['box'].values()) for face in frame['faces']) for frame in (before, after)]
    assert len(boxes[0]) == 2
    assert np.allclose(*boxes, atol=1), boxes
    managed.see_faces()


def test_description_and_range(managed):
    described = managed.robot.call(DescribeParameters, 'fer/describe_parameters', DescribeParameters.Request(
        names=['half_life', 'max_faces', 'primary_face'])).descriptors
    assert 'old expression counts half' in described[0].description and '[s]' in described[0].description
    assert (described[0].floating_point_range[0].from_value, described[0].floating_point_range[0].to_value) == (0, 10)
    assert (described[1].integer_range[0].from_value, described[1].integer_range[0].to_value) == (1, 64)
    assert described[2].additional_constraints == 'one of largest, oldest, centre'


def test_primary_face_does_not_flicker_between_faces_of_similar_size(managed):
    assert managed.set('primary_face', 'largest').successful
    # Ten images per second by their stamps, however long each takes.
    random, start = np.random.default_rng(0), managed.robot.now - 6_000_000_000
    frames = [managed.robot.ask(managed.camera, stamped(scene(random.uniform(1.04, 1.14)), start + i * 100_000_000),
                                managed.faces) for i in range(60)]
    assert all(len(frame.faces) == 2 for frame in frames[-50:])
    sizes = [frame.faces[0].face_id for frame in frames]
    assert len(set(sizes)) == 2, 'either face must have been the largest now and then'
    changes = sum(a.primary != b.primary for a, b in itertools.pairwise(frames))
    assert changes <= 1


def test_deactivated_it_is_silent_and_activated_it_goes_on(managed):
    assert managed.change(Transition.TRANSITION_DEACTIVATE)
    since = managed.robot.now
    managed.robot.show(managed.camera, managed.picture, seconds=1.0)
    assert not managed.answers(since)
    assert managed.change(Transition.TRANSITION_ACTIVATE)
    managed.see_faces()


def test_cleanup_gives_memory_back_and_it_can_be_configured_again(managed):
    memory = {'active': managed.program.memory}
    for cycle in range(3):
        assert managed.change(Transition.TRANSITION_DEACTIVATE)
        memory[f'inactive {cycle}'] = managed.program.memory
        assert managed.change(Transition.TRANSITION_CLEANUP)
        assert managed.state == State.PRIMARY_STATE_UNCONFIGURED
        memory[f'unconfigured {cycle}'] = managed.program.memory
        assert managed.change(Transition.TRANSITION_CONFIGURE)
        assert managed.change(Transition.TRANSITION_ACTIVATE)
        managed.see_faces()
        memory[f'active {cycle}'] = managed.program.memory
    print(memory)
    # The first cycle does not count: libraries take memory when they are used for the first time.
    assert memory['unconfigured 1'] < memory['active 0'] - 20
    assert memory['unconfigured 2'] < memory['unconfigured 0'] + 30, 'memory is lost with each cycle'


def test_structural_parameter_applies_at_the_next_configure(managed):
    assert managed.change(Transition.TRANSITION_DEACTIVATE)
    assert managed.change(Transition.TRANSITION_CLEANUP)
    assert managed.set('detector', 'full').successful
    assert managed.change(Transition.TRANSITION_CONFIGURE)
    assert managed.change(Transition.TRANSITION_ACTIVATE)
    managed.see_faces()


def test_shutdown_while_frames_arrive(managed):
    shutdown = managed.robot.start_call(ChangeState, 'fer/change_state', ChangeState.Request(
        transition=Transition(id=Transition.TRANSITION_ACTIVE_SHUTDOWN)))
    managed.robot.show(managed.camera, managed.picture, 60.0, until=shutdown.done)
    assert shutdown.result().success
    assert managed.state == State.PRIMARY_STATE_FINALIZED
    assert managed.program.process.poll() is None
    assert 'Traceback' not in managed.program.log and 'internal error' not in managed.program.log
