import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_ros.perception.image_parts import LEAST_TILE, MOST_TILES, brought_up, cut, overlap, same_face, tiles, window

SIDES = st.integers(1, 4000)


@given(SIDES, SIDES, st.floats(0.2, 1.0))
def test_tiles_cover_the_image_and_stay_in_it(width, height, share):
    parts = tiles(width, height, share)
    if not parts:
        assert min(width, height, share * max(width, height)) < LEAST_TILE
        return
    assert len(parts) <= MOST_TILES ** 2
    columns, rows = np.zeros(width, bool), np.zeros(height, bool)
    for left, top, right, bottom in parts:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert right - left == bottom - top
        columns[left:right] = rows[top:bottom] = True
    assert (columns.all() and rows.all()) or len(parts) == MOST_TILES


@pytest.mark.parametrize(('size', 'count'), [((640, 480), 6), ((1280, 720), 6), ((1920, 1080), 6), ((480, 640), 6),
                                             ((480, 480), 9)])
def test_tiles_of_usual_images(size, count):
    assert len(tiles(*size, 0.5)) == count


def test_neighbouring_tiles_share_a_fifth():
    starts = sorted({left for left, *_ in tiles(1000, 300, 0.3)})
    assert max(np.diff(starts)) <= 0.8 * 300 + 1


@pytest.mark.parametrize(('box', 'expected'), [
    ((100, 100, 40, 20), (60, 50, 180, 170)),
    ((0, 0, 40, 40), (0, 0, 120, 120)),
    ((-10, 300, 40, 40), (0, 260, 120, 380)),
    ((600, 440, 40, 40), (520, 360, 640, 480)),
    ((200, 150, 200, 200), (0, -50, 600, 550)),
    ((640, 0, 40, 40), None), ((0, 480, 40, 40), None), ((-40, 0, 40, 40), None)])
def test_window(box, expected):
    assert window(box, 3.0, 640, 480) == expected


def test_what_is_beyond_the_image_is_black():
    image = np.full((4, 6, 3), 200, np.uint8)
    part = cut(image, (-1, -2, 8, 7))
    assert part.shape == (9, 9, 3)
    assert (part[2:6, 1:7] == 200).all()
    assert part.sum() == image.sum()
    inside = cut(image, (1, 1, 3, 4))
    assert inside.base is image
    assert inside.shape == (3, 2, 3)


def test_overlap():
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 0, 10, 10)) == 0


def test_a_small_face_within_a_large_box_is_another_one():
    assert same_face((0, 0, 100, 100), (10, 10, 90, 90))
    assert same_face((0, 0, 100, 100), (25, 25, 50, 50)), 'the same centre'
    assert not same_face((0, 0, 100, 100), (70, 10, 25, 25))
    assert not same_face((0, 0, 100, 100), (40, 40, 20, 20)), 'too different in size'


def test_dark_images_are_brought_up_and_a_lit_face_in_a_dark_room_is_left_alone():
    image = np.random.default_rng(0).integers(0, 20, (480, 640, 3), np.uint8)
    assert brought_up(image).max() > 150
    assert brought_up(np.zeros((4, 4, 3), np.uint8)).max() == 0
    lit = image.copy()
    lit[100:200, 100:200] = 180
    assert brought_up(lit) is lit
