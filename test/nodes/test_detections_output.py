import numpy as np
import pytest
from harness import Program, Robot
from std_msgs.msg import Header

from fer_ros.emotions import EMOTIONS
from fer_ros.nodes import detections_output
from fer_ros.results.faces import FaceEmotion

if not detections_output.available():
    pytest.skip('vision_msgs is not installed (apt install ros-$ROS_DISTRO-vision-msgs)', allow_module_level=True)

from vision_msgs.msg import Detection2DArray


def test_box_id_and_a_hypothesis_per_emotion():
    probabilities = (0.1, 0.05, 0.05, 0.4, 0.2, 0.15, 0.05)
    face = FaceEmotion('fabc', (10.0, 20.0, 30.0, 40.0), probabilities, 'happy', 0.4, 0.0, 0.0)
    message = detections_output.detection(face, Header(frame_id='camera'))
    assert message.id == 'fabc' and message.header.frame_id == 'camera'
    assert (message.bbox.center.position.x, message.bbox.center.position.y) == (25, 40)
    assert (message.bbox.size_x, message.bbox.size_y) == (30, 40)
    results = [(result.hypothesis.class_id, result.hypothesis.score) for result in message.results]
    assert dict(results) == dict(zip(EMOTIONS, probabilities, strict=True))
    assert results[0] == ('happy', 0.4) and results[1] == ('sad', 0.2)


def test_published_by_the_node_with_and_without_faces(tmp_path):
    from fer_ros.media.built_in_clip import portraits
    robot = Robot()
    camera = robot.camera()
    received = robot.listen(Detection2DArray, 'fer/detections')
    with Program(tmp_path / 'fer.log') as program:
        robot.show(camera, portraits()['hopper'], until=lambda: received and received[-1].detections)
        message = received[-1]
        assert message.header.frame_id == 'camera' and message.detections[0].header == message.header
        assert message.header.stamp.sec > 1_600_000_000
        assert len(message.detections[0].results) == 7
        assert sum(r.hypothesis.score for r in message.detections[0].results) == pytest.approx(1, abs=1e-4)
        blank = np.full((480, 640, 3), 128, np.uint8)
        robot.show(camera, blank, until=lambda: not received[-1].detections)
        assert program.end() == 0, program.log
    robot.close()
