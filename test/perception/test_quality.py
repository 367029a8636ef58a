from dataclasses import replace

import cv2
import numpy as np
import pytest

from fer_ros.media.built_in_clip import Placement, Stage, portraits
from fer_ros.perception import quality
from fer_ros.perception.cropping import FRAMING, Square, crop_faces
from fer_ros.perception.detection import Detection, create_detector
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings


@pytest.fixture(scope='module')
def crops():
    """The two portraits as the network sees them, (2, 48, 48)."""
    detector = create_detector('short')
    return np.concatenate([crop_faces(image, [FRAMING['short'].square(detector.detect(image)[0])])
                           for image in portraits().values()])


def degraded(crops, change):
    return np.array([np.clip(change(crop.astype(np.float32)), 0, 255) for crop in crops]).astype(np.uint8)


def test_clear_faces_have_a_high_quality(crops):
    assert (quality.of_pictures(crops, [200, 200]) > 0.75).all()


@pytest.mark.parametrize('changes', [
    [lambda face, s=s: cv2.GaussianBlur(face, (0, 0), s) for s in (1.5, 2.5, 4)],
    [lambda face, s=s: face + np.random.default_rng(0).normal(0, s, face.shape) for s in (10, 20, 40)],
    [lambda face, s=s: face * s for s in (1.7, 2.5, 5)],
    [lambda face, s=s: cv2.blur(face, (s, 1)) for s in (7, 11, 17)]], ids=['defocus', 'noise', 'overexposed', 'motion'])
def test_it_falls_as_the_picture_gets_worse(crops, changes):
    values = [quality.of_pictures(crops, [200, 200]).mean(),
              *(quality.of_pictures(degraded(crops, change), [200, 200]).mean() for change in changes)]
    assert values[1] < values[0]
    assert values[2] < values[1]
    assert values[3] < values[2]
    assert values[3] < values[0] - 0.1


def test_it_falls_with_the_pixels_of_the_face(crops):
    values = []
    for side in (48, 30, 20, 12):
        small = np.array([cv2.resize(cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA), (48, 48))
                          for crop in crops])
        values.append(quality.of_pictures(small, [side, side]).mean())
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.6


@pytest.mark.parametrize('picture', [np.zeros((48, 48)), np.full((48, 48), 255), np.eye(48) * 255])
@pytest.mark.parametrize('side', [0.0, 1.0, 1e6])
def test_it_is_0_to_1_whatever_the_picture(picture, side):
    value, = quality.of_pictures(picture.astype(np.uint8)[None], [side])
    assert 0 <= value <= 1


def test_of_nobody():
    empty = np.zeros((0, 48, 48), np.uint8)
    assert quality.of_pictures(empty, []).shape == quality.of_faces(empty, [], [], 640, 480).shape == (0,)


@pytest.mark.parametrize(('nose', 'expected'), [(0.0, 1.0), (0.4, 1.0), (-0.4, 1.0), (0.6, 0.5), (-0.8, 0.0),
                                               (2.0, 0.0)])
@pytest.mark.parametrize('tilt', [0.0, 0.7])
def test_pose(nose, expected, tilt):
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    points = np.array([[100, 100], [140, 100], [120 + 40 * nose, 125], [120, 140], [90, 105], [150, 105]]) @ turn
    assert quality.of_pose(points.astype(np.float32)) == pytest.approx(expected, abs=1e-3)


def test_pose_without_keypoints_is_not_held_against_a_face():
    assert quality.of_pose(np.zeros((0, 2))) == 1
    assert 0 <= quality.of_pose(np.zeros((6, 2))) <= 1


@pytest.mark.parametrize(('x', 'y', 'expected'), [
    (320, 240, 1.0), (50, 240, 1.0), (20, 240, 0.85), (0, 240, 0.4667), (-50, 240, 0.0), (320, 20, 0.85),
    (320, 460, 0.41), (320, 490, 0.0)])
def test_border(x, y, expected):
    assert quality.of_border(Square(x, y, 100), 640, 480) == pytest.approx(expected, abs=0.01)


@pytest.fixture(scope='module')
def pipeline(shipped_model):
    with FacePipeline(PipelineSettings(device='cpu', deterministic_ids=True)) as pipeline:
        yield pipeline


def test_a_face_that_comes_in_does_not_start_at_what_its_half_looks_like(pipeline):
    """The line of a face that enters is soon that of the whole face."""
    pipeline.reset()
    stage, shown = Stage(640, 480), []
    for i in range(30):
        x = min(0.5, -0.02 + 0.03 * i)
        for face in pipeline.process(stage.draw([Placement('hopper', x, 0.5, 130)]), i / 15).faces:
            shown.append((face.quality, face.valence, face.raw_valence))
    assert shown[0][0] == min(value for value, _, _ in shown) < shown[-1][0] - 0.1
    whole = [raw for value, _, raw in shown if value > 0.85]
    first = next(index for index, (value, _, _) in enumerate(shown) if value > 0.85)
    assert abs(shown[min(first + 2, len(shown) - 1)][1] - np.median(whole)) < 0.25


def test_who_is_hard_to_see_is_not_primary(pipeline):
    pipeline.reset()
    pipeline.apply(PipelineSettings(device='cpu', deterministic_ids=True, min_quality=1.0))
    result = pipeline.process(portraits()['hopper'], 100.0)
    assert len(result.faces) == 1
    assert result.primary is None
    pipeline.apply(PipelineSettings(device='cpu', deterministic_ids=True))
    assert pipeline.process(portraits()['hopper'], 100.1).primary == result.faces[0].face_id


@pytest.mark.parametrize(('score', 'expected'), [(0.5, 0.53), (0.78, 0.77), (0.95, 1.0)])
def test_score_of_the_detector(score, expected):
    """It says whether a face is covered only where it is that of the short-range detector."""
    found = Detection((0, 0, 10, 10), score, np.zeros((0, 2)), 'short')
    assert quality.of_score(found) == pytest.approx(expected)
    assert quality.of_score(replace(found, detector='full')) == 1


@pytest.mark.parametrize('name', ['astronaut', 'hopper'])
@pytest.mark.parametrize(('upper', 'lower', 'colour'), [(0.5, 1.1, (180, 140, 90)), (0.5, 1.0, (90, 110, 160))],
                         ids=['mask', 'hand'])
def test_a_covered_face_has_less(pipeline, name, upper, lower, colour):
    image = portraits()[name]
    pipeline.reset()
    open_face, = pipeline.process(image, 0.0).faces
    x, y, width, height = (round(value) for value in open_face.box)
    covered = image.copy()
    covered[y + round(upper * height):y + round(lower * height), x:x + width] = colour
    pipeline.reset()
    looks = [pipeline.process(covered, 1.0 + i / 30).faces for i in range(10)]  # a doubtful face is looked at twice
    masked, = looks[-1]
    assert masked.quality < 0.9 * open_face.quality
