import numpy as np
import pytest
from golden import pictures

from fer_ros.msfernet.conditions import CLEAN, CONDITIONS, apply


@pytest.fixture(scope='module')
def faces():
    shown = pictures()
    return np.stack([shown['astronaut'], shown['grace_hopper']])


@pytest.mark.parametrize('name', CONDITIONS)
def test_a_condition_is_the_same_every_time_and_changes_faces(faces, name):
    before = faces.copy()
    changed = apply(name, faces)
    assert changed.shape == faces.shape and changed.dtype == np.uint8
    assert np.array_equal(changed, apply(name, faces))
    assert np.array_equal(changed, faces) == (name == CLEAN)
    assert np.array_equal(faces, before), 'the faces themselves are left alone'
    assert apply(name, faces[:0]).shape == (0, 48, 48)


def test_strengths(faces):
    assert apply('quarter of the light', faces).mean() == pytest.approx(faces.mean() / 4, abs=0.5)
    assert apply('contrast × 0.25', faces).std((1, 2)) == pytest.approx(faces.std((1, 2)) / 4, rel=0.02)
    grey = np.full((1, 48, 48), 128, np.uint8)
    for deviation in (10, 20, 30):
        assert apply(f'noise, sd {deviation}', grey).std() == pytest.approx(deviation, rel=0.05)
    point = np.zeros((1, 48, 48), np.uint8)
    point[0, 24, 24] = 255
    for length in (5, 9):
        assert (apply(f'motion blur of {length} px', point) > 0).sum() == length
    assert (apply('mask', faces)[:, 30:] == 200).all()
