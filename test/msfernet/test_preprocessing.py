import numpy as np
import pytest
import torch
from msfernet_support import noise_faces

from fer_ros.msfernet import data
from fer_ros.msfernet.preprocessing import MEAN, STD, network_input


def test_pixels_are_scaled_and_standardised():
    faces = noise_faces(3)
    result = network_input(faces, mean=0.4, std=0.2)
    assert result.shape == (3, 1, 48, 48)
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result[:, 0].numpy(), (faces / 255 - 0.4) / 0.2, rtol=1e-5, atol=1e-5)


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


def test_mean_and_std_are_those_of_the_training_pixels(fer2013):
    pixels = data.load(fer2013, 'train', progress=False).images / 255
    assert pixels.mean() == pytest.approx(MEAN, abs=1e-4)
    assert pixels.std() == pytest.approx(STD, abs=1e-4)
