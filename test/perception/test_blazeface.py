"""Anchors, decoding and merging of boxes; and that all of it finds MediaPipe's own faces.

    python test/perception/test_blazeface.py    writes solutions.json anew, where MediaPipe has its solutions
"""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_ros.media.built_in_clip import portraits
from fer_ros.perception import blazeface
from fer_ros.perception.blazeface import Faces, InputSquare, anchors, decode, merge
from fer_ros.perception.detection import LiteRTDetector, MediaPipeDetector
from fer_ros.perception.detector_models import MODELS, find_model, has_solutions
from fer_ros.tools.measure_framing import enlarge


def pictures():
    """Faces of many sizes and places in wide and tall images, cut off, mirrored, on their side.

    Made without interpolation, so that they are the same with every OpenCV.
    """
    random = np.random.default_rng(5)
    hopper, astronaut = (portraits()[name] for name in ('hopper', 'astronaut'))
    for width, height in ((640, 480), (480, 640), (1280, 720), (700, 700)):
        for step in (1, 2, 2, 3):
            image = random.integers(0, 256, (height, width, 3), np.uint8) // 4
            for portrait, x in ((hopper[::step, ::step], 0.0), (astronaut[::step, ::-step], 0.5)):
                left, top = int((x + random.uniform(0, 0.1)) * width), int(random.uniform(0, 0.3) * height)
                part = portrait[:height - top, :width - left]
                image[top:top + len(part), left:left + part.shape[1]] = part
            yield image
    yield from (hopper, astronaut, astronaut[:, 230:], hopper[:300], np.rot90(astronaut).copy())


SOLUTIONS = Path(__file__).parent / 'solutions.json'
"""What MediaPipe 0.10.21 finds in `pictures`: for each detector and picture the faces' score, box and keypoints."""
LEAST = {'short': 0.5, 'full': 0.6}
"""`solutions` gives nothing below, whatever it is asked for."""


def numbers(detections) -> list[list[float]]:
    return [[d.score, *d.box, *d.keypoints.ravel().tolist()] for d in detections]


def write_solutions() -> None:
    found = {}
    for kind in MODELS:
        detector = MediaPipeDetector(kind, 0.5)
        found[kind] = [[[round(n, 4) for n in face] for face in numbers(detector.detect(image))]
                       for image in pictures()]
    SOLUTIONS.write_text(json.dumps(found) + '\n')


@pytest.mark.parametrize('kind', MODELS)
def test_agrees_with_what_solutions_found_before(kind):
    """On every Python, OpenCV 4 and 5."""
    detector = LiteRTDetector(find_model(kind), LEAST[kind])
    compare(json.loads(SOLUTIONS.read_text())[kind], [numbers(detector.detect(image)) for image in pictures()])
    detector.close()


def compare(expected: list[list[list[float]]], found: list[list[list[float]]]) -> None:
    """Faces picture by picture, best score first."""
    assert [len(faces) for faces in found] == [len(faces) for faces in expected]
    # By place: scores that are nearly the same may change places.
    expected, found = ([sorted(faces, key=lambda face: face[1]) for faces in each] for each in (expected, found))
    apart = np.abs(np.concatenate([np.subtract(*pair) for pair in zip(expected, found, strict=True) if pair[0]]))
    moved, scores = apart[:, 1:].max(1), apart[:, 0]
    print(f'{len(apart)} faces in {len(expected)} pictures: coordinates {np.median(moved):.5f} pixels apart (median), '
          f'{np.quantile(moved, 0.99):.5f} (99 %), scores {scores.max():.6f}')
    assert len(apart) > 15
    # Here below 0.001; other processors add up in another order.
    assert np.median(moved) < 1
    assert np.quantile(moved, 0.99) < 3
    assert scores.max() < 0.02


def fer2013_pictures():
    """Every tenth of the validation set, as it is and enlarged; none where FER2013_DIR is not set."""
    folder = os.environ.get('FER2013_DIR')
    for path in sorted(Path(folder, 'validation').glob('*/*'))[::10] if folder else ():
        yield cv2.imread(str(path))
        yield enlarge(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))[0]


@pytest.mark.skipif(not has_solutions(), reason='MediaPipe is not installed with its solutions')
@pytest.mark.parametrize('kind', MODELS)
def test_agrees_with_solutions(kind):
    """On drawn pictures and, where they are, on those of FER2013."""
    theirs, ours = MediaPipeDetector(kind, 0.5), LiteRTDetector(find_model(kind), LEAST[kind])
    images = [*pictures(), *fer2013_pictures()]
    compare([numbers(theirs.detect(image)) for image in images], [numbers(ours.detect(image)) for image in images])
    theirs.close()
    ours.close()


def test_anchors_lie_in_the_middle_of_the_cells_row_by_row():
    short = anchors(896)
    assert short.shape == (896, 2)
    assert short[:4] == pytest.approx(np.array([[1, 1], [1, 1], [3, 1], [3, 1]]) / 32)
    assert short[512:519] == pytest.approx(np.array([[1, 1]] * 6 + [[3, 1]]) / 16)
    full = anchors(2304)
    assert full.shape == (2304, 2)
    assert full[48] == pytest.approx([1 / 96, 3 / 96])


def test_a_network_of_another_size_is_named():
    with pytest.raises(ValueError, match='100 boxes, where BlazeFace has 896 or 2304'):
        anchors(100)


def test_decoding_is_relative_to_the_anchor():
    boxes = np.zeros((3, 16), np.float32)
    boxes[:, :4] = [[10, -20, 40, 60], [0, 0, -5, 60], [0, 0, 10, np.nan]]
    boxes[0, 4:6] = [1, 2]
    centres = np.full((3, 2), 0.5, np.float32)
    faces = decode(boxes, np.array([0, 9, 9], np.float32), centres, 100, 0.5)
    assert faces.scores == pytest.approx([0.5]), 'a negative size, and what is not a number, are left out'
    assert faces.corners[0] == pytest.approx([0.4, 0, 0.8, 0.6])
    assert faces.keypoints[0, 0] == pytest.approx([0.51, 0.52])
    assert faces.keypoints[0, 1] == pytest.approx([0.5, 0.5])


def test_extreme_logits_do_not_overflow():
    boxes = np.ones((4, 16), np.float32)
    with np.errstate(all='raise'):
        faces = decode(boxes, np.array([-1e30, 1e30, -np.inf, np.inf], np.float32), np.zeros((4, 2)), 128, 0.5)
    assert faces.scores.tolist() == [1, 1]


def box(left, score):
    return [left, 0, left + 1, 1], np.full((6, 2), left), score


def faces(*boxes) -> Faces:
    return Faces(*(np.array(part, np.float32) for part in zip(*boxes, strict=True)))


def test_overlapping_boxes_become_their_mean_weighted_by_score():
    found = merge(faces(box(0.1, 0.6), box(5, 0.7), box(0, 0.9)), 0.5)
    assert found.scores == pytest.approx([0.9, 0.7])
    assert found.corners[0] == pytest.approx([0.04, 0, 1.04, 1])
    assert found.keypoints[0] == pytest.approx(np.full((6, 2), 0.04))
    assert found.corners[1] == pytest.approx([5, 0, 6, 1])


def test_faint_boxes_are_of_the_face_without_moving_it():
    found = merge(faces(box(0, 0.9), box(0.1, 0.3), box(5, 0.2), box(5.2, 0.2)), 0.5)
    assert found.corners[:, 0] == pytest.approx([0, 5.1])
    assert found.scores == pytest.approx([0.9, 0.2])


def test_boxes_without_area_and_none_at_all():
    point = [0.5, 0.5, 0.5, 0.5], np.zeros((6, 2)), 0.8
    assert merge(faces(point, point), 0.5).scores == pytest.approx([0.8, 0.8])
    none = merge(Faces(np.zeros((0, 4)), np.zeros((0, 6, 2)), np.zeros(0)), 0.5)
    assert (none.corners.shape, none.keypoints.shape, none.scores.shape) == ((0, 4), (0, 6, 2), (0,))


@pytest.mark.parametrize(('width', 'height'), [(640, 480), (480, 640), (128, 128), (1, 700)])
def test_the_square_holds_the_image_in_its_middle_and_leads_back(width, height):
    square = InputSquare(width, height)
    image = np.full((height, width, 3), (255, 0, 0), np.uint8)
    shrunk = square.shrink(image, 128)
    assert shrunk.shape == (1, 128, 128, 3)
    assert shrunk.dtype == np.float32
    if min(width, height) > 1:
        assert shrunk[0, 64, 64].tolist() == [-1, -1, 1], 'RGB, -1 to 1'
    if width > height:
        assert (shrunk[0, 2] == -1).all(), 'black above'
    middle = square.to_pixels(np.array([[0.5, 0.5], [0, 0]], np.float32))
    assert middle[0] == pytest.approx([width / 2, height / 2])
    assert middle[1] == pytest.approx([(width - max(width, height)) / 2, (height - max(width, height)) / 2])


def test_the_firm_score_is_known_for_every_network():
    assert set(blazeface.FIRM) == set(blazeface.GRIDS)


if __name__ == '__main__':
    write_solutions()
