"""Images that do not change are searched less often, and any change at once."""

from dataclasses import replace

import numpy as np
import pytest

from fer_ros.media.built_in_clip import Placement, Stage
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings
from fer_ros.perception.still_image import CHANGED, SETTLED, StillImage

RATE = 30


def pictures(value, noise, size=(480, 640), count=60):
    """Noise from places of one large field: to draw it anew for every picture takes seconds."""
    generator = np.random.default_rng(0)
    height, width = size
    field = np.clip(value + generator.normal(0, noise, (2 * height, width + 100, 3)), 0, 255).astype(np.uint8)
    for y, x in zip(generator.integers(height + 1, size=count), generator.integers(101, size=count), strict=True):
        yield field[y:y + height, x:x + width].copy()


def still(images, rate=RATE):
    seen = StillImage()
    return [seen.see(image, i / rate) for i, image in enumerate(images)]


@pytest.mark.parametrize('size', [(480, 640), (1080, 1920), (120, 160), (7, 5)])
def test_noise_is_no_change(size):
    told = still(pictures(120, 3, size))
    assert told == [i / RATE >= SETTLED for i in range(60)]


def test_few_images_are_not_still_however_long_they_take():
    """At 2 frames/s the search has not looked everywhere within a second."""
    assert not any(still(pictures(120, 0, count=15), rate=2))
    assert still(pictures(120, 0, count=17), rate=2)[-1]


def test_a_slow_drift_is_a_change_in_the_end():
    told = still(np.full((48, 64, 3), 100 + 0.3 * CHANGED * i, np.uint8) for i in range(60))
    assert not any(told)


@pytest.mark.parametrize('change', ['part', 'size', 'stamp back', 'gap'])
def test_what_ends_stillness(change):
    seen = StillImage()
    image = np.full((480, 640, 3), 100, np.uint8)
    assert [seen.see(image, i / RATE) for i in range(40)][-1]
    stamp = {'stamp back': 0.5, 'gap': 10.0}.get(change, 40 / RATE)
    if change == 'part':
        image = image.copy()
        image[100:119, 200:219] += 40
    elif change == 'size':
        image = image[:240, :320]
    assert not seen.see(image, stamp)
    assert not seen.see(image, stamp + 0.5)


@pytest.fixture(scope='module')
def settings(shipped_model):
    return PipelineSettings(model=str(shipped_model), device='cpu', deterministic_ids=True)


@pytest.fixture
def watched(settings, monkeypatch):
    """A pipeline, and the stamps at which its detectors looked."""
    with FacePipeline(settings) as pipeline:
        looked, find = [], pipeline.analyser.finder.find
        monkeypatch.setattr(pipeline.analyser.finder, 'find', lambda image, stamp, tracks: (
            looked.append(stamp), find(image, stamp, tracks))[1])
        yield pipeline, looked


def test_a_still_face_is_found_twice_a_second_and_classified_in_every_frame(watched):
    pipeline, looked = watched
    image = Stage(640, 480).draw([Placement('hopper', 0.4, 0.5, 150)])
    faces = [pipeline.process(image, i / RATE).faces for i in range(90)]
    assert len([stamp for stamp in looked if stamp < 1]) == RATE
    assert 3 <= len([stamp for stamp in looked if stamp > 1]) <= 4
    assert {face.face_id for frame in faces for face in frame} == {'f1'} and all(len(frame) == 1 for frame in faces)
    first, last = faces[30][0], faces[-1][0]
    assert np.abs(np.subtract(first.box, last.box)).max() < 1
    assert last.valence == pytest.approx(first.valence, abs=0.01)


@pytest.mark.parametrize('size', [24, 130])
def test_who_comes_into_a_still_room_is_found_as_soon_as_without_it(watched, settings, size):
    pipeline, looked = watched
    stage = Stage(640, 480)
    images = [stage.draw([])] * 60 + [stage.draw([Placement('astronaut', 0.62, 0.4, size)])] * 30
    first = {}
    for period in (0.0, 0.5):
        looked.clear()
        pipeline.reset()
        pipeline.apply(replace(settings, still_period=period))
        found = [len(pipeline.process(image, i / RATE).faces) for i, image in enumerate(images)]
        first[period] = found.index(1)
        assert (len(looked) == 90) == (period == 0)
    assert first[0.5] <= first[0.0] + 3


def test_who_leaves_is_gone_at_once(watched):
    pipeline, _ = watched
    stage = Stage(640, 480)
    images = [stage.draw([Placement('hopper', 0.4, 0.5, 150)])] * 60 + [stage.draw([])] * 5
    faces = [pipeline.process(image, i / RATE).faces for i, image in enumerate(images)]
    assert all(faces[:60]) and not any(faces[60:])


def test_the_period_is_bounded_by_the_track_timeout(watched, settings):
    pipeline, looked = watched
    pipeline.apply(replace(settings, still_period=10.0, track_timeout=0.4))
    image = Stage(640, 480).draw([Placement('hopper', 0.4, 0.5, 150)])
    faces = [pipeline.process(image, i / RATE).faces for i in range(90)]
    assert all(faces)
    assert np.diff(looked).max() <= 0.2 + 1.01 / RATE
