"""fer_node as a process: images of every kind in, results out, over DDS."""

import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import PATIENCE, ROOT, Program, Robot, stamp_of
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Float32, Header, String

from fer_ros.diagnostic_keys import IMAGE_TOPIC
from fer_ros.emotions import EMOTIONS
from fer_ros.media.built_in_clip import portraits
from fer_ros.nodes.fer_node import LOG_PERIOD
from fer_ros.nodes.image_conversion import to_bgr, to_message
from fer_ros.results.faces import decode

NOBODY = np.full((480, 640, 3), 128, np.uint8)


class Session:
    """A running node, what it publishes, and a camera."""

    def __init__(self, program, robot):
        self.program, self.robot = program, robot
        self.camera = robot.camera('image')
        self.faces = robot.listen(String, 'fer/faces')
        self.emotion = robot.listen(String, 'fer/emotion')
        self.valence = robot.listen(Float32, 'fer/valence')
        self.annotated = robot.listen(Image, 'fer/annotated')
        self._pictures = portraits()

    def picture(self, name):
        """A portrait as a camera would see it."""
        return cv2.resize(self._pictures[name], (512, 512 if name == 'astronaut' else 600),
                          interpolation=cv2.INTER_AREA)

    def forget(self):
        for received in (self.faces, self.emotion, self.valence, self.annotated):
            received.clear()

    def part(self):
        """Show nobody for longer than track_timeout, so that the next face is a new one, and until all before that has
        been answered."""
        self.robot.show(self.camera, NOBODY, seconds=1.5)
        self.settle()

    def settle(self):
        """Wait until the node has answered an image of nobody, and with that all that came before; forget its answers.
        """
        self.wait_for_answer(to_message(NOBODY, self.robot.header()))
        self.robot.spin(0.3)
        self.forget()

    def send(self, message):
        self.camera.publish(message)

    def good(self, name='astronaut') -> Image:
        return to_message(self.picture(name), self.robot.header())

    def answers(self, to: Image):
        """The faces that the node has found in a message, as often as it was answered."""
        return [frame for frame in (decode(m.data) for m in self.faces) if frame.stamp_ns == stamp_of(to)]

    def wait_for_answer(self, to: Image):
        """The faces that the node finds in a message, which is sent until it answers."""
        end = time.monotonic() + PATIENCE
        while not self.answers(to):
            assert time.monotonic() < end, f'no answer; the log says {self.program.log}'
            self.send(to)
            self.robot.spin(0.2)
        return self.answers(to)[-1]


@pytest.fixture(scope='module')
def session(tmp_path_factory):
    robot = Robot()
    with Program(tmp_path_factory.mktemp('fer') / 'fer.log', half_life=0.1) as program:
        session = Session(program, robot)
        robot.wait(lambda: session.camera.get_subscription_count() == 1, 'for the node')
        robot.wait(lambda: robot.node.count_publishers('fer/annotated') == 1)
        yield session
        assert program.end(signal.SIGINT) == 0, program.log
        assert 'Traceback' not in program.log and 'internal error' not in program.log, program.log
    robot.close()


def mean_valence(session, name) -> float:
    """Of the primary face, once its smoothing has settled."""
    session.part()
    session.robot.show(session.camera, session.picture(name), until=lambda: len(session.valence) >= 20)
    return float(np.mean([m.data for m in session.valence[10:20]]))


def test_the_smiling_portrait_is_positive_and_the_sober_one_clearly_lower(session):
    astronaut, hopper = mean_valence(session, 'astronaut'), mean_valence(session, 'hopper')
    assert astronaut > 0.1
    assert hopper < astronaut - 0.3


def test_every_output_speaks_of_the_image_it_was_made_from(session):
    session.part()
    sent = session.good()
    sent.header.frame_id = 'camera_front'
    frame = session.wait_for_answer(sent)
    assert (frame.frame_id, frame.width, frame.height) == ('camera_front', 512, 512)
    assert len(frame.faces) == 1
    assert frame.primary == frame.faces[0].face_id
    session.robot.wait(lambda: session.emotion and session.valence)
    assert session.emotion[-1].data == frame.faces[0].emotion in EMOTIONS
    # It may have answered more than once, and topics do not keep step.
    session.robot.wait(lambda: session.valence[-1].data in [
        pytest.approx(answer.faces[0].valence, abs=1e-4) for answer in session.answers(sent)], 'for the same valence')
    session.robot.wait(lambda: session.annotated)
    picture = session.annotated[-1]
    assert (picture.header, picture.encoding, picture.width, picture.height) == (sent.header, 'bgr8', 512, 512)
    difference = np.abs(to_bgr(picture).astype(int) - session.picture('astronaut'))
    assert 0.001 < (difference.max(-1) > 40).mean() < 0.3, 'something but not everything is drawn over'


def test_types_and_quality_of_service(session):
    node = session.robot.node
    topics = ('emotion', 'valence', 'faces', 'annotated')
    session.robot.wait(lambda: all(node.count_publishers(f'/fer/{topic}') for topic in topics), 'for the publishers')
    subscription, = node.get_subscriptions_info_by_topic('/image')
    assert subscription.topic_type == 'sensor_msgs/msg/Image'
    assert subscription.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    for topic, kind in (('emotion', 'std_msgs/msg/String'), ('valence', 'std_msgs/msg/Float32'),
                        ('faces', 'std_msgs/msg/String'), ('annotated', 'sensor_msgs/msg/Image')):
        publisher, = node.get_publishers_info_by_topic(f'/fer/{topic}')
        assert publisher.topic_type == kind
        assert publisher.qos_profile.reliability == ReliabilityPolicy.RELIABLE


def test_best_effort_and_reliable_publishers_both_reach_it(session):
    for reliable in (False, True):
        camera = session.robot.camera('image', reliable=reliable)
        session.robot.wait(lambda camera=camera: camera.get_subscription_count() == 1)
        session.forget()
        session.robot.show(camera, session.picture('astronaut'), until=lambda: len(session.faces) >= 3)
        session.robot.node.destroy_publisher(camera)


def test_without_a_face_an_empty_list_is_published_and_nothing_else(session):
    session.settle()
    frame = session.wait_for_answer(to_message(NOBODY, session.robot.header()))
    assert frame.faces == ()
    assert frame.primary is None
    session.robot.spin(0.3)
    assert not session.emotion
    assert not session.valence


def test_stamp_of_zero_is_kept_and_told_once(session):
    for _ in range(3):
        session.forget()
        sent = session.good()
        sent.header = Header(frame_id='no clock')
        frame = session.wait_for_answer(sent)
    assert (frame.stamp_ns, frame.frame_id, len(frame.faces)) == (0, 'no clock', 1)
    session.robot.wait(lambda: session.annotated and session.annotated[-1].header == Header(frame_id='no clock'))
    assert session.program.log.count('have no stamp') == 1


def test_stamps_that_jump_are_answered(session):
    for seconds in (2_000_000_000, 5, 1_000_000_000, 999_999_999):
        sent = session.good()
        sent.header.stamp.sec, sent.header.stamp.nanosec = seconds, 0
        frame = session.wait_for_answer(sent)
        assert len(frame.faces) == 1
        assert all(np.isfinite(frame.faces[0].probabilities))


def image(**fields) -> Image:
    """A good message but for what is given."""
    message = to_message(NOBODY, Header(frame_id='bad'))
    for name, value in fields.items():
        setattr(message, name, value)
    return message


BAD = [image(width=0), image(height=0), image(width=0, height=0, step=0, data=b''), image(height=481),
       image(data=b''), image(step=1), image(encoding='32FC1'), image(encoding='nonsense'), image(encoding=''),
       image(width=2**32 - 1, height=2**32 - 1, step=2**32 - 1), image(encoding='nv21', width=639, step=640),
       image(encoding='rgba8')]


def test_it_goes_on_after_bad_frames_and_says_so_once_per_period(session):
    logged, start = session.program.log.count('ignored'), time.monotonic()
    for number in range(3 * len(BAD)):
        session.send(BAD[number % len(BAD)])
        session.robot.spin(0.05)
    session.robot.wait(lambda: session.program.log.count('ignored') > logged, 'for the log')
    said = session.program.log.count('ignored') - logged
    assert said <= 2 + (time.monotonic() - start) / LOG_PERIOD, '36 bad frames within about 2 s'
    line = next(line for line in session.program.log.splitlines() if 'ignored' in line)
    assert line.startswith('[WARN]') and 'frame on /image ignored' in line
    assert any(f'{m.encoding!r} image of {m.width}×{m.height}' in line for m in BAD), line
    assert len(session.wait_for_answer(session.good()).faces) == 1


def test_tiny_images_are_answered(session):
    for width, height in ((1, 1), (2, 1000), (1000, 2)):
        frame = session.wait_for_answer(to_message(np.zeros((height, width, 3), np.uint8), session.robot.header()))
        assert (frame.width, frame.height, frame.faces) == (width, height, ())


def test_an_image_too_long_for_the_detector_ends_nothing(session):
    for _ in range(3):
        session.send(to_message(np.zeros((2, 40_000, 3), np.uint8), session.robot.header()))
        session.robot.spin(0.2)
    assert len(session.wait_for_answer(session.good()).faces) == 1


def test_when_images_come_too_fast_the_newest_is_answered(session):
    session.settle()
    picture = cv2.resize(session.picture('hopper'), (1280, 1500))
    last = None
    for _ in range(60):  # back to back: faster than any camera
        last = to_message(picture, session.robot.header())
        session.send(last)
        session.robot.spin(0.001)
    session.robot.wait(lambda: session.faces and decode(session.faces[-1].data).stamp_ns == stamp_of(last),
                       'for the last image')
    stamps = [decode(m.data).stamp_ns for m in session.faces]
    assert all(a < b for a, b in itertools.pairwise(stamps))


def test_compressed_images_and_the_end_on_sigterm(tmp_path):
    robot = Robot()
    with Program(tmp_path / 'fer.log', '-r', '__ns:=/other', '-r', 'image:=/camera/image_raw',
                 image_transport='compressed') as program:
        camera = robot.node.create_publisher(CompressedImage, '/camera/image_raw/compressed', 1)
        faces = robot.listen(String, '/other/fer/faces')
        robot.wait(lambda: camera.get_subscription_count() == 1, 'for the node')
        portrait = cv2.imencode('.jpg', portraits()['astronaut'])[1].tobytes()
        for data, answered in ((b'no picture', lambda: 'ignored' in program.log), (portrait, lambda: faces)):
            message = CompressedImage(format='jpeg')
            message.data.frombytes(data)
            end = time.monotonic() + PATIENCE
            while not answered():
                assert time.monotonic() < end, program.log
                message.header = robot.header()
                camera.publish(message)
                robot.spin(0.1)
        assert json.loads(faces[-1].data)['faces']
        assert "frame on /camera/image_raw/compressed ignored: compressed image of format 'jpeg'" in program.log
        assert program.end(signal.SIGTERM) == 0, program.log
        assert 'Traceback' not in program.log
    robot.close()


def failure(*arguments) -> str:
    """The one line with which fer_node ends when it is started so."""
    done = subprocess.run([sys.executable, '-m', 'fer_ros.nodes.fer_node', '--ros-args', *arguments], cwd=ROOT,
                          capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if line and not line.startswith('[ERROR]')]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith('[FATAL]')
    return lines[0]


class Evil:
    """Unpickling it would leave a trace."""

    def __reduce__(self):
        return (open, (str(ROOT / 'evil'), 'w'))


@pytest.mark.parametrize('content', [None, b'', b'half', b'text, not weights' * 100, pickle.dumps(Evil())],
                         ids=['missing', 'empty', 'truncated', 'foreign', 'pickle'])
def test_model_file_that_cannot_be_used_ends_the_program_with_one_line(tmp_path, content):
    path = tmp_path / 'weights.safetensors'
    if content == b'half':
        whole = (ROOT / 'models' / 'msfernet.safetensors').read_bytes()
        content = whole[:len(whole) // 2]
    if content is not None:
        path.write_bytes(content)
    assert str(path) in failure('-p', f'model:={path}')
    assert not (ROOT / 'evil').exists()


@pytest.mark.parametrize(('argument', 'told'), [
    ('half_life:=99.0', 'half_life must be 0 to 10 s'), ('max_faces:=0', 'max_faces must be 1 to 64'),
    ('half_life:=1', 'half_life must be a number with a decimal point'), ('annotated:=7', 'must be true or false'),
    ('rotate:=45', 'rotate must be one of 0, 90, 180, 270, got 45'), ('rotate:=90.0', 'rotate must be an integer'),
    ('detector:=best', "detector must be one of search, short, full, yunet, got 'best'"),
    ('device:=cuda:99', 'cuda:99'), ('detector:=yunet', 'detector_model')])
def test_parameter_that_cannot_be_used_ends_the_program_with_one_line(argument, told):
    assert told in failure('-p', argument)


def test_parameter_file_that_is_not_there():
    assert '/no/such/file.yaml' in failure('--params-file', '/no/such/file.yaml')


@pytest.mark.skipif(not Path('/proc/net/udp').exists(), reason='reads /proc')
def test_nothing_outside_the_machine_can_connect(session):
    """Ports that DDS listens on are known from the domain; others are of sockets that only send."""
    inodes = {link[8:-1] for link in session.program.open_files if link.startswith('socket:')}
    first = 7400 + 250 * int(os.environ['ROS_DOMAIN_ID'])
    listening = set()
    for table in ('udp', 'udp6', 'tcp', 'tcp6'):
        for line in Path(f'/proc/net/{table}').read_text().splitlines()[1:]:
            fields = line.split()
            address, port = fields[1].split(':')
            if fields[9] in inodes and (table.startswith('tcp') or first <= int(port, 16) < first + 250):
                listening.add(address)
    assert listening == {'0100007F'}, '127.0.0.1, as the kernel writes it'


def test_a_lazy_node_works_only_for_subscribers(tmp_path):
    robot = Robot()
    try:
        with Program(tmp_path / 'log', '-r', '__ns:=/quiet', lazy=True):
            camera, picture = robot.camera('quiet/image'), portraits()['hopper']
            told = robot.listen(DiagnosticArray, '/diagnostics')

            def values() -> dict:
                statuses = [{'message': status.message, **{v.key: v.value for v in status.values}}
                            for message in told for status in message.status]
                return next((v for v in reversed(statuses) if v.get(IMAGE_TOPIC) == '/quiet/image'), {})
            robot.show(camera, picture, until=lambda: values().get('message') == 'idle: nobody subscribes to an output')
            assert values()['processed since activation'] == '0'
            valence = robot.listen(Float32, 'quiet/fer/valence')
            robot.show(camera, picture, until=lambda: valence)
            told.clear()
            robot.show(camera, picture, until=lambda: int(values().get('processed since activation', 0)) > 0)
    finally:
        robot.close()
