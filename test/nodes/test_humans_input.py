from sensor_msgs.msg import Image
from std_msgs.msg import Header

from fer_ros.media.built_in_clip import portraits
from fer_ros.media.image_decoding import ConversionError
from fer_ros.nodes.humans_input import CropBatcher, Crops, classify_crops
from fer_ros.nodes.humans_output import letterboxed
from fer_ros.nodes.image_conversion import to_message
from fer_ros.perception.crop_pipeline import CropPipeline
from fer_ros.perception.settings import PipelineSettings


class TestCropBatcher:
    def test_all_faces_of_an_image_in_one_batch(self):
        batcher = CropBatcher(0.03)
        batcher.follow(['a', 'b'])
        assert batcher.add('a', 100, 'a1', 0.0) == {} and batcher.take(0.001) == {}
        batcher.add('b', 100, 'b1', 0.002)
        assert batcher.take(0.002) == {'a': 'a1', 'b': 'b1'}
        assert batcher.take(1.0) == {}

    def test_a_face_out_of_sight_is_not_waited_for_for_ever(self):
        batcher = CropBatcher(0.03)
        batcher.follow(['a', 'b'])
        batcher.add('a', 100, 'a1', 0.0)
        assert batcher.take(0.029) == {} and batcher.waiting
        assert batcher.take(0.031) == {'a': 'a1'} and not batcher.waiting

    def test_a_newer_image_ends_an_older_one(self):
        batcher = CropBatcher(0.03)
        batcher.follow(['a', 'b'])
        batcher.add('a', 100, 'a1', 0.0)
        assert batcher.add('b', 133, 'b2', 0.01) == {'a': 'a1'}
        batcher.add('a', 133, 'a2', 0.011)
        assert batcher.take(0.011) == {'a': 'a2', 'b': 'b2'}

    def test_a_stale_picture_is_not_handed_out_twice(self):
        batcher = CropBatcher(0.03)
        batcher.follow(['a'])
        batcher.add('a', 100, 'a1', 0.0)
        assert batcher.take(0.0) == {'a': 'a1'}
        assert batcher.add('a', 100, 'a1', 0.1) == {} and batcher.take(1.0) == {}

    def test_without_stamps_every_picture_is_new(self):
        batcher = CropBatcher(0.03)
        batcher.follow(['a'])
        for picture in ('a1', 'a2'):
            batcher.add('a', 0, picture, 0.0)
            assert batcher.take(0.0) == {'a': picture}

    def test_faces_not_followed_are_ignored_and_lost_ones_dropped(self):
        batcher = CropBatcher(0.03)
        batcher.add('a', 100, 'a1', 0.0)
        assert not batcher.waiting
        batcher.follow(['a', 'b'])
        batcher.add('a', 100, 'a1', 0.0)
        batcher.follow(['b'])
        assert not batcher.waiting


def test_pictures_of_one_image_go_through_the_pipeline_together_and_a_bad_one_does_not_keep_the_others():
    pipeline = CropPipeline(PipelineSettings(device='cpu'))
    header = Header(frame_id='camera')
    good = to_message(letterboxed(portraits()['astronaut'], (180, 62, 90, 118)), header)
    crops = Crops(header, {'smile': good, 'broken': Image(header=header, encoding='bgr8', width=5, height=5, step=15)},
                  {'smile': (0.1, 0.2, 0.3, 0.4)}, frozenset(('smile', 'broken')))
    frame = classify_crops(pipeline, crops, 1.0)
    assert [(face.face_id, face.box) for face in frame.result.faces] == [('smile', (0.1, 0.2, 0.3, 0.4))]
    assert frame.result.primary == 'smile' and frame.result.living_ids == {'smile'}
    assert [type(error) for error in frame.bad_pictures] == [ConversionError]
    assert (frame.width, frame.height, frame.image) == (1, 1, None)
    assert classify_crops(pipeline, Crops(header, {}, {}, frozenset()), 1.1).result.living_ids == set()
