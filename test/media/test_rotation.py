import numpy as np
import pytest

from fer_ros.media.rotation import ANGLES, box_in_camera_image, turned

PICTURE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


@pytest.mark.parametrize('degrees', ANGLES)
def test_a_picture_is_turned_clockwise(degrees):
    assert np.array_equal(turned(PICTURE, degrees), np.rot90(PICTURE, -degrees // 90))


@pytest.mark.parametrize('degrees', ANGLES)
def test_a_box_leads_back_to_the_pixels_that_it_covers(degrees):
    camera = np.zeros((480, 640), np.uint8)
    camera[100:140, 300:330] = 255
    rows, columns = np.nonzero(turned(camera, degrees))
    box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    assert box_in_camera_image(box, degrees, 640, 480) == (300, 100, 30, 40)


@pytest.mark.parametrize('degrees', [45, -90, 360, 1, '90'])
def test_other_angles_are_refused_with_those_that_there_are(degrees):
    for use in (lambda: turned(PICTURE, degrees), lambda: box_in_camera_image((0, 0, 1, 1), degrees, 6, 4)):
        with pytest.raises(ValueError, match=f'rotate must be one of 0, 90, 180, 270, got {degrees!r}'):
            use()
