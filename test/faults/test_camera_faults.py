"""What cameras do wrong, to one running node: they die, change their mind, and lie about the time."""

import itertools
import math
import signal

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from harness import Program, Robot
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String

from fer_ros.media.built_in_clip import PORTRAITS, portraits
from fer_ros.nodes.diagnostics import Level
from fer_ros.nodes.image_conversion import to_message
from fer_ros.results.faces import FacesFrame, decode

SECOND = 1_000_000_000


class Session:
    """The node, and what it says."""

    def __init__(self, program: Program, robot: Robot):
        self.program, self.robot = program, robot
        self.camera = robot.camera('image_raw')
        self.messages = robot.listen(String, 'fer/faces')
        self.reports = robot.listen(DiagnosticArray, '/diagnostics')
        self.astronaut = portraits()['astronaut']

    @property
    def frames(self) -> list[FacesFrame]:
        return [decode(message.data) for message in self.messages]

    def reported(self, level: Level, text: str) -> bool:
        status = self.reports[-1].status[0] if self.reports else None
        return status is not None and status.level == bytes([level]) and text in status.message

    def answer(self, message: Image) -> FacesFrame:
        """What the node says of `message`, which is sent until it answers."""
        return self.robot.ask(self.camera, message, self.messages)

    def at(self, stamp_ns: int, picture: np.ndarray | None = None) -> FacesFrame:
        header = Header(frame_id='camera')
        header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, SECOND)
        return self.answer(to_message(self.astronaut if picture is None else picture, header))


@pytest.fixture(scope='module')
def session(tmp_path_factory):
    robot = Robot()
    with Program(tmp_path_factory.mktemp('camera') / 'fer.log', '-r', 'image:=image_raw', detector='full', max_faces=64,
                 warn_image_age=1.0, error_image_age=0.0, warn_latency=0.0, error_latency=0.0, warn_rate=0.0,
                 error_rate=0.0, warn_drops=0.0) as program:
        session = Session(program, robot)
        robot.wait(lambda: session.camera.get_subscription_count() == 1, 'for the node')
        yield session
        assert program.end() == 0, program.log
        assert 'Traceback' not in program.log and 'internal error' not in program.log, program.log
    robot.close()


def source(folder, frame_id: str) -> Program:
    return Program(folder / f'{frame_id}.log', module='fer_ros.nodes.video_source', rate=15.0, width=320, height=240,
                   frame_id=frame_id)


def test_camera_that_is_killed_and_started_again(session, tmp_path):
    with source(tmp_path, 'first') as first:
        session.robot.wait(lambda: any(frame.frame_id == 'first' for frame in session.frames), 'for the first camera')
        session.robot.wait(lambda: session.reported(Level.OK, 'frames/s'), 'for good health')
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
        session.robot.wait(lambda: session.reported(Level.WARN, 'no image for'), 'for the warning')
        session.messages.clear()
    with source(tmp_path, 'second') as second:
        session.robot.wait(lambda: [f for f in session.frames if f.faces and f.frame_id == 'second'],
                           'for the second camera')
        names = [name for name, _ in itertools.groupby(frame.frame_id for frame in session.frames)]
        assert names in (['second'], ['first', 'second']), 'what had come before may be read late'
        session.robot.wait(lambda: session.reported(Level.OK, 'frames/s'), 'for good health again')
        assert second.end(signal.SIGTERM) == 0


def test_size_encoding_and_frame_id_change_with_every_image(session):
    sizes = [(512, 512), (1280, 720), (320, 240), (64, 48), (640, 480)]
    colours = {'bgr8': None, 'rgb8': cv2.COLOR_BGR2RGB, 'mono8': cv2.COLOR_BGR2GRAY, 'bgra8': cv2.COLOR_BGR2BGRA}
    cases = zip(sizes * 4, [encoding for encoding in colours for _ in sizes], strict=True)
    for number, ((width, height), encoding) in enumerate(cases):
        picture = np.full((height, width, 3), 128, np.uint8)
        side = min(width, height)
        picture[:side, :side] = cv2.resize(session.astronaut, (side, side), interpolation=cv2.INTER_AREA)
        if colours[encoding] is not None:
            picture = cv2.cvtColor(picture, colours[encoding])
        header = session.robot.header()
        header.frame_id = f'camera_{number}'
        message = Image(header=header, width=width, height=height, encoding=encoding,
                        step=picture.size // height)
        message.data.frombytes(picture.tobytes())
        frame = session.answer(message)
        assert (frame.frame_id, frame.width, frame.height) == (f'camera_{number}', width, height)
        assert len(frame.faces) == 1 or (width, height) in ((64, 48), (1280, 720)), 'a face this small may be missed'
        for face in frame.faces:
            assert 0 <= face.box[0] + face.box[2] / 2 < width and 0 <= face.box[1] + face.box[3] / 2 < height


def test_stamps_that_stand_still(session):
    frames = [session.at(1_000_000 * SECOND) for _ in range(5)]
    assert len({face.face_id for frame in frames for face in frame.faces}) == 1
    values = [frame.faces[0].valence for frame in frames]
    assert max(values) - min(values) < 0.01, 'no time passes, so nothing is smoothed'


@pytest.mark.parametrize('jump', [-0.2, -86_400.0, 86_400.0, -30.0, 30.0])
def test_stamps_that_jump(session, jump):
    start = 2_000_000 * SECOND
    before = [session.at(start + i * SECOND // 10).faces[0] for i in range(5)]
    after = [session.at(start + round((0.4 + jump + i / 10) * SECOND)).faces[0] for i in range(5)]
    assert len({face.face_id for face in before}) == len({face.face_id for face in after}) == 1
    assert (after[0].face_id == before[0].face_id) == (abs(jump) < 1), 'track_timeout is 1 s'
    for face in (*before, *after):
        assert all(map(math.isfinite, (*face.probabilities, face.valence, *face.box)))
    settled = [face.valence for face in after]
    assert max(abs(b - a) for a, b in itertools.pairwise(settled)) < 0.2


def test_stamps_of_another_day_are_told(session):
    stamp = session.robot.node.get_clock().now().nanoseconds - 86_400 * SECOND
    for day, told in ((0, 'image stamps are 86'), (2, 'in the future')):
        def sent(day=day, told=told):
            nonlocal stamp
            stamp += SECOND // 15
            header = Header()
            header.stamp.sec, header.stamp.nanosec = divmod(stamp + day * 86_400 * SECOND, SECOND)
            session.camera.publish(to_message(session.astronaut, header))
            session.robot.spin(1 / 15)
            return session.reported(Level.WARN, told)
        session.robot.wait(sent, f'for {told!r}')


def crowd() -> np.ndarray:
    """8×7 faces, the two portraits in turn."""
    picture = np.full((384, 384, 3), 128, np.uint8)
    heads = []
    for name, portrait in PORTRAITS.items():
        x, y, width, height = portrait.face
        half, centre_x, centre_y = width / 1.8, x + width / 2, y + 0.45 * height
        heads.append(cv2.resize(portraits()[name][int(centre_y - half):int(centre_y + half),
                                                  int(centre_x - half):int(centre_x + half)], (46, 46),
                                interpolation=cv2.INTER_AREA))
    for row in range(7):
        for column in range(8):
            top, left = int(row * 384 / 7), column * 48
            picture[top:top + 46, left:left + 46] = heads[(row + column) % 2]
    return picture


def test_more_than_fifty_faces(session):
    """As small as the detector sees them at all, so it does not find each."""
    picture, stamp = crowd(), 3_000_000 * SECOND
    frames = [session.at(stamp + i * SECOND // 10, picture) for i in range(3)]
    for frame in frames:
        assert len(frame.faces) >= 10
        assert len({face.face_id for face in frame.faces}) == len(frame.faces)
        assert all(math.isfinite(p) for face in frame.faces for p in face.probabilities)
    assert {face.face_id for face in frames[0].faces} == {face.face_id for face in frames[-1].faces}
    alone = session.at(stamp + 10 * SECOND)
    assert len(alone.faces) == 1
