import pytest

from fer_ros.drawing.colours import DASHES, FACE_COLOURS
from fer_ros.web.theme import CONTRAST, DARK_GROUND, LIGHT_GROUND, contrast, face_style, readable


def test_contrast_is_that_of_the_standard():
    assert contrast((255, 255, 255), (0, 0, 0)) == pytest.approx(21)
    assert contrast((0, 0, 255), (255, 255, 255)) == pytest.approx(4.0, abs=0.01)  # red


@pytest.mark.parametrize('ground', [LIGHT_GROUND, DARK_GROUND])
@pytest.mark.parametrize('colour', FACE_COLOURS)
def test_every_line_shows_on_both_grounds(colour, ground):
    assert contrast(readable(colour, ground), ground) >= CONTRAST


def test_lines_differ_also_without_colours():
    styles = [face_style(colour) for colour in FACE_COLOURS]
    for key in ('light', 'dark', 'dash'):
        assert len({str(style[key]) for style in styles}) == len(FACE_COLOURS)
    assert len(DASHES) == len(FACE_COLOURS)
