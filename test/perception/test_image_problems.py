"""What is said of images that are dark, overexposed, blurred, small or on their side, and when."""

import math

import cv2
import numpy as np
import pytest

from fer_ros.emotions import EMOTIONS
from fer_ros.media.built_in_clip import portraits
from fer_ros.media.rotation import turned
from fer_ros.perception.image_problems import PERIOD, SIDE, ImageProblems, look, sharpness
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings
from fer_ros.results.faces import FaceEmotion
from fer_ros.results.frame_result import FrameResult

BOX = (138.0, 64.0, 75.0, 75.0)
"""The face of the portrait."""


@pytest.fixture(scope='module')
def portrait():
    picture = portraits()['astronaut']
    return cv2.resize(picture, (400, round(400 * picture.shape[0] / picture.shape[1])), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope='module')
def found(portrait, shipped_model):
    with FacePipeline(PipelineSettings(device='cpu')) as pipeline:
        return pipeline.process(portrait, 0.0)


def gain(image, factor):
    return np.clip(image.astype(float) * factor, 0, 255).astype(np.uint8)


def said(image, result, *, seconds=3.0, rate=10.0, problems=None):
    problems = problems or ImageProblems()
    for i in range(round(seconds * rate)):
        problems.add(image, result, i / rate)
    return problems.hints


def nobody():
    return FrameResult()


def faces(box=BOX, tilts=()):
    face = FaceEmotion('f1', box, (1 / 7,) * 7, EMOTIONS[0], 1 / 7, 0.0, 0.0)
    return FrameResult((face,), tilts={f'f{i}': math.radians(tilt) for i, tilt in enumerate(tilts)})


def test_nothing_is_said_of_a_good_image(portrait, found):
    assert len(found.faces) == 1
    assert said(portrait, found) == ()
    assert said(portrait, nobody()) == ()


@pytest.mark.parametrize('with_face', [True, False])
@pytest.mark.parametrize(('change', 'text'), [
    (lambda image: gain(image, 0.05), 'image too dark: add light or raise the exposure'),
    (lambda image: gain(image, 6), 'image overexposed: lower the exposure')])
def test_light_is_judged_with_and_without_a_face(portrait, found, change, text, with_face):
    hint, = said(change(portrait), found if with_face else nobody())
    assert hint.startswith(text)


def test_a_dark_room_with_a_lit_face_is_not_dark(portrait, found):
    x, y, width, height = (round(v) for v in found.faces[0].box)
    image = gain(portrait, 0.05)
    image[y:y + height, x:x + width] = portrait[y:y + height, x:x + width]
    assert said(image, found) == ()


@pytest.mark.parametrize('change', [lambda image: cv2.GaussianBlur(image, (0, 0), 7),
                                    lambda image: cv2.blur(image, (25, 1)), lambda image: cv2.blur(image, (1, 25))])
def test_blur_and_motion_are_told_but_not_of_dark_faces(portrait, found, change):
    hint, = said(change(portrait), found)
    assert hint.startswith('faces blurred: focus or clean the lens')
    hint, = said(gain(change(portrait), 0.05), found)
    assert 'dark' in hint


def test_sharpness_falls_with_blur_and_does_not_depend_on_light(portrait):
    grey = cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY)
    face = cv2.resize(grey[50:250, 100:300], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    values = [sharpness(cv2.GaussianBlur(face, (0, 0), sd)) for sd in (0.3, 0.7, 1.0, 1.5, 2.0, 3.0)]
    assert values == sorted(values, reverse=True)
    assert sharpness(gain(face, 0.4)) == pytest.approx(sharpness(face), rel=0.05)
    assert sharpness(np.full((SIDE, SIDE), 7, np.uint8)) == 0


def test_small_faces_are_told_with_their_size(portrait):
    small = cv2.resize(portrait, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    x, y, width, height = (value * 0.2 for value in BOX)
    hint, = said(small, faces((x, y, width, height)))
    assert hint == 'faces too small (15 px): move closer or raise the resolution'


@pytest.mark.parametrize(('tilts', 'rotate', 'hint'), [
    ((60, 55), 0, 'set rotate to 270'), ((-62,), 0, 'set rotate to 90'), ((-62,), 270, 'set rotate to 0'),
    ((62,), 270, 'set rotate to 180'), ((30, -30), 0, None), ((60, 0), 0, None), ((), 0, None)])
def test_most_faces_on_one_side_are_told_with_the_angle(portrait, tilts, rotate, hint):
    problems = ImageProblems()
    for i in range(10):
        problems.add(portrait, faces(tilts=tilts), i, rotate)
    assert (hint is None and problems.hints == ()) or (hint in problems.hints[0] and len(problems.hints) == 1)
    problems.add(portrait, faces(), 10.0, (rotate + 90) % 360)
    assert problems.hints == (), 'turned images are others'


@pytest.mark.parametrize(('degrees', 'remedy'), [(90, 270), (270, 90)])
def test_the_pipeline_sees_that_a_portrait_stands_on_its_side(portrait, shipped_model, degrees, remedy):
    with FacePipeline(PipelineSettings(device='cpu')) as pipeline:
        problems = ImageProblems()
        for i in range(6):
            image = turned(portrait, degrees)
            result = pipeline.process(image, i * PERIOD)
            assert result.tilts.keys() == {face.face_id for face in result.faces}
            problems.add(image, result, i * PERIOD)
    assert problems.hints == (f'faces stand on their side: set rotate to {remedy}',)


def test_a_moment_is_not_told_and_what_is_over_is_forgotten(portrait, found):
    dark = gain(portrait, 0.05)
    assert said(dark, found, seconds=0.35) == (), 'too few looks'
    problems = ImageProblems(half_life=3.0)
    for i in range(400):
        problems.add(dark if i < 200 else portrait, found, i / 10)
        if i == 199:
            assert problems.hints
    assert problems.hints == ()
    problems = ImageProblems()
    for i in range(100):
        problems.add(dark if i < 70 else portrait, found, i / 10)
    assert problems.hints, 'most of the whole recording'


def test_images_are_looked_at_in_time_not_by_number(portrait, found, monkeypatch):
    from fer_ros.perception import image_problems
    looks = []
    monkeypatch.setattr(image_problems, 'look', lambda *arguments: looks.append(arguments) or look(*arguments))
    said(portrait, found, seconds=4.0, rate=60.0)
    assert 15 <= len(looks) <= 21
    problems = ImageProblems(3.0)
    for stamp in (100.0, 5.0, 200.0, 199.9):  # stamps that jump
        problems.add(portrait, found, stamp)


@pytest.mark.parametrize('box', [(-50, -50, 100, 100), (390, 100, 60, 60), (500, 500, 40, 40), (10, 10, 1, 1),
                                 (-1000, -1000, 4000, 4000)])
def test_a_box_beyond_the_image_is_looked_at_inside_it(portrait, box):
    seen = look(portrait, box)
    assert 0 <= seen.clipped <= 1 and math.isfinite(seen.bright)
    assert said(portrait, faces(box)) is not None


@pytest.mark.parametrize('shape', [(1, 1), (1, 1000), (3, 3), (2000, 2)])
def test_tiny_images(shape):
    assert look(np.zeros((*shape, 3), np.uint8), None).bright == 0
    assert look(np.zeros((*shape, 3), np.uint8), (0, 0, 3, 3)).bright == 0
