import cv2
import numpy as np
import pytest
import skimage.data
import torch

from fer_ros.msfernet.jpeg import jpeg


@pytest.fixture
def pictures():
    grey = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY)
    return np.stack([grey[y:y + 48, x:x + 48] for y, x in ((80, 200), (40, 180), (300, 100), (120, 210))])


@pytest.mark.parametrize('quality', [10, 30, 70, 95])
def test_it_loses_what_libjpeg_loses(pictures, quality):
    found = jpeg(torch.from_numpy(pictures)[:, None].float(), torch.full((4,), float(quality)))[:, 0].numpy()
    for picture, ours in zip(pictures, found, strict=True):
        _, file = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        theirs = cv2.imdecode(file, cv2.IMREAD_GRAYSCALE).astype(float)
        lost = np.abs(theirs - picture).mean()
        # Where a coefficient lies half-way, libjpeg's integer transform may round to the other side.
        assert np.abs(ours - theirs).mean() < max(0.15 * lost, 0.4)


def test_each_face_has_its_own_quality(pictures):
    faces = torch.from_numpy(pictures[[0, 0]])[:, None].float()
    coarse, fine = (jpeg(faces, torch.tensor([10.0, 90.0])) - faces).abs().mean((1, 2, 3))
    assert coarse > 3 * fine


@pytest.mark.parametrize('side', [1, 12, 20, 47])
def test_any_size(side):
    faces = torch.full((2, 1, side, side), 77.0)
    found = jpeg(faces, torch.tensor([20.0, 100.0]))
    assert found.shape == faces.shape
    assert (found - faces).abs().max() <= 5, 'a plain face stays plain'
