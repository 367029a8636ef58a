import math

import cv2
import numpy as np
import pytest

from fer_ros.media.built_in_clip import portraits
from fer_ros.perception.cropping import FRAMING, BoxFraming, KeypointFraming, Square, crop_faces, eye_tilt
from fer_ros.perception.detection import Detection, create_detector


def turned(points, angle, about):
    sine, cosine = math.sin(angle), math.cos(angle)
    return (np.asarray(points) - about) @ np.array([[cosine, sine], [-sine, cosine]]) + about


@pytest.fixture(scope='module')
def gradient():
    """A picture whose brightness tells the place: smooth, so that resampling does not change it."""
    y, x = np.mgrid[:400, :600]
    return np.dstack([(x / 3 + y / 8).astype(np.uint8)] * 3)


@pytest.mark.parametrize('side', [20, 48, 96, 150, 300])
def test_shows_exactly_the_square(gradient, side):
    crop, = crop_faces(gradient, [Square(310, 190, side)])
    x, y = (310 - side / 2 + side * (np.arange(48) + 0.5) / 48 - 0.5 for _ in range(2))
    y = y - 120
    expected = x[None] / 3 + y[:, None] / 8
    assert np.abs(crop - expected).max() < 1.5


@pytest.mark.parametrize('degrees', [-40, -10, 15, 45])
def test_turns_the_face_upright(degrees):
    picture = cv2.GaussianBlur(cv2.resize(np.random.default_rng(1).integers(0, 255, (20, 20, 3), np.uint8), (400, 400)),
                               None, 5)
    matrix = cv2.getRotationMatrix2D((200, 200), -degrees, 1)  # clockwise
    tilted = cv2.warpAffine(picture, matrix, (400, 400), borderMode=cv2.BORDER_REFLECT)
    crop, straight = (crop_faces(image, [Square(200, 200, 150, tilt)])[0].astype(int)
                      for image, tilt in ((tilted, math.radians(degrees)), (picture, 0.0)))
    assert np.abs(crop - straight).mean() < 3


@pytest.mark.parametrize('square', [Square(0, 0, 100), Square(640, 480, 200, 0.5), Square(320, 240, 2000),
                                    Square(-500, 900, 60), Square(10, 470, 0.5), Square(320, -1e6, 50, -0.7)])
def test_continues_the_border(square):
    image = np.full((480, 640, 3), 90, np.uint8)
    crop, = crop_faces(image, [square])
    assert (crop == 90).all()


def test_border_pixels_are_those_next_to_it():
    image = np.zeros((100, 100, 3), np.uint8)
    image[:, :50] = 200
    crop, = crop_faces(image, [Square(0, 50, 96)])
    assert (crop[:, :40] == 200).all()


@pytest.mark.parametrize('shape', [(1, 1, 3), (1, 50, 3), (50, 1, 3), (30, 40)])
def test_small_and_grey_images(shape):
    assert crop_faces(np.full(shape, 7, np.uint8), [Square(1, 1, 30)]).max() == 7


def test_several_faces_and_none(gradient):
    squares = [Square(100, 100, 90), Square(400, 200, 120, 0.2), Square(250, 50, 60)]
    crops = crop_faces(gradient, squares)
    assert crops.shape == (3, 48, 48)
    assert crops.dtype == np.uint8
    assert all((crop == crop_faces(gradient, [square])[0]).all() for crop, square in zip(crops, squares, strict=True))
    assert crop_faces(gradient, []).shape == (0, 48, 48)


def test_leaves_the_image_alone(gradient):
    before = gradient.copy()
    crop_faces(gradient, [Square(100, 100, 90, 0.3)])
    assert (gradient == before).all()


def test_box_framing():
    detection = Detection((100.0, 200.0, 80.0, 125.0), 0.9, np.array([[120, 240], [160, 240]], np.float32))
    square = BoxFraming(side=1.2, up=0.1).square(detection)
    assert (square.x, square.y, square.side, square.tilt) == pytest.approx((140, 262.5 - 12, 120, 0))
    tilted = Detection(detection.box, 0.9, np.array([[120, 220], [160, 260]], np.float32))
    square = BoxFraming(side=1.2, up=0.1).square(tilted)
    assert square.tilt == pytest.approx(math.pi / 4)
    assert (square.x, square.y) == pytest.approx((140 + 12 * math.sqrt(0.5), 262.5 - 12 * math.sqrt(0.5)))


@pytest.mark.parametrize('keypoints', [[], [[10, 10]], [[10, 10], [12, 40]], [[50, 10], [10, 12]],
                                       [[10, 10], [10, 10]]])
def test_eyes_that_cannot_be_right_turn_nothing(keypoints):
    assert eye_tilt(np.array(keypoints, np.float32).reshape(-1, 2)) == 0


def six_keypoints(tilt, mouth_tilt=None):
    upright = np.array([(-20, -10), (20, -10), (0, 5), (0, 30), (-45, 0), (45, 0)], float)
    keypoints = turned(upright, tilt, (0, 0))
    if mouth_tilt is not None:
        keypoints[3] = turned(upright[3:4], mouth_tilt, (0, 0))[0]
    return keypoints


@pytest.mark.parametrize('degrees', [-95, -60, -30, 0, 30, 60, 95])
def test_a_steep_tilt_is_taken_where_the_mouth_confirms_it(degrees):
    assert eye_tilt(six_keypoints(math.radians(degrees))) == pytest.approx(math.radians(degrees))


@pytest.mark.parametrize(('degrees', 'mouth_degrees'), [(70, 0), (-80, 0), (60, -60), (120, 120), (180, 180)])
def test_a_profile_or_a_face_upside_down_is_not_turned(degrees, mouth_degrees):
    assert eye_tilt(six_keypoints(math.radians(degrees), math.radians(mouth_degrees))) == 0


@pytest.mark.parametrize('degrees', [-60, 60])
def test_a_face_lying_on_its_side_is_read_upright(degrees, shipped_model):
    """The portrait of a neutral face, turned in the plane, is still classified as neutral."""
    from fer_ros.emotions import EMOTIONS, decide
    from fer_ros.perception.recognition import EmotionRecognizer

    image = cv2.resize(portraits()['hopper'], None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    height, width = image.shape[:2]
    canvas = np.full((640, 640, 3), 120, np.uint8)
    canvas[(640 - height) // 2:(640 - height) // 2 + height, (640 - width) // 2:(640 - width) // 2 + width] = image
    canvas = cv2.warpAffine(canvas, cv2.getRotationMatrix2D((320, 320), -degrees, 1), (640, 640),
                            borderValue=(120, 120, 120))
    detector = create_detector('short')
    found = max(detector.detect(canvas), key=lambda d: d.box[2])
    detector.close()
    square = FRAMING['short'].square(found)
    assert math.degrees(square.tilt) == pytest.approx(degrees, abs=25)
    probabilities = EmotionRecognizer(shipped_model, 'cpu').probabilities(crop_faces(canvas, [square]))[0]
    assert EMOTIONS[decide(probabilities)] == 'neutral'


@pytest.mark.parametrize('count', [5, 6])
@pytest.mark.parametrize('angle', [0.0, 0.4, -0.7])
def test_keypoint_framing_finds_the_frame(count, angle):
    framing = KeypointFraming((0.3, 0.4), (0.7, 0.4), (0.5, 0.8))
    unit = np.array([framing.right_eye, framing.left_eye, (0.5, 0.6), framing.mouth])
    unit = np.vstack([unit, [(0.1, 0.5), (0.9, 0.5)]]) if count == 6 else \
        np.vstack([unit[:3], [(0.4, 0.8), (0.6, 0.8)]])
    points = turned((unit - 0.5) * 150 + (300, 200), angle, (300, 200))
    square = framing.square(Detection((0, 0, 1, 1), 0.9, points.astype(np.float32)))
    assert (square.x, square.y, square.side, square.tilt) == pytest.approx((300, 200, 150, angle), abs=1e-3)


@pytest.mark.parametrize('points', [np.zeros((5, 2)), np.full((5, 2), 33.0)])
def test_keypoints_in_one_place_still_give_a_square(points):
    square = FRAMING['yunet'].square(Detection((0, 0, 10, 10), 0.9, points.astype(np.float32)))
    assert crop_faces(np.full((50, 50, 3), 5, np.uint8), [square]).max() == 5


@pytest.mark.parametrize('kind', ['short', 'full'])
def test_real_faces_are_framed_as_in_training(kind):
    """Eyes and mouth of both portraits come near their usual places, by box and by keypoints alike."""
    detector = create_detector(kind)
    usual = np.array([(0.316, 0.388), (0.693, 0.398), (0.495, 0.785)])
    for image in portraits().values():
        found, = detector.detect(image)
        for square in (FRAMING[kind].square(found), FRAMING['yunet'].square(found)):
            points = turned(found.keypoints[[0, 1, 3]], -square.tilt, (square.x, square.y))
            places = (points - (square.x, square.y)) / square.side + 0.5
            assert np.abs(places - usual).max() < 0.1
    detector.close()
