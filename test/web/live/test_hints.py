"""What people are told to do."""

import dataclasses

import numpy as np
import pytest
from dashboard_harness import face

from fer_ros.perception.image_problems import ImageProblems
from fer_ros.results.faces import FacesFrame
from fer_ros.results.frame_result import FrameResult
from fer_ros.web.live.hints import PERIOD, FaceHints
from fer_ros.web.texts import Hints

STEP = 100_000_000
GOOD = face('fa', 0.9)
TURNED = dataclasses.replace(GOOD, quality=0.1)
CUT = dataclasses.replace(GOOD, quality=0.1, box=(-60.0, 80.0, 120.0, 120.0))
SMALL = dataclasses.replace(GOOD, box=(100.0, 80.0, 15.0, 15.0))


def frame(index: int, *faces) -> FacesFrame:
    return FacesFrame(10**18 + index * STEP, 'camera', 640, 480, faces)


def after(*faces, frames: int = 10) -> FaceHints:
    hints = FaceHints()
    for index in range(frames):
        hints.add(frame(index, *faces))
    return hints


@pytest.mark.parametrize(('seen', 'text'), [
    (GOOD, None), (TURNED, Hints.turned_only), (CUT, Hints.cut_only), (SMALL, Hints.small_only)])
def test_a_face_that_is_hard_to_see(seen, text):
    assert after(seen).now(()) == ([text] if text else [])


def test_each_of_several_faces_is_named():
    assert after(dataclasses.replace(GOOD, face_id='fb'), TURNED).now(()) == [Hints.turned.format(face='fa')]


def test_single_frames_change_nothing_and_it_ends_with_the_cause():
    hints = after(GOOD)
    hints.add(frame(10, TURNED))
    assert hints.now(()) == []
    for index in range(11, 40):
        hints.add(frame(index, TURNED))
    hints.add(frame(40, GOOD))
    assert hints.now(()) == [Hints.turned_only]
    for index in range(41, 41 + int(PERIOD * 10)):
        hints.add(frame(index, GOOD))
    assert hints.now(()) == []
    hints.add(frame(60))
    assert hints.now(()) == [], 'nobody is in view'


def test_what_the_image_explains_is_not_blamed_on_a_face():
    dark, small = 'image too dark: add light or raise the exposure', 'faces too small (15 px): move closer'
    texts = dict(Hints.of_image)
    assert after(TURNED).now((dark,)) == [texts['image too dark']]
    assert after(TURNED).now((small,)) == [texts['faces too small'], Hints.turned_only]
    assert after(SMALL).now((small,)) == [texts['faces too small']]
    assert after(GOOD).now(('something new: see to it',)) == ['something new: see to it']


def test_every_problem_of_images_has_a_hint():
    rng = np.random.default_rng(1)
    sharp = rng.integers(40, 200, (480, 640, 3), np.uint8)
    seen = {
        'image too dark': (sharp // 20, GOOD), 'image overexposed': (np.full_like(sharp, 255), GOOD),
        'faces too small': (sharp, SMALL),
        'faces blurred': (np.broadcast_to(np.linspace(40, 200, 640, dtype=np.uint8)[:, None], (480, 640, 3)), GOOD),
        'faces stand on their side': (sharp, GOOD)}
    assert set(seen) == set(dict(Hints.of_image))
    for name, (image, shown) in seen.items():
        problems = ImageProblems()
        for index in range(5):
            problems.add(image, FrameResult((shown,), tilts={'fa': 1.5} if 'side' in name else {}), float(index))
        assert any(text.startswith(name) for text in problems.hints), (name, problems.hints)
        assert dict(Hints.of_image)[name] in after(GOOD).now(problems.hints)
