"""Faces that are hidden cannot be found any more, also in frames in which the detector misses them."""

import numpy as np
import pytest

from fer_ros.drawing.hidden_faces import WAYS, FaceHider
from fer_ros.media.built_in_clip import BuiltInClip
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings
from fer_ros.results.faces import FaceEmotion, FacesFrame


def face(x: float, y: float, size: float = 40.0) -> FaceEmotion:
    return FaceEmotion('f1', (x, y, size, size), (1.0, *[0.0] * 6), 'angry', 1.0, -1.0, -1.0)


@pytest.mark.parametrize('way', WAYS)
def test_no_face_is_found_where_it_was(way):
    image = BuiltInClip().frame(222)
    with FacePipeline(PipelineSettings()) as pipeline:
        found = pipeline.process(image, 0.0).faces
        assert len(found) == 2
        hider = FaceHider(way)
        hider.add(FacesFrame(0, '', 640, 480, found))
        shown = image.copy()
        hider.hide(shown)
        pipeline.reset()
        assert pipeline.process(shown, 1.0).faces == ()
    assert (shown[:40] == image[:40]).all(), 'the rest stays'


@pytest.mark.parametrize('way', WAYS)
def test_a_place_stays_hidden_for_a_second(way):
    hider = FaceHider(way)
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 3), np.uint8)

    def changed(stamp: float, *faces: FaceEmotion) -> tuple[bool, bool]:
        """At the first place, and at the second."""
        hider.add(FacesFrame(round(stamp * 1e9), '', 200, 200, faces))
        image = noise.copy()
        hider.hide(image)
        return bool((image[20:60, 20:60] != noise[20:60, 20:60]).any()), bool((image[-9:] != noise[-9:]).any())
    assert changed(0.0) == (False, False)
    assert changed(0.1, face(20, 20)) == (True, False)
    assert changed(0.9) == (True, False)
    assert changed(1.05, face(190, 190)) == (True, True), 'over the border of the image'
    assert changed(1.2, face(300, 300)) == (False, True)
    assert changed(-5.0) == (False, False), 'another time line'


def test_boxes_are_those_of_the_whole_image():
    hider = FaceHider('cover')
    hider.add(FacesFrame(0, '', 400, 400, (face(200, 200, 100),)))
    image = np.zeros((200, 200, 3), np.uint8)
    hider.hide(image)
    rows = np.flatnonzero(image.any((1, 2)))
    assert (rows[0], rows[-1]) == (85, 164)


def test_other_ways_are_refused():
    with pytest.raises(ValueError, match='by blur or cover'):
        FaceHider('none')
