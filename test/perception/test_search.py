"""Who is found, how soon, and with how many looks: real detectors on composed images, and counted fake ones."""

import cv2
import numpy as np
import pytest

from fer_ros.media.built_in_clip import BACKGROUND, PORTRAITS, portraits
from fer_ros.perception.detection import Detection, DetectorError, create_detector
from fer_ros.perception.image_parts import overlap
from fer_ros.perception.search import FaceSearch, WholeImage, create_finder
from fer_ros.perception.settings import PipelineSettings
from fer_ros.perception.tracking import FaceTracker


def scene(faces, width=640, height=480):
    """An image with portraits: (name, x, y, side) of their faces; and the true boxes."""
    rng = np.random.default_rng(0)
    noise = rng.integers(-20, 20, (height // 8, width // 8, 3))
    image = (np.array(BACKGROUND) + cv2.resize(noise.astype(np.float32), (width, height))).astype(np.uint8)
    boxes = []
    for name, x, y, side in faces:
        (left, top, w, h), (x0, y0, shown_w, shown_h) = PORTRAITS[name].face, PORTRAITS[name].shown
        scale = side / w
        picture = cv2.resize(portraits()[name][y0:y0 + shown_h, x0:x0 + shown_w], None, fx=scale, fy=scale,
                             interpolation=cv2.INTER_AREA)
        px, py = round(x - (left - x0) * scale), round(y - (top - y0) * scale)
        a, b, c, d = max(px, 0), max(py, 0), min(px + picture.shape[1], width), min(py + picture.shape[0], height)
        image[b:d, a:c] = picture[b - py:d - py, a - px:c - px]
        boxes.append((float(x), float(y), float(side), side * h / w))
    return image, boxes


class Following:
    """A search with the tracker that it works with."""

    def __init__(self, finder):
        self.finder, self.tracker, self.stamp = finder, FaceTracker(1.0, deterministic_ids=True), 0.0

    def see(self, image, elapsed=1 / 30):
        """Ids and boxes of the next frame."""
        self.stamp += elapsed
        found = self.finder.find(image, self.stamp, self.tracker.expected(self.stamp))
        return {track.face_id: track.box for track in self.tracker.update(found, self.stamp)}


@pytest.fixture(scope='module')
def finder():
    finder = create_finder(PipelineSettings())
    yield finder
    finder.close()


@pytest.fixture
def following(finder):
    finder.reset()
    return Following(finder)


EMPTY = scene([])[0]


@pytest.mark.parametrize('share', [0.035, 0.05, 0.08, 0.12, 0.25, 0.45])
@pytest.mark.parametrize(('width', 'height'), [(640, 480), (1280, 720)])
def test_newcomer_is_found_within_half_a_second_and_keeps_one_id(following, share, width, height):
    side = share * width
    image, (truth,) = scene([('astronaut', 0.3 * width, 0.35 * height, side)], width, height)
    for _ in range(10):
        assert not following.see(scene([], width, height)[0])
    seen = [following.see(image) for _ in range(30)]
    first = next(index for index, faces in enumerate(seen) if faces)
    assert first < 15
    for faces in seen[first:]:
        assert faces.keys() == {'f1'}
        assert overlap(faces['f1'], truth) > 0.5


def test_the_first_frame_is_searched_completely(following):
    image, truth = scene([('hopper', 100, 80, 120), ('astronaut', 450, 60, 26), ('hopper', 300, 350, 30)])
    found = following.see(image).values()
    assert len(found) == 3
    assert all(max(overlap(box, other) for other in found) > 0.4 for box in truth)


def test_who_walks_up_keeps_the_id_from_far_to_near(following):
    ids = set()
    for side in np.linspace(24, 200, 90):
        faces = following.see(scene([('hopper', 300 - side / 2, 200 - side / 2, side)])[0])
        assert len(faces) == 1
        ids |= faces.keys()
    assert ids == {'f1'}


def test_more_small_faces_than_looks_stay_found_in_every_frame(following):
    places = [(name, 40 + 95 * column, 40 + 140 * row, 30) for row, name in enumerate(('hopper', 'astronaut', 'hopper'))
              for column in range(6)]
    image, _ = scene(places)
    for _ in range(30):
        following.see(image)
    counts, ids = [], set()
    for _ in range(30):
        faces = following.see(image)
        counts.append(len(faces))
        ids |= faces.keys()
    assert min(counts) == max(counts) >= 16
    assert len(ids) == counts[0]


def test_who_is_gone_is_gone(following):
    image, _ = scene([('hopper', 400, 100, 30)])
    for _ in range(20):
        following.see(image)
    assert not following.see(EMPTY)


def test_another_image_size_begins_anew(following):
    following.see(scene([('hopper', 100, 100, 200)])[0])
    faces = following.see(scene([('hopper', 50, 50, 100)], 320, 240)[0])
    assert len(faces) == 1


def test_fewer_pixels_than_a_face(following):
    for shape in ((1, 1), (1, 300), (300, 1), (5, 7)):
        assert following.see(np.zeros((*shape, 3), np.uint8)) == {}


class Fake:
    """A detector that says what it is told to, and counts its looks."""

    def __init__(self, kind, answer=lambda image: []):
        self.kind, self.answer, self.confidence, self.looks = kind, answer, 0.5, 0

    def detect(self, image):
        self.looks += 1
        return [Detection(box, 0.9, np.zeros((6, 2), np.float32), self.kind) for box in self.answer(image)]

    def close(self):
        self.kind = None


def test_looks_are_bounded_however_many_faces_there_are():
    # Every part of an image is full of what the other detector never confirms.
    boxes = [(float(x), float(y), 8.0, 8.0) for x in range(0, 310, 12) for y in range(0, 310, 12)]
    near, far = Fake('short'), Fake('full', lambda image: boxes if image.shape == (320, 320, 3) else [])
    search = FaceSearch(near, far, 4)
    search.find(EMPTY, 0.0, [])
    for i in range(1, 31):
        near.looks = far.looks = 0
        assert search.find(EMPTY, i / 30, []) == []
        assert near.looks + far.looks <= 4 + 2


def test_a_find_that_is_not_confirmed_gets_no_id_and_is_left_alone_for_a_while():
    near, far = (Fake('short', lambda image: [(100.0, 100.0, 90.0, 90.0)] if image.shape == EMPTY.shape else []),
                 Fake('full'))
    search = FaceSearch(near, far, 6)
    confirmations = []
    for i in range(30):
        before = far.looks
        assert search.find(EMPTY, i / 30, []) == []
        confirmations.append(far.looks - before)
    # Whole images and tiles take turns; a confirmation is asked for once in half a second.
    assert sum(confirmations) <= 6 + 1 + 15 + 2


def test_a_refused_find_is_looked_at_again_as_soon_as_it_is_seen_better():
    scores, face = iter([0.6, 0.6, 0.9]), (100.0, 100.0, 90.0, 90.0)

    class Entering(Fake):
        def detect(self, image):
            self.looks += 1
            return ([Detection(face, next(scores), np.zeros((6, 2), np.float32))] if image.shape == EMPTY.shape else [])

    class Doubting(Fake):
        def detect(self, image):
            return [Detection((135.0, 100.0, 90.0, 90.0), 0.75, np.zeros((6, 2), np.float32), 'full')] \
                if image.shape == (450, 450, 3) else []

    search = FaceSearch(Entering('short'), Doubting('full'), 6)
    found = [len(search.find(EMPTY, i / 30, [])) for i in range(5)]
    assert found == [0, 0, 0, 0, 1], 'whole images and tiles take turns'


def test_with_nobody_there_it_costs_one_look_per_frame():
    near, far = Fake('short'), Fake('full')
    search = FaceSearch(near, far, 6)
    search.find(EMPTY, 0.0, [])
    near.looks = far.looks = 0
    for i in range(1, 31):
        search.find(EMPTY, i / 30, [])
    assert (near.looks, far.looks) == (15, 15)


def test_with_one_near_face_a_tile_is_looked_at_ten_times_a_second():
    face = (200.0, 150.0, 120.0, 120.0)
    near = Fake('short', lambda image: [face] if image.shape == EMPTY.shape else [(60.0, 60.0, 120.0, 120.0)])
    far = Fake('full', lambda image: [(200.0, 240.0, 120.0, 120.0)] if image.shape == (600, 600, 3) else [])
    following = Following(FaceSearch(near, far, 6))
    following.see(EMPTY)
    near.looks = far.looks = 0
    for _ in range(30):
        following.see(EMPTY)
    assert near.looks >= 30
    assert 9 <= far.looks <= 11


def test_settings_reach_the_detectors():
    near, far = Fake('short'), Fake('full')
    search = FaceSearch(near, far, 6)
    search.apply(PipelineSettings(detection_confidence=0.7, search_looks=9))
    assert near.confidence == far.confidence == 0.7
    search.close()
    assert near.kind is far.kind is None
    whole = WholeImage(near)
    whole.apply(PipelineSettings(detection_confidence=0.6))
    assert near.confidence == 0.6


def test_a_model_that_would_not_be_used_is_refused(tmp_path):
    with pytest.raises(DetectorError, match=r'detector_model .*\.tflite is not used by the detector search'):
        create_finder(PipelineSettings(detector_model=tmp_path / 'a.tflite'))


def test_one_detector_sees_the_whole_image_only():
    image, _ = scene([('hopper', 100, 100, 30)])
    finder = create_finder(PipelineSettings(detector='short'))
    assert finder.find(image, 0.0, []) == []
    assert create_detector('short').detect(image) == []
    finder.close()
