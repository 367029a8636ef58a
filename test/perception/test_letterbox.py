import dataclasses

import cv2
import numpy as np
import pytest

from fer_ros.emotions import valence
from fer_ros.media.built_in_clip import portraits
from fer_ros.perception.crop_pipeline import CropPipeline
from fer_ros.perception.cropping import FRAMING, BoxFraming, crop_faces
from fer_ros.perception.detection import Detection, create_detector
from fer_ros.perception.letterbox import TALL_BOX, content, letterboxed_faces
from fer_ros.perception.pipeline import PipelineSettings


def letterbox(picture, size=128):
    """As hri_face_detect does it."""
    scale = min(size / picture.shape[1], size / picture.shape[0])
    scaled = cv2.resize(picture, None, fx=scale, fy=scale)
    square = np.zeros((size, size, *picture.shape[2:]), np.uint8)
    top, left = (size - scaled.shape[0]) // 2, (size - scaled.shape[1]) // 2
    square[top:top + scaled.shape[0], left:left + scaled.shape[1]] = scaled
    return square


@pytest.fixture(scope='module')
def heads():
    """Boxes of the portraits' faces in YuNet's manner: where the training frame would be, brow to chin."""
    detector = create_detector('short')
    boxes = {}
    for name, image in portraits().items():
        square = dataclasses.replace(FRAMING['short'].square(detector.detect(image)[0]), tilt=0.0)
        root = square.side / TALL_BOX.side
        width, height = root / 1.3 ** 0.5, root * 1.3 ** 0.5
        y = square.y + TALL_BOX.up * square.side
        boxes[name] = (square.x - width / 2, y - height / 2, width, height), square
    detector.close()
    return boxes


@pytest.mark.parametrize('shape', [(128, 98), (128, 97), (98, 128), (97, 128), (128, 128), (128, 1)])
@pytest.mark.parametrize('colours', [3, 0])
def test_content_is_the_picture_without_bars(shape, colours):
    picture = np.full((*shape, 3) if colours else shape, 90, np.uint8)
    assert content(letterbox(picture)).shape == picture.shape
    assert content(letterbox(picture)).all()


def test_dark_background_on_one_side_is_no_bar():
    picture = np.full((128, 98, 3), 90, np.uint8)
    picture[:, :20] = 0
    assert content(letterbox(picture)).shape[1] in (97, 98)


def test_all_black_is_left_alone():
    assert content(np.zeros((128, 128, 3), np.uint8)).shape == (128, 128, 3)


def test_frames_as_the_detector_s_own_crop_would_be(heads):
    for name, image in portraits().items():
        (x, y, width, height), square = heads[name]
        crop = letterbox(image[round(y):round(y + height), round(x):round(x + width)])
        ours, wanted = letterboxed_faces([crop])[0], crop_faces(image, [square])[0]
        inner = slice(8, 40)  # beyond the box, the picture does not know what was there
        assert np.abs(ours[inner, inner].astype(int) - wanted[inner, inner]).mean() < 12, name


def test_square_boxes_are_taken_for_mediapipe_s():
    picture = np.random.default_rng(0).integers(1, 255, (96, 96, 3)).astype(np.uint8)
    expected = FRAMING['short']
    assert isinstance(expected, BoxFraming)
    box = Detection((0.0, 0.0, 96.0, 96.0), 1.0, np.zeros((0, 2)))
    np.testing.assert_array_equal(letterboxed_faces([picture])[0], crop_faces(picture, [expected.square(box)])[0])


def test_no_faces():
    assert letterboxed_faces([]).shape == (0, 48, 48)


@pytest.fixture(scope='module')
def pipeline():
    return CropPipeline(PipelineSettings(device='cpu', half_life=0.0))


@pytest.fixture(scope='module')
def crops(heads):
    crops = {}
    for name, image in portraits().items():
        x, y, width, height = heads[name][0]
        crops[name] = letterbox(image[round(y):round(y + height), round(x):round(x + width)])
    return crops


class TestCropPipeline:
    @pytest.fixture(autouse=True)
    def fresh(self, pipeline):
        pipeline.reset()

    def test_smile_and_sober_face_in_one_batch(self, pipeline, crops, monkeypatch):
        batches = []
        probabilities = pipeline.recognizer.probabilities
        monkeypatch.setattr(pipeline.recognizer, 'probabilities',
                            lambda faces: (batches.append(len(faces)), probabilities(faces))[1])
        result = pipeline.process(crops, {}, set(crops), 1.0)
        faces = {f.face_id: f for f in result.faces}
        assert batches == [2]
        assert faces['astronaut'].valence > 0.1
        assert faces['hopper'].valence < faces['astronaut'].valence
        assert result.timings.keys() == {'crop', 'recognise', 'smooth'}

    def test_largest_first_and_primary(self, pipeline, crops):
        boxes = {'hopper': (0.1, 0.1, 0.4, 0.4), 'astronaut': (0.6, 0.1, 0.2, 0.2)}
        result = pipeline.process(crops, boxes, set(crops), 1.0)
        assert [f.face_id for f in result.faces] == ['hopper', 'astronaut'] and result.primary == 'hopper'
        assert result.faces[0].box == boxes['hopper']

    def test_a_face_out_of_sight_lives_as_long_as_it_is_followed(self, pipeline, crops):
        pipeline.process(crops, {}, {'astronaut', 'hopper'}, 1.0)
        one = {'hopper': crops['hopper']}
        assert pipeline.process(one, {}, {'astronaut', 'hopper'}, 1.1).living_ids == {'astronaut', 'hopper'}
        assert pipeline.process(one, {}, {'hopper'}, 1.2).living_ids == {'hopper'}
        nobody = pipeline.process({}, {}, set(), 1.3)
        assert (nobody.faces, nobody.primary, nobody.living_ids) == ((), None, frozenset())

    def test_calibration_corrects_and_is_lost_with_the_face(self, pipeline, crops):
        one = {'hopper': crops['hopper']}
        before = pipeline.process(one, {}, {'hopper'}, 0.9).faces[0].valence
        pipeline.baselines.start('hopper', 1.0)
        for i in range(21):
            pipeline.process(one, {}, {'hopper'}, 1 + i / 10)
        assert pipeline.baselines.finish(3.0).success
        assert abs(pipeline.process(one, {}, {'hopper'}, 3.1).faces[0].valence) < 0.1
        pipeline.process({}, {}, set(), 3.2)
        after = pipeline.process(one, {}, {'hopper'}, 3.3).faces[0]
        assert after.valence == pytest.approx(before, abs=1e-3) and valence(after.probabilities) == pytest.approx(
            before, abs=1e-3)

    def test_settings_that_can_change(self, pipeline, crops):
        pipeline.apply(PipelineSettings(half_life=1.0, primary_face='oldest'))
        assert pipeline.states.smoother.half_life == 1.0
        pipeline.apply(PipelineSettings(half_life=0.0))
