"""The annotated picture, judged by its pixels."""

import numpy as np
import pytest

from fer_ros.drawing.annotate import annotate
from fer_ros.drawing.colours import FACE_COLOURS, NEGATIVE, POSITIVE, FaceColours
from fer_ros.drawing.text import fit, put_text, text_size
from fer_ros.results.faces import FaceEmotion, FacesFrame

SIZES = [(320, 240), (640, 480), (1920, 1080)]


def face(face_id='fabcd', box=(100, 80, 90, 90), valence=0.5):
    return FaceEmotion(face_id, box, (0, 0, 0, 1, 0, 0, 0), 'happy', 0.9, valence, valence)


def frame(*faces, size=(640, 480), primary=None):
    return FacesFrame(0, 'camera', *size, faces, primary)


def grey(size):
    return np.full((size[1], size[0], 3), 128, np.uint8)


def count(picture, colour):
    return int((picture == colour).all(axis=-1).sum())


def test_no_face_leaves_the_picture_as_it_is_and_the_input_is_never_changed():
    image = grey((640, 480))
    assert np.array_equal(annotate(image, frame()), image)
    annotate(image, frame(face()))
    assert (image == 128).all()


@pytest.mark.parametrize('size', SIZES)
def test_box_edges_have_the_colour_of_the_face(size):
    scale = size[1] / 480
    box = tuple(v * scale for v in (200, 150, 120, 130))
    colours = FaceColours()
    picture = annotate(grey(size), frame(face(box=box), size=size), colours)
    colour = colours(['fabcd'])['fabcd']
    x, y, w, h = box
    for px, py in [(x, y + h / 2), (x + w, y + h / 2), (x + w / 2, y + h)]:
        assert tuple(picture[round(py), round(px)]) == colour
    inside = picture[round(y + 0.4 * h):round(y + 0.6 * h), round(x + 0.3 * w):round(x + 0.7 * w)]
    assert (inside == 128).all()


def test_primary_face_has_the_thicker_box():
    colour = FaceColours()(['fabcd'])['fabcd']
    row = [annotate(grey((640, 480)), frame(face(box=(200, 150, 120, 130)), primary=p))[215] for p in (None, 'fabcd')]
    plain, primary = (count(r, colour) for r in row)
    assert primary == 2 * plain or primary > plain + 2


@pytest.mark.parametrize(('valence', 'filled', 'other'), [(0.8, POSITIVE, NEGATIVE), (-0.8, NEGATIVE, POSITIVE)])
def test_valence_bar_fills_from_its_middle_towards_the_sign(valence, filled, other):
    # An id whose own colour is neither of the bar's.
    face_id = next(i for i in map('f{}'.format, range(100)) if FaceColours()([i])[i] not in (POSITIVE, NEGATIVE))
    picture = annotate(grey((640, 480)), frame(face(face_id, (200, 150, 120, 130), valence)))
    assert count(picture, other) == 0
    columns = np.flatnonzero((picture == filled).all(axis=-1).any(axis=0))
    light = np.flatnonzero((picture == 225).all(axis=-1).sum(axis=0) > 3)
    bar_left, bar_right = min(columns.min(), light.min()), max(columns.max(), light.max())
    half = (bar_right - bar_left) / 2
    assert len(columns) == pytest.approx(0.8 * half, abs=3)
    assert (columns.mean() > (bar_left + bar_right) / 2) == (valence > 0)


BOXES = {  # as shares of the picture
    'top left': (-0.1, -0.1, 0.2, 0.2), 'bottom right': (0.9, 0.9, 0.2, 0.2), 'whole picture': (0, 0, 1, 1),
    'outside': (1.2, 1.2, 0.2, 0.2), 'tiny': (0.99, 0.5, 0.001, 0.001),
}


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('where', BOXES)
def test_text_stays_inside_wherever_the_box_is(size, where, monkeypatch):
    texts = []

    def recording(image, text, x, y, font_size, colour, *, align=(0, 0), bold=False):
        width, height = text_size(text, font_size, bold)
        texts.append((x - align[0] * width, y - align[1] * height, width, height))
        put_text(image, text, x, y, font_size, colour, align=align, bold=bold)

    monkeypatch.setattr('fer_ros.drawing.annotate.put_text', recording)
    box = tuple(share * size[i % 2] for i, share in enumerate(BOXES[where]))
    annotate(grey(size), frame(face(box=box), size=size))
    assert len(texts) == 2
    for x, y, width, height in texts:
        assert x >= 0
        assert y >= 0
        assert x + width <= size[0]
        assert y + height <= size[1]


@pytest.mark.parametrize('size', [(1, 1), (3, 2), (20, 10), (64, 48)])
def test_tiny_pictures_and_endless_ids_do_no_harm(size):
    picture = annotate(grey(size), frame(face('f' + 'x' * 200, (-5, -5, 500, 500)), size=size))
    assert picture.shape == (size[1], size[0], 3)


def test_long_id_does_not_push_out_the_emotion():
    short, long = (annotate(grey((320, 240)), frame(face(i, (100, 100, 60, 60)), size=(320, 240)))
                   for i in ('f', 'f' + 'x' * 200))
    assert not np.array_equal(short, long)
    assert text_size(fit('f' + 'x' * 200, 11, 100), 11)[0] <= 100


def test_text_is_cut_at_the_border_and_drawn_where_asked():
    image = np.zeros((40, 60, 3), np.uint8)
    put_text(image, 'Hello world', 50, 30, 14, (255, 255, 255))
    put_text(image, 'gone', 500, -300, 14, (255, 255, 255))
    assert image[32:, 50:].max() > 100
    assert image[:28].max() == 0
    assert image[:, :49].max() == 0


def test_colours_follow_from_the_id_and_differ_within_a_picture():
    ids = [f'f{n}' for n in range(len(FACE_COLOURS))]
    together = FaceColours()(ids)
    assert len(set(together.values())) == len(FACE_COLOURS)
    assert FaceColours()(['f3']) == FaceColours()(['f3'])


def test_a_face_keeps_its_colour_when_others_come_and_go():
    colours = FaceColours()
    ids = [f'f{n}' for n in range(4)]
    first = colours(ids)
    colours(f'g{n}' for n in range(50))
    assert colours(reversed(ids)) == first
    assert colours(['f2', 'g1'])['f2'] == first['f2']
