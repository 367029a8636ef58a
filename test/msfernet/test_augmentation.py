import pytest
import torch
from torch import Generator

from fer_ros.msfernet.augmentation import Augmentation

NOTHING = {'rotation': 0.0, 'scale': 0.0, 'shift': 0.0, 'flip': 0.0, 'light': 0.0, 'erase': 0.0}


def only(**strengths):
    return Augmentation(**{**NOTHING, **strengths})


@pytest.fixture
def faces():
    # Smooth, so that resampling changes little.
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 48), torch.linspace(-1, 1, 48), indexing='ij')
    return torch.stack([rows + 2 * columns, torch.sin(3 * rows) + columns ** 2])[:, None].repeat(20, 1, 1, 1)


def test_without_strength_nothing_changes(faces):
    torch.testing.assert_close(only()(faces, Generator()), faces, rtol=0, atol=1e-4)


def test_the_mirror_image(faces):
    torch.testing.assert_close(only(flip=1.0)(faces, Generator()), faces.flip(3), rtol=0, atol=1e-4)


def test_light_scales_and_shifts_a_whole_face(faces):
    bright = only(light=0.3)(faces, Generator().manual_seed(0))
    slope = (bright - bright.mean((2, 3), keepdim=True)) / (faces - faces.mean((2, 3), keepdim=True))
    assert torch.allclose(slope.median(3).values.median(2).values, slope[..., 0, 0], atol=1e-3)
    assert (slope[..., 0, 0] - 1).abs().max() <= 0.3 + 1e-3


def test_one_rectangle_is_greyed_out(faces):
    erased = only(erase=1.0)(faces + 10, Generator().manual_seed(0))[:, 0] == 0
    area = erased.float().mean((1, 2))
    assert area.max() <= 0.3
    assert area.median() > 0.01
    rectangle = erased.any(2)[:, :, None] & erased.any(1)[:, None, :]
    assert torch.equal(erased, rectangle)


def test_about_the_chosen_share_is_erased(faces):
    erased = only(erase=0.5)(faces + 10, Generator().manual_seed(0))[:, 0] == 0
    assert 0.2 < erased.flatten(1).any(1).float().mean() < 0.8


def test_faces_move_on_their_own(faces):
    moved = only(rotation=15, scale=0.15, shift=0.07)(faces, Generator().manual_seed(0))
    assert not torch.allclose(moved[0], moved[2], atol=0.01)


def test_a_generator_decides_everything(faces):
    augmentation = Augmentation()
    first = augmentation(faces, Generator().manual_seed(3))
    torch.rand(5)
    assert torch.equal(first, augmentation(faces, Generator().manual_seed(3)))
    assert not torch.equal(first, augmentation(faces, Generator().manual_seed(4)))


def test_smaller_faces(faces):
    small = Augmentation()(faces, Generator().manual_seed(0), size=32)
    assert small.shape == (len(faces), 1, 32, 32)
    assert torch.isfinite(small).all()
