import numpy as np
import pytest
import torch
from msfernet_support import noise_faces

from fer_ros.msfernet.preprocessing import LEAST_DEVIATION, network_input


def test_each_face_is_standardised_over_its_middle():
    faces = noise_faces(3)
    faces[1] //= 8
    result = network_input(faces)
    assert result.shape == (3, 1, 48, 48)
    assert result.dtype == torch.float32
    middle = result[:, 0, 6:42, 6:42]
    torch.testing.assert_close(middle.mean((1, 2)), torch.zeros(3), rtol=0, atol=1e-4)
    torch.testing.assert_close(middle.std((1, 2), correction=0), torch.ones(3), rtol=0, atol=1e-4)
    for face, out in zip(faces, result[:, 0].numpy(), strict=True):
        assert np.corrcoef(face.ravel(), out.ravel())[0, 1] == pytest.approx(1), 'the whole face is kept'


def test_the_light_of_the_border_does_not_count():
    dark, bright = noise_faces(1) // 4, noise_faces(1) // 4
    bright[:, :6] = bright[:, 42:] = bright[:, :, :6] = bright[:, :, 42:] = 255
    assert torch.equal(network_input(dark)[..., 6:42, 6:42], network_input(bright)[..., 6:42, 6:42])


@pytest.mark.parametrize('gain', [0.5, 0.25])
def test_the_same_face_in_less_light_looks_the_same(gain):
    face = (noise_faces(1) // 8) * 8
    difference = network_input((face * gain).astype(np.uint8)) - network_input(face)
    assert difference.abs().max() < 1e-5


@pytest.mark.parametrize('level', [0, 128, 255])
def test_a_face_without_contrast_stays_flat(level):
    faces = np.full((1, 48, 48), level, np.uint8)
    assert torch.equal(network_input(faces), torch.zeros(1, 1, 48, 48))
    faces[0, ::2] ^= 1  # one grey level of rounding
    assert network_input(faces).abs().max() < 1 / LEAST_DEVIATION


def test_the_faces_are_left_alone():
    faces = noise_faces(1)
    before = faces.copy()
    network_input(faces).zero_()
    assert np.array_equal(faces, before)


def test_tensors_are_taken_as_well():
    faces = noise_faces(2)
    assert torch.equal(network_input(torch.from_numpy(faces)), network_input(faces))


@pytest.mark.parametrize('faces', [np.zeros((48, 48), np.uint8), np.zeros((1, 1, 48, 48), np.uint8),
                                   np.zeros((1, 48, 48), np.float32)])
def test_another_shape_or_dtype_is_refused(faces):
    with pytest.raises(ValueError, match='uint8 of shape'):
        network_input(faces)
