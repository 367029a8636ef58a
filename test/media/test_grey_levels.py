"""16-bit images that use a part of their range, and light that changes."""

import itertools
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from fer_ros.media.built_in_clip import portraits
from fer_ros.media.grey_levels import LEAST_SPAN, WHITE, GreyLevels
from fer_ros.media.image_decoding import to_bgr
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings

RAMP = np.linspace(0, 1, 160 * 120).reshape(120, 160)


def ramp(low, high):
    return (low + RAMP * (high - low)).astype(np.uint16)


def level(image) -> float:
    return float(np.percentile(image, 99.5))


@pytest.mark.parametrize(('low', 'high'), [(0, 1023), (64, 1023), (0, 4095), (256, 4095), (0, 65535), (7200, 8400)])
def test_content_fills_the_range_whatever_its_bits(low, high):
    image = GreyLevels()(ramp(low, high), 0.0)
    assert image.dtype == np.uint8 and image.shape == RAMP.shape
    assert np.percentile(image, 1) <= 1 and level(image) == pytest.approx(WHITE, abs=1)
    assert np.all(np.diff(image.ravel().astype(int)) >= 0), 'nothing wraps around'


def test_noise_of_a_covered_lens_is_not_blown_up():
    noise = np.random.default_rng(0).normal(64, 2, RAMP.shape).astype(np.uint16)
    assert GreyLevels()(noise, 0.0).std() < 3 * WHITE / LEAST_SPAN
    assert GreyLevels()(np.full((1, 1), 512, np.uint16), 0.0).tolist() == [[0]]


def test_colours_are_scaled_alike_and_opacity_does_not_count():
    colour = np.dstack([ramp(0, 1023), ramp(0, 512), ramp(0, 1023), np.full(RAMP.shape, 65535, np.uint16)])
    image = GreyLevels()(colour, 0.0)
    assert level(image[..., 0]) == pytest.approx(WHITE, abs=2)
    assert level(image[..., 1]) == pytest.approx(WHITE / 2, abs=2)


def test_somebody_in_white_who_passes_changes_little_at_once_and_the_light_is_followed_slowly():
    levels = GreyLevels()
    before = levels(ramp(0, 800), 0.0)
    assert np.array_equal(levels(ramp(0, 800), 0.1), before)
    brighter = [levels(ramp(0, 900), 0.1 + i / 30) for i in range(1, 300)]
    assert level(brighter[0]) > level(before) + 10, 'brighter light is seen as brighter'
    steps = [abs(level(a) - level(b)) for a, b in itertools.pairwise(brighter)]
    assert max(steps) < 3, 'steadily'
    assert level(brighter[-1]) == pytest.approx(WHITE, abs=2)


@pytest.mark.parametrize(('before', 'after'), [(300, 4095), (4095, 300)])
def test_a_lamp_that_is_switched_leaves_contrast_in_the_very_first_image(before, after):
    levels = GreyLevels()
    levels(ramp(0, before), 0.0)
    image = levels(ramp(0, after), 1 / 30)
    assert 150 < level(image) <= 255
    assert (image == 255).mean() < 0.35


def test_rate_does_not_matter():
    ends = []
    for rate in (10, 60):
        levels = GreyLevels()
        levels(ramp(0, 800), 0.0)
        for i in range(1, rate + 1):
            image = levels(ramp(0, 900), i / rate)
        ends.append(level(image))
    assert ends[0] == pytest.approx(ends[1], abs=1)


@pytest.mark.parametrize('stamp', [9.9, 100.0])
def test_a_stamp_that_jumps_and_a_new_stream_start_anew(stamp):
    levels, new = GreyLevels(), GreyLevels()(ramp(0, 900), 0.0)
    levels(ramp(0, 800), 10.0)
    assert not np.array_equal(levels(ramp(0, 900), 10.1), new)
    levels.reset()
    assert np.array_equal(levels(ramp(0, 900), 10.2), new)
    levels(ramp(0, 800), 10.0)
    assert np.array_equal(levels(ramp(0, 900), stamp), new)


@pytest.fixture(scope='module')
def pipeline(shipped_model):
    with FacePipeline(PipelineSettings(device='cpu')) as pipeline:
        yield pipeline


@pytest.mark.parametrize(('bits', 'black', 'light'), [(8, 0, 1.0), (10, 0, 1.0), (10, 64, 0.4), (12, 0, 1.0),
                                                      (12, 256, 0.15), (16, 0, 1.0)])
def test_a_smile_is_one_in_every_depth_and_light(pipeline, bits, black, light):
    grey = cv2.cvtColor(portraits()['astronaut'], cv2.COLOR_BGR2GRAY) * light
    values = (black + grey * ((1 << bits) - 1 - black) / 255).astype('<u2')
    height, width = values.shape
    message = SimpleNamespace(encoding='mono16', width=width, height=height, step=width * 2, is_bigendian=0,
                              data=values.tobytes())
    levels = GreyLevels()
    pipeline.reset()
    face, = pipeline.process(to_bgr(message, lambda image: levels(image, 0.0)), 0.0).faces
    assert face.emotion == 'happy' and face.valence > 0.2
