"""The weights file is replaced or removed while the node runs."""

import os
import shutil

import pytest
from harness import ROOT, Program, Robot, stamped
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from std_msgs.msg import String

from fer_ros.media.built_in_clip import portraits

SHIPPED = ROOT / 'models' / 'msfernet.safetensors'


class Session:
    def __init__(self, program: Program, robot: Robot, path):
        self.program, self.robot, self.path = program, robot, path
        self.camera = robot.camera('image')
        self.faces = robot.listen(String, 'fer/faces')

    def change(self, transition: int) -> bool:
        return self.robot.call(ChangeState, 'fer/change_state',
                               ChangeState.Request(transition=Transition(id=transition))).success

    def state(self) -> int:
        return self.robot.call(GetState, 'fer/get_state').current_state.id

    def probabilities(self) -> tuple[float, ...]:
        """What the node reads in the portrait, whose face is a new one."""
        self.robot.show(self.camera, portraits()['astronaut'] * 0, seconds=1.5)  # longer than track_timeout
        while not (frame := self.robot.ask(self.camera, stamped(portraits()['astronaut'], self.robot.now),
                                           self.faces)).faces:
            pass
        return frame.faces[0].probabilities

    def restart(self) -> bool:
        """deactivate, clean up; whether configure succeeds."""
        if self.state() == State.PRIMARY_STATE_ACTIVE:
            assert self.change(Transition.TRANSITION_DEACTIVATE)
            assert self.change(Transition.TRANSITION_CLEANUP)
        return self.change(Transition.TRANSITION_CONFIGURE)


@pytest.fixture(scope='module')
def session(tmp_path_factory):
    folder = tmp_path_factory.mktemp('model')
    path = shutil.copy(SHIPPED, folder / 'weights.safetensors')
    robot = Robot()
    with Program(folder / 'fer.log', model=path) as program:
        session = Session(program, robot, path)
        robot.wait(lambda: session.camera.get_subscription_count() == 1, 'for the node')
        yield session
        assert program.end() == 0, program.log
    robot.close()


# The tests of this module lead one node through these events, in this order.

@pytest.mark.parametrize('event', ['overwritten in place', 'replaced', 'removed'])
def test_a_running_node_is_not_affected(session, event):
    before = session.probabilities()
    if event == 'overwritten in place':
        session.path.write_bytes(b'garbage' * 100)
    elif event == 'replaced':
        (session.path.parent / 'new').write_bytes(b'other garbage')
        os.replace(session.path.parent / 'new', session.path)
    else:
        session.path.unlink()
    assert session.probabilities() == pytest.approx(before, abs=1e-3)
    assert session.state() == State.PRIMARY_STATE_ACTIVE


@pytest.mark.parametrize('content', [None, b'', SHIPPED.read_bytes()[:100_000], b'no weights' * 1000],
                         ids=['missing', 'empty', 'truncated', 'foreign'])
def test_it_cannot_be_configured_with_a_bad_file_and_says_why(session, content):
    if content is not None:
        session.path.write_bytes(content)
    logged = session.program.log.count('not configured')
    assert not session.restart()
    assert session.state() == State.PRIMARY_STATE_UNCONFIGURED
    session.robot.wait(lambda: session.program.log.count('not configured') > logged, 'for the log')
    line = [line for line in session.program.log.splitlines() if 'not configured' in line][-1]
    assert str(session.path) in line
    assert 'Traceback' not in session.program.log


def test_with_a_good_file_it_works_again(session):
    shutil.copy(SHIPPED, session.path)
    assert session.restart()
    assert session.change(Transition.TRANSITION_ACTIVATE)
    assert session.probabilities()
