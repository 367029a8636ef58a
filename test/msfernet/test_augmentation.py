from dataclasses import fields

import pytest
import torch
from torch import Generator

from fer_ros.msfernet.augmentation import Augmentation

NOTHING = {item.name: 0.0 for item in fields(Augmentation)} | {'lowest_gain': 0.08, 'most_noise': 36.0}


def only(**strengths):
    return Augmentation(**{**NOTHING, **strengths})


def draw(seed=0):
    return Generator().manual_seed(seed)


@pytest.fixture
def faces():
    # Smooth, so that resampling changes little.
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 48), torch.linspace(-1, 1, 48), indexing='ij')
    pair = torch.stack([rows + 2 * columns, torch.sin(3 * rows) + columns ** 2])
    return (128 + 30 * pair).round()[:, None].repeat(20, 1, 1, 1)


def test_without_strength_nothing_changes(faces):
    assert torch.equal(only()(faces, Generator()), faces)


def test_the_mirror_image(faces):
    assert torch.equal(only(flip=1.0)(faces, Generator()), faces.flip(3))


def test_exposure_scales_and_shifts_a_whole_face(faces):
    bright = only(exposure=0.3)(faces, draw())
    slope = bright.std((1, 2, 3)) / faces.std((1, 2, 3))
    assert slope.unique().numel() > 20
    assert (slope - 1).abs().max() < 0.33
    assert (bright.mean((1, 2, 3)) - faces.mean((1, 2, 3))).abs().max() < 0.3 * 128 + 1


def test_one_rectangle_is_painted_over(faces):
    erased = (only(erase=1.0)(faces, draw()) != faces)[:, 0]
    area = erased.float().mean((1, 2))
    assert area.max() <= 0.25
    assert area.median() > 0.01


@pytest.mark.parametrize('name', ['cover', 'erase', 'small', 'blur', 'noise', 'compress', 'gain', 'contrast',
                                  'side_light'])
def test_a_change_comes_as_often_as_asked(faces, name):
    often = (only(**{name: 0.5})(faces, draw()) != faces).flatten(1).any(1).float().mean()
    assert 0.2 < often < 0.8
    always = (only(**{name: 1.0})(faces, draw()) != faces).flatten(1).any(1).float().mean()
    assert always > 0.9


@pytest.mark.parametrize('name', ['small', 'blur', 'noise', 'compress', 'gain', 'contrast', 'side_light'])
def test_unspoilt_faces_see_no_bad_camera(faces, name):
    assert torch.equal(only(unspoilt=1.0, **{name: 1.0})(faces, draw()), faces)


def test_little_light_leaves_few_grey_levels(faces):
    dark = only(gain=1.0, lowest_gain=0.1)(faces, draw())
    share = dark.mean((1, 2, 3)) / faces.mean((1, 2, 3))
    assert 0.08 < share.min() < 0.3 and share.max() > 0.8


def test_small_faces_have_lost_their_detail(faces):
    striped = faces.clone()
    striped[..., ::2] += 60
    small = only(small=1.0)(striped.clamp(0, 255), draw())
    detail = (small[..., 1:] - small[..., :-1]).abs().mean((1, 2, 3))
    assert detail.max() < 0.8 * (striped[..., 1:] - striped[..., :-1]).abs().mean()


def test_noise_is_weaker_where_there_is_little_light(faces):
    grey = torch.full_like(faces, 128)
    bright, dark = (only(noise=1.0, gain=1.0, lowest_gain=low)(grey, draw()).std((1, 2, 3)) for low in (1.0, 0.1))
    assert (dark <= bright).all() and dark.mean() < 0.7 * bright.mean()


def test_steep_tilt_is_rarer(faces):
    level, steep = (only(rotation=15.0, steep=share, steep_rotation=45.0)(faces, draw()) for share in (0.0, 1.0))
    assert (steep - faces).abs().mean() > (level - faces).abs().mean()


def test_faces_move_on_their_own(faces):
    moved = only(rotation=15, scale=0.15, shift=0.07)(faces, draw())
    assert not torch.equal(moved[0], moved[2])


def test_a_generator_decides_everything(faces):
    augmentation = Augmentation()
    first = augmentation(faces, draw(3))
    torch.rand(5)
    assert torch.equal(first, augmentation(faces, draw(3)))
    assert not torch.equal(first, augmentation(faces, draw(4)))


@pytest.mark.parametrize('size', [16, 32, 48])
def test_results_are_grey_levels_of_any_size(faces, size):
    small = Augmentation()(faces, draw(), size=size)
    assert small.shape == (len(faces), 1, size, size)
    assert torch.equal(small, small.round().clamp(0, 255))
