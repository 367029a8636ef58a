import logging
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from fer_ros.media.built_in_clip import PORTRAITS, Placement, Stage, portraits
from fer_ros.perception import detector_models
from fer_ros.perception.detection import (
    DetectorError,
    LiteRTDetector,
    MediaPipeDetector,
    YuNetDetector,
    create_detector,
)
from fer_ros.perception.detector_models import find_model, has_solutions


@pytest.fixture(scope='module', params=['short', 'full', 'short in LiteRT', 'full in LiteRT'])
def detector(request):
    """Both models, run by what runs them by default here, and by LiteRT."""
    kind, _, runtime = request.param.partition(' in ')
    detector = create_detector(kind, model=find_model(kind) if runtime else '')
    yield detector
    detector.close()


@pytest.mark.parametrize('name', PORTRAITS)
def test_finds_each_portrait_with_its_keypoints(detector, name):
    found, = detector.detect(portraits()[name])
    x, y, w, h = found.box
    px, py, pw, ph = PORTRAITS[name].face
    assert (x + w / 2, y + h / 2) == pytest.approx((px + pw / 2, py + ph / 2), abs=0.2 * pw)
    assert (w, h) == pytest.approx((pw, ph), rel=0.2)
    assert 0.5 <= found.score <= 1
    right_eye, left_eye, nose, mouth, right_ear, left_ear = found.keypoints
    assert right_ear[0] < right_eye[0] < nose[0] < left_eye[0] < left_ear[0], 'the person\'s right is the image\'s left'
    assert right_eye[1] < nose[1] < mouth[1] < y + h


def test_colours_are_in_opencv_order(detector):
    """Red and blue swapped is another picture; the score of the right one is the higher."""
    image = portraits()['hopper']
    right, wrong = (max((d.score for d in detector.detect(i)), default=0) for i in (image, image[..., ::-1].copy()))
    assert right > wrong


def test_no_face(detector):
    assert detector.detect(np.full((480, 640, 3), 128, np.uint8)) == []


@pytest.mark.parametrize('shape', [(1, 1), (2, 3), (1, 2000), (2000, 1), (37, 41)])
def test_odd_sizes(detector, shape):
    assert detector.detect(np.zeros((*shape, 3), np.uint8)) == []


@pytest.mark.parametrize('shape', [(2, 40_000), (40_000, 2)])
def test_images_too_long_for_opencv_end_nothing(detector, shape):
    try:
        assert detector.detect(np.zeros((*shape, 3), np.uint8)) == []
    except DetectorError as error:
        assert '40000' in str(error)
    else:
        assert not isinstance(detector, MediaPipeDetector)
    assert detector.detect(portraits()['astronaut'])


def test_a_view_of_a_larger_image(detector):
    image = np.zeros((700, 700, 3), np.uint8)
    image[50:650, 90:602] = portraits()['hopper']
    assert len(detector.detect(image[50:650, 90:602])) == 1


def test_confidence_filters_and_changes_while_running(detector):
    image = portraits()['hopper']
    score = detector.detect(image)[0].score
    detector.confidence = score + 0.005
    assert detector.detect(image) == []
    detector.confidence = 0.5
    assert len(detector.detect(image)) == 1


def test_best_score_first(detector):
    stage = Stage(640, 480)
    found = detector.detect(stage.draw([Placement('hopper', 0.28, 0.5, 170), Placement('astronaut', 0.75, 0.5, 150)]))
    assert len(found) == 2
    assert found[0].score >= found[1].score


@pytest.mark.parametrize(('arguments', 'said'), [
    ({'kind': 'haar'}, "unknown detector 'haar': choose one of short, full, yunet"),
    ({'kind': 'yunet'}, 'yunet requires detector_model'),
    ({'kind': 'yunet', 'model': '/nowhere/yunet.onnx'}, 'no detector model at /nowhere/yunet.onnx'),
    ({'kind': 'short', 'model': '/nowhere/face.tflite'}, 'no detector model at /nowhere/face.tflite')])
def test_what_cannot_be_made_is_named(arguments, said):
    with pytest.raises(DetectorError, match=said):
        create_detector(**arguments)


@pytest.mark.parametrize(('kind', 'name'), [('yunet', 'model.onnx'), ('yunet', 'model.txt'), ('short', 'model.tflite')])
def test_a_foreign_model_file_is_named(tmp_path, kind, name):
    path = tmp_path / name
    path.write_bytes(b'this is not a network' * 20)
    with pytest.raises(DetectorError, match=name):
        create_detector(kind, model=path)


def test_solutions_are_the_default_where_they_are():
    detector = create_detector('short')
    assert isinstance(detector, MediaPipeDetector if has_solutions() else LiteRTDetector)
    detector.close()


def test_without_solutions_litert_runs_the_installed_model(monkeypatch):
    """As with MediaPipe from 0.10.30 on, and without MediaPipe; it is not imported."""
    path = find_model('full')
    monkeypatch.setattr(detector_models, 'has_solutions', lambda: False)
    monkeypatch.setattr(detector_models, 'find_model', lambda kind: path)
    monkeypatch.setitem(sys.modules, 'mediapipe', None)
    detector = create_detector('full')
    assert isinstance(detector, LiteRTDetector)
    assert len(detector.detect(portraits()['astronaut'])) == 1
    detector.close()


def test_solutions_that_cannot_be_imported_are_told_and_done_without(monkeypatch, caplog):
    """As beside NumPy 2."""
    path = find_model('short')
    monkeypatch.setattr(detector_models, 'has_solutions', lambda: True)
    monkeypatch.setattr(detector_models, 'find_model', lambda kind: path)
    monkeypatch.setitem(sys.modules, 'mediapipe', None)
    monkeypatch.setitem(sys.modules, 'mediapipe.python.solutions', None)
    with caplog.at_level(logging.WARNING):
        detector = create_detector('short')
    assert isinstance(detector, LiteRTDetector)
    assert 'BlazeFace runs in LiteRT: MediaPipe is installed but cannot be imported' in caplog.text
    detector.close()


def test_without_a_model_the_way_to_it_is_named(monkeypatch):
    monkeypatch.setattr(detector_models, 'has_solutions', lambda: False)
    monkeypatch.setattr(detector_models, 'folders', list)
    with pytest.raises(DetectorError, match='model of the detector short is not installed: ros2 run fer_ros install_m'):
        create_detector('short')


def test_without_litert_its_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ai_edge_litert', None)
    monkeypatch.setitem(sys.modules, 'ai_edge_litert.interpreter', None)
    with pytest.raises(DetectorError, match='pip install ai-edge-litert'):
        create_detector('short', model=find_model('short'))


def test_fainter_faces_leave_the_others_as_they_are():
    """`solutions` gives none below 0.5; LiteRT does, when asked, and boxes and scores of the others stay."""
    image = np.zeros((480, 640, 3), np.uint8)
    image[:, :400] = portraits()['astronaut'][:480, :400]
    detector = LiteRTDetector(find_model('short'), 0.5)
    clear = detector.detect(image)
    detector.confidence = 0.05
    more = detector.detect(image)
    assert len(more) > len(clear) == 1
    assert more[0].box == clear[0].box
    assert more[0].score == clear[0].score
    assert all(0.05 <= face.score < 0.5 for face in more[1:])
    detector.close()


class FakeYuNet:
    """Answers as cv2.FaceDetectorYN does: rows of box, five points and score, in pixels of the size it was told."""

    rows = None

    def __init__(self):
        self.size = None

    def setInputSize(self, size):
        self.size = size

    def detect(self, image):
        assert image.shape[1::-1] == self.size
        return 1, self.rows


@pytest.fixture
def yunet(tmp_path, monkeypatch):
    fake = FakeYuNet()
    monkeypatch.setattr(cv2, 'FaceDetectorYN', SimpleNamespace(create=lambda *arguments: fake))
    (tmp_path / 'yunet.onnx').touch()
    return create_detector('yunet', model=tmp_path / 'yunet.onnx', yunet_side=640), fake


def test_yunet_output(yunet):
    detector, fake = yunet
    assert isinstance(detector, YuNetDetector)
    assert detector.detect(np.zeros((480, 640, 3), np.uint8)) == []
    points = np.arange(10)
    fake.rows = np.array([[10, 20, 30, 40, *points, 0.6], [50, 60, 70, 80, *points, 0.9], [1, 2, 3, 4, *points, 0.3]],
                         np.float32)
    best, second = detector.detect(np.zeros((480, 640, 3), np.uint8))
    assert best.box == (50, 60, 70, 80)
    assert best.score == pytest.approx(0.9)
    assert second.box == (10, 20, 30, 40)
    assert second.keypoints.tolist() == points.reshape(5, 2).tolist()


def test_yunet_sees_large_images_small_and_answers_in_their_pixels(yunet):
    detector, fake = yunet
    fake.rows = np.array([[10, 20, 30, 40, *range(10), 0.9]], np.float32)
    found, = detector.detect(np.zeros((1080, 1920, 3), np.uint8))
    assert fake.size == (640, 360)
    assert found.box == (30, 60, 90, 120)
    assert found.keypoints[4].tolist() == [24, 27]


def test_yunet_is_given_320_pixels_by_default(yunet, tmp_path):
    _, fake = yunet
    create_detector('yunet', model=tmp_path / 'yunet.onnx').detect(np.zeros((480, 640, 3), np.uint8))
    assert fake.size == (320, 240)


def test_yunet_leaves_out_what_is_no_box(yunet):
    detector, fake = yunet
    fake.rows = np.array([[np.nan, 0, 10, 10, *range(10), 0.9], [0, 0, 0, 10, *range(10), 0.9]], np.float32)
    assert detector.detect(np.zeros((48, 48, 3), np.uint8)) == []


def test_start_up_is_quiet():
    """MediaPipe's chatter is gone; what others write to standard error at that time is not."""
    program = '\n'.join([
        'import os, threading, time',
        'from fer_ros.perception import detection',
        'from fer_ros.perception.mediapipe_stderr import without_chatter',
        'with without_chatter(): os.write(2, b"a real complaint\\n")',
        'detector = detection.create_detector("short")',
        'detector.close()'])
    result = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, timeout=300, check=True)
    assert result.stderr == 'a real complaint\n'
