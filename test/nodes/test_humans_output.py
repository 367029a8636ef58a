import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from harness import Program, Robot
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String

from fer_ros.emotions import EMOTIONS
from fer_ros.media.built_in_clip import BuiltInClip, portraits
from fer_ros.nodes import humans_output
from fer_ros.nodes.image_conversion import to_message
from fer_ros.results.faces import FaceEmotion

needs_hri_msgs = pytest.mark.skipif(not humans_output.available(),
                                    reason='hri_msgs is not installed (apt install ros-$ROS_DISTRO-hri-msgs)')


@pytest.fixture
def robot():
    robot = Robot()
    yield robot
    robot.close()


# Parts that need no messages

def test_letterboxed_keeps_the_shape_and_centres():
    image = np.full((100, 200, 3), 200, np.uint8)
    crop = humans_output.letterboxed(image, (10, 10, 30, 60))
    assert crop.shape == (128, 128, 3)
    columns = np.flatnonzero(crop.any((0, 2)))
    assert (columns[0], columns[-1]) == (32, 95) and crop[:, 32:96].all()


@pytest.mark.parametrize('box', [(-20, -20, 50, 50), (180, 80, 50, 50), (150, 20, 30.4, 0.2), (-100, 0, 20, 20),
                                 (300, 10, 20, 20)])
def test_letterboxed_at_and_beyond_the_border(box):
    crop = humans_output.letterboxed(np.full((100, 200, 3), 200, np.uint8), box)
    assert crop.shape == (128, 128, 3) and set(np.unique(crop)) <= {0, 200}


# Messages

@needs_hri_msgs
def test_expression_and_region():
    face = FaceEmotion('fabc', (-10.0, 30.0, 60.0, 60.0), (1 / 7,) * 7, 'scared', 0.6, -0.4, 0.0)
    header = Header(frame_id='camera')
    message = humans_output.expression(face, header)
    assert (message.expression, message.header) == ('scared', header)
    assert message.valence == pytest.approx(-0.4) and message.confidence == pytest.approx(0.6)
    assert math.isnan(message.arousal)
    region = humans_output.region(face, 200, 80, header, 0.9)
    assert (region.xmin, region.xmax, region.ymin, region.ymax) == pytest.approx((0, 0.25, 0.375, 1.0))
    assert region.c == pytest.approx(0.9)


@needs_hri_msgs
def test_every_emotion_is_a_ros4hri_string():
    from hri_msgs.msg import Expression
    assert {getattr(Expression, emotion.upper()) for emotion in EMOTIONS} == set(EMOTIONS)


class Consumer:
    """Reads the faces as libhri does: subscribes to a face's topics when it reads its id."""

    def __init__(self, robot, namespace='/humans'):
        from hri_msgs.msg import Expression, IdsList, NormalizedRegionOfInterest2D
        self.types = {'expression': Expression, 'roi': NormalizedRegionOfInterest2D}
        self.robot, self.prefix = robot, f'{namespace}/faces'
        self.received = defaultdict(list)
        self.tracked = []
        robot.node.create_subscription(IdsList, f'{self.prefix}/tracked', self._on_tracked, 10)

    def _on_tracked(self, message):
        self.tracked.append(message)
        for face_id in message.ids:
            for name, kind in self.types.items():
                if (face_id, name) not in self.received:
                    self.robot.node.create_subscription(kind, f'{self.prefix}/{face_id}/{name}',
                                                        self.received[face_id, name].append, 10)

    def topics(self):
        """Of faces that the graph knows publishers of."""
        return [name for name, _ in self.robot.node.get_topic_names_and_types()
                if name.startswith(f'{self.prefix}/') and name.count('/') > self.prefix.count('/') + 1
                and self.robot.node.count_publishers(name)]


@needs_hri_msgs
def test_faces_that_come_and_go_are_published_without_churn(robot, tmp_path):
    consumer, camera, clip = Consumer(robot), robot.camera(), BuiltInClip()
    indices = np.linspace(0, len(clip) - 1, 300).astype(int).tolist()
    endpoints, gone = defaultdict(set), Counter()
    with Program(tmp_path / 'fer.log', ros4hri=True, humans_grace=1.0) as program:
        robot.wait(lambda: camera.get_subscription_count(), 'for the node')

        def frame():
            for name in consumer.topics():
                endpoints[name] |= {bytes(p.endpoint_gid) for p in robot.node.get_publishers_info_by_topic(name)}
            for name in set(endpoints) - set(consumer.topics()):
                gone[name] += 1
            return clip.frame(indices.pop(0))
        robot.show(camera, frame, 18.0, until=lambda: not indices)
        ids = {face_id for message in consumer.tracked for face_id in message.ids}
        assert len(ids) >= 3, 'the clip has faces that come, go and come back'
        assert all(face_id[0].isalpha() for face_id in ids)
        assert {name.split('/')[3] for name in endpoints} <= ids
        assert all(len(gids) == 1 for gids in endpoints.values()), 'a publisher was made anew'
        assert any(gone.values()), 'publishers of lost faces must go'
        for face_id in ids:
            expressions, regions = consumer.received[face_id, 'expression'], consumer.received[face_id, 'roi']
            if not expressions:  # a face of a moment may be gone before it is found
                continue
            assert all(m.expression in EMOTIONS and -1 <= m.valence <= 1 and 0 <= m.confidence <= 1
                       and math.isnan(m.arousal) and m.header.frame_id == 'camera' for m in expressions)
            assert all(0 <= m.xmin < m.xmax <= 1 and 0 <= m.ymin < m.ymax <= 1 and 0 < m.c <= 1 for m in regions)
            stamps = [(m.header.stamp.sec, m.header.stamp.nanosec) for m in expressions]
            assert stamps == sorted(set(stamps))
        assert sum(len(received) for received in consumer.received.values()) > 200
        assert max(len(message.ids) for message in consumer.tracked) == 2

        # Deactivation says that no face is there, and lets go of the publishers.
        robot.show(camera, clip.frame(60), until=lambda: consumer.tracked[-1].ids)
        change = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE))
        assert robot.call(ChangeState, 'fer/change_state', change).success
        robot.wait(lambda: not consumer.tracked[-1].ids, 'for an empty tracked')
        robot.wait(lambda: not consumer.topics(), 'for the publishers to go')

        # So does the end of the program.
        change.transition.id = Transition.TRANSITION_ACTIVATE
        assert robot.call(ChangeState, 'fer/change_state', change).success
        robot.show(camera, clip.frame(60), until=lambda: consumer.tracked[-1].ids)
        face_id = consumer.tracked[-1].ids[0]
        crops = robot.listen(Image, f'/humans/faces/{face_id}/cropped')
        robot.show(camera, clip.frame(60), until=lambda: crops)
        assert (crops[-1].width, crops[-1].height, crops[-1].encoding) == (128, 128, 'bgr8')
        # And images that stop without a word.
        robot.wait(lambda: not consumer.tracked[-1].ids, 'for an empty tracked after the camera stopped')
        robot.show(camera, clip.frame(60), until=lambda: consumer.tracked[-1].ids)
        assert program.end() == 0, program.log
        robot.wait(lambda: not consumer.tracked[-1].ids, 'for an empty tracked at the end')
    assert 'Traceback' not in program.log


class FaceDetector:
    """Publishes faces as hri_face_detect does: the detector's box, letterboxed."""

    def __init__(self, robot):
        from hri_msgs.msg import IdsList, NormalizedRegionOfInterest2D
        self.robot, self.region = robot, NormalizedRegionOfInterest2D
        self.ids_list = IdsList
        node = robot.node
        self.tracked = node.create_publisher(IdsList, '/humans/faces/tracked', 1)
        self.pictures = {'smile': humans_output.letterboxed(portraits()['astronaut'], (180, 62, 90, 118)),
                         'sober': humans_output.letterboxed(portraits()['hopper'], (175, 130, 165, 215))}
        self.publishers = {i: (node.create_publisher(self.region, f'/humans/faces/{i}/roi', 1),
                               node.create_publisher(Image, f'/humans/faces/{i}/cropped', 1)) for i in self.pictures}
        self.size = {'smile': 0.5, 'sober': 0.2}

    def publish(self, header=None):
        header = header or self.robot.header()
        for face_id, (region, cropped) in self.publishers.items():
            region.publish(self.region(header=header, xmin=0.1, ymin=0.1, xmax=0.1 + self.size[face_id],
                                       ymax=0.1 + self.size[face_id], c=0.9))
            cropped.publish(to_message(self.pictures[face_id], header))
        self.tracked.publish(self.ids_list(header=header, ids=list(self.pictures)))
        return header


@needs_hri_msgs
def test_on_top_of_another_face_detector(robot, tmp_path):
    from hri_msgs.msg import Expression
    detector = FaceDetector(robot)
    expressions = {i: robot.listen(Expression, f'/humans/faces/{i}/expression') for i in detector.pictures}
    emotion = robot.listen(String, 'fer/emotion')
    with Program(tmp_path / 'fer.log', input='humans', half_life=0.0) as program:
        def until_read():
            detector.publish()
            robot.spin(0.1)
            return all(len(messages) > 3 for messages in expressions.values())
        robot.wait(until_read, 'for expressions')
        robot.spin(0.5)
        for messages in expressions.values():
            assert messages[-1].header.frame_id == 'camera' and math.isnan(messages[-1].arousal)
        assert expressions['smile'][-1].valence > expressions['sober'][-1].valence + 0.1
        assert expressions['smile'][-1].expression == 'happy'
        assert emotion[-1].data == 'happy', 'the larger face is the primary one'

        # The same pictures again are not read again, the next ones are, both in one batch.
        header = detector.publish()
        robot.wait(lambda: all(m[-1].header == header for m in expressions.values()), 'for the last header')
        for messages in expressions.values():
            messages.clear()
        for _ in range(3):
            detector.publish(header)
            robot.spin(0.2)
        assert not any(expressions.values())
        header = detector.publish()
        robot.wait(lambda: all(expressions.values()))
        assert [m[-1].header for m in expressions.values()] == [header, header]

        # Ids and pictures are the detector's alone.
        assert robot.node.count_publishers('/humans/faces/tracked') == 1
        assert robot.node.count_publishers('/humans/faces/smile/roi') == 1
        assert robot.node.count_publishers('/humans/faces/smile/cropped') == 1

        # A face that is gone loses its publisher after the grace time.
        detector.pictures.pop('sober')
        detector.publishers.pop('sober')

        def until_gone():
            detector.publish()
            robot.spin(0.1)
            return not robot.node.count_publishers('/humans/faces/sober/expression')
        robot.wait(until_gone, 'for the publisher of the lost face to go')
        assert robot.node.count_publishers('/humans/faces/smile/expression') == 1
        assert program.end() == 0, program.log
    assert 'Traceback' not in program.log


@pytest.mark.skipif(humans_output.available(), reason='hri_msgs is installed')
@pytest.mark.parametrize(('parameters', 'code', 'text'), [
    ({'input': 'humans'}, 1, 'input is humans, but hri_msgs cannot be imported'),
    ({'ros4hri': True}, 0, 'ros4hri is true, but hri_msgs cannot be imported')])
def test_without_hri_msgs(robot, tmp_path, parameters, code, text):
    with Program(tmp_path / 'fer.log', **parameters) as program:
        robot.wait(lambda: program.process.poll() is not None or 'subscribed to' in program.log)
        assert program.end() == code
    assert text in program.log and 'ros-$ROS_DISTRO-hri-msgs' in program.log
    assert 'Traceback' not in program.log
