import itertools
import pickle
from dataclasses import replace

import numpy as np
import pytest

from fer_ros.emotions import EMOTIONS, decide, valence
from fer_ros.media.built_in_clip import BuiltInClip, Placement, Stage, portraits
from fer_ros.perception import PipelineError
from fer_ros.perception.face_follower import FaceFollower
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings
from fer_ros.perception.recognition import RecognizerError
from fer_ros.results.frame_result import FrameResult

STAGES = {'detect', 'track', 'crop', 'recognise', 'smooth'}


@pytest.fixture(scope='module')
def settings(shipped_model):
    return PipelineSettings(device='cpu', deterministic_ids=True)


@pytest.fixture(scope='module')
def shared(settings):
    with FacePipeline(settings) as pipeline:
        yield pipeline


@pytest.fixture
def pipeline(shared, settings):
    """As new but for the ids, whose count goes on."""
    shared.reset()
    shared.apply(settings)
    return shared


@pytest.mark.parametrize('detector', ['short', 'full'])
def test_the_smile_is_positive_and_the_sober_face_clearly_lower(settings, detector):
    pictures = portraits()
    read = {}
    with FacePipeline(replace(settings, detector=detector)) as pipeline:
        for name, picture in pictures.items():
            pipeline.reset()
            face, = pipeline.process(picture, 0.0).faces
            assert face.valence == pytest.approx(face.raw_valence), 'the first frame of a face is not smoothed'
            read[name] = face
    assert read['astronaut'].emotion == 'happy'
    assert read['astronaut'].valence > 0.2
    assert read['hopper'].valence < read['astronaut'].valence - 0.3


def test_faces_are_consistent(pipeline):
    stage = Stage(640, 480)
    image = stage.draw([Placement('astronaut', 0.25, 0.5, 120), Placement('hopper', 0.72, 0.5, 170)])
    result = pipeline.process(image, 1.0)
    faces = result.faces
    areas = [face.box[2] * face.box[3] for face in faces]
    assert len(faces) == 2
    assert areas == sorted(areas, reverse=True)
    assert result.primary == faces[0].face_id
    assert result.living_ids == result.scores.keys() == {face.face_id for face in faces}
    assert all(0 < score <= 1 for score in result.scores.values())
    for face in faces:
        assert sum(face.probabilities) == pytest.approx(1, abs=1e-5)
        assert face.emotion == EMOTIONS[int(decide(face.probabilities))]
        assert face.confidence == max(face.probabilities)
        assert face.valence == pytest.approx(float(valence(face.probabilities)))
        assert all(type(value) is float for value in (*face.box, *face.probabilities, face.valence, face.raw_valence))


def test_the_whole_clip(pipeline):
    """One face, two, one, nobody, two again; every visit keeps its id and its mood."""
    clip = BuiltInClip(rate=10)
    owner, moods, primaries = {}, {'astronaut': [], 'hopper': []}, []
    for index in range(len(clip)):
        result = pipeline.process(clip[index], index / clip.rate)
        faces = result.faces
        expected = clip.expected(index)
        whole = [name for name, (x, y, w, h) in expected if x >= 0 and y >= 0 and x + w <= 640 and y + h <= 480]
        assert len(whole) <= len(faces) <= len(expected), f'frame {index}'
        for face in faces:
            name, box = min(expected, key=lambda e: np.abs(np.subtract(e[1], face.box))[:2].sum())
            assert name not in whole or np.abs(np.subtract(box, face.box)).max() < 0.35 * box[2], f'frame {index}'
            assert owner.setdefault(face.face_id, name) == name, f'{face.face_id} changed its owner in frame {index}'
            moods[name].append(face.valence)
        primaries.append(result.primary)
        assert result.primary is None or result.primary in {face.face_id for face in faces}
    assert sorted(owner.values()) == ['astronaut', 'astronaut', 'hopper', 'hopper'], 'two visits each'
    assert np.mean(moods['astronaut']) > np.mean(moods['hopper']) + 0.3
    changes = sum(a != b for a, b in itertools.pairwise(primaries))
    assert changes <= 12, 'the primary face does not flicker'


def test_half_a_second_without_the_face_keeps_id_and_smoothing(pipeline):
    stage = Stage(640, 480)
    seen, values = set(), []
    for i in range(60):
        hidden = 25 <= i < 40
        place = Placement('hopper', 0.3 + 0.006 * i, 0.5, 150)
        faces = pipeline.process(stage.draw([] if hidden else [place]), i / 30).faces
        assert len(faces) == (not hidden)
        seen |= {face.face_id for face in faces}
        values += [face.valence for face in faces]
    assert len(seen) == 1
    assert abs(values[25] - values[24]) < 0.2


def test_crossing_faces_keep_ids_for_200_frames(pipeline):
    stage = Stage(640, 480)
    owner = {}
    for i in range(200):
        places = {'astronaut': Placement('astronaut', 0.15 + 0.0035 * i, 0.25, 120),
                  'hopper': Placement('hopper', 0.85 - 0.0035 * i, 0.75, 130)}
        faces = pipeline.process(stage.draw(list(places.values())), i / 30).faces
        assert len(faces) == 2, f'frame {i}'
        for face in faces:
            name = min(places, key=lambda n: np.abs(np.subtract(stage.face_box(places[n]), face.box))[:2].sum())
            assert owner.setdefault(face.face_id, name) == name
    assert len(owner) == 2


def test_same_input_same_output(settings):
    clip = BuiltInClip(rate=2)
    runs = []
    for _ in range(2):
        with FacePipeline(settings) as pipeline:
            runs.append([replace(pipeline.process(image, i / 2), timings={}) for i, image in enumerate(clip)])
    assert runs[0] == runs[1]


def test_no_face(pipeline):
    result = pipeline.process(np.full((480, 640, 3), 100, np.uint8), 0.0)
    assert result == FrameResult(timings=result.timings)
    assert set(result.timings) == STAGES


def test_timings_are_of_each_stage(pipeline):
    timings = pipeline.process(portraits()['astronaut'], 0.0).timings
    assert set(timings) == STAGES
    assert all(seconds > 0 for seconds in timings.values())


def test_more_faces_than_wanted(pipeline, settings):
    stage = Stage(640, 480)
    crowd = [Placement('hopper', x, y, size) for x, y, size in
             ((0.2, 0.28, 90), (0.5, 0.28, 100), (0.8, 0.28, 110), (0.2, 0.78, 95), (0.5, 0.78, 105), (0.8, 0.78, 115))]
    image = stage.draw(crowd)
    everyone = pipeline.process(image, 0.0).faces
    assert len(everyone) >= 5
    pipeline.apply(replace(settings, max_faces=2))
    largest = pipeline.process(image, 0.1).faces
    assert [face.face_id for face in largest] == [face.face_id for face in everyone[:2]]


@pytest.mark.parametrize('image', [
    np.zeros((0, 0, 3), np.uint8), np.zeros((0, 640, 3), np.uint8), np.zeros((480, 0, 3), np.uint8),
    np.zeros((480, 640), np.uint8), np.zeros((480, 640, 4), np.uint8), np.zeros((480, 640, 3), np.float32),
    np.zeros((2, 480, 640, 3), np.uint8), None, [[0]]], ids=lambda image: str(getattr(image, 'shape', image)))
def test_bad_images_are_named_and_the_next_is_processed(pipeline, image):
    with pytest.raises(ValueError, match='image') as error:
        pipeline.process(image, 0.0)
    if isinstance(image, np.ndarray):
        assert str(image.shape) in str(error.value)
    assert len(pipeline.process(portraits()['astronaut'], 0.1).faces) == 1


@pytest.mark.parametrize('shape', [(1, 1), (1, 300), (300, 1), (5, 7)])
def test_tiny_images(pipeline, shape):
    assert pipeline.process(np.zeros((*shape, 3), np.uint8), 0.0).faces == ()


def test_image_size_may_change(pipeline):
    for scale in (1.0, 0.5, 1.5):
        image = Stage(round(640 * scale), round(480 * scale)).draw([Placement('hopper', 0.5, 0.5, 200)])
        face, = pipeline.process(image, scale).faces
        assert face.box[2] == pytest.approx(200 * scale, rel=0.2)


def test_read_only_and_strided_images(pipeline):
    picture = portraits()['hopper']
    frozen = picture.copy()
    frozen.flags.writeable = False
    padded = np.zeros((600, 700, 3), np.uint8)
    padded[:, :512] = picture
    expected = pipeline.process(picture, 0.0).faces[0].raw_valence
    for stamp, image in enumerate((frozen, padded[:, :512], np.asfortranarray(picture)), 1):
        assert pipeline.process(image, float(stamp)).faces[0].raw_valence == pytest.approx(expected)


@pytest.mark.parametrize('stamp', [float('nan'), float('inf')])
def test_stamps_that_are_none(pipeline, stamp):
    with pytest.raises(ValueError, match='finite number of seconds'):
        pipeline.process(portraits()['hopper'], stamp)


def test_stamps_zero_standing_still_jumping(pipeline):
    picture = portraits()['hopper']
    ids = [pipeline.process(picture, stamp).faces[0].face_id for stamp in (0.0, 0.0, 0.1, 0.05, 100.0, 3.0, 3.1)]
    assert len(set(ids[:4])) == 1
    assert len({ids[3], ids[4], ids[5]}) == 3
    assert ids[5] == ids[6]


def test_settings_change_while_running(pipeline, settings):
    picture = portraits()['hopper']
    first, = pipeline.process(picture, 0.0).faces
    pipeline.apply(replace(settings, detection_confidence=1.0))
    assert pipeline.process(picture, 0.1).faces == ()
    pipeline.apply(replace(settings, half_life=0.0))
    again, = pipeline.process(picture, 0.2).faces
    assert again.face_id == first.face_id
    assert again.valence == again.raw_valence
    with pytest.raises(ValueError, match='detector cannot change in a running pipeline'):
        pipeline.apply(replace(settings, detector='full'))


@pytest.mark.parametrize(('change', 'said'), [
    ({'half_life': -1.0}, r'half_life must be 0 to 10 s, got -1.0'),
    ({'half_life': float('nan')}, r'half_life must be 0 to 10 s, got nan'),
    ({'max_faces': 0}, r'max_faces must be 1 to 64, got 0'),
    ({'primary_face': 'nicest'}, r"primary_face must be one of largest, oldest, centre, got 'nicest'")])
def test_settings_out_of_range(pipeline, settings, change, said):
    with pytest.raises(ValueError, match=said):
        FacePipeline(replace(settings, **change))
    with pytest.raises(ValueError, match=said):
        pipeline.apply(replace(settings, **change))


def test_what_cannot_be_set_up_is_one_kind_of_error(settings, tmp_path):
    with pytest.raises(RecognizerError, match='no weights file at'):
        FacePipeline(replace(settings, model=tmp_path / 'none.safetensors'))
    for change in ({'model': '/none.safetensors'}, {'detector': 'yunet'}, {'device': 'tpu'}, {'detector': 'haar'}):
        with pytest.raises(PipelineError):
            FacePipeline(replace(settings, **change))


def test_faces_are_followed_between_detections(pipeline, settings, monkeypatch):
    """Ids and boxes of detection in every frame, with a third of the detections."""
    looked = []
    finder, find = pipeline.analyser.finder, pipeline.analyser.finder.find
    monkeypatch.setattr(finder, 'find', lambda *arguments: looked.append(arguments) or find(*arguments))
    stage, boxes = Stage(640, 480), {}
    images = [stage.draw([Placement('astronaut', 0.2 + 0.004 * i, 0.3, 120),
                          Placement('hopper', 0.8 - 0.004 * i, 0.7, 140)]) for i in range(45)]
    for every in (1, 3):
        looked.clear()
        pipeline.reset()
        pipeline.apply(replace(settings, detect_every=every))
        boxes[every] = [pipeline.process(image, i / 30).faces for i, image in enumerate(images)]
        assert len(looked) == 45 // every
        assert len({face.face_id for faces in boxes[every] for face in faces}) == 2
    for each, followed in zip(boxes[1], boxes[3], strict=True):
        assert len(each) == len(followed) == 2
        for a, b in zip(each, followed, strict=True):
            assert np.abs(np.subtract(a.box, b.box)).max() < 0.15 * a.box[2]


def test_when_faces_are_looked_for_again(pipeline, settings, monkeypatch):
    looked = []
    finder, find = pipeline.analyser.finder, pipeline.analyser.finder.find
    monkeypatch.setattr(finder, 'find', lambda *arguments: looked.append(arguments) or find(*arguments))
    pipeline.apply(replace(settings, detect_every=10))
    picture, empty = portraits()['hopper'], np.full((600, 512, 3), 90, np.uint8)

    def looks(image, stamp):
        looked.clear()
        pipeline.process(image, stamp)
        return len(looked)

    assert looks(empty, 0.0) and looks(empty, 0.1), 'as long as there is no face'
    assert looks(picture, 0.2)
    assert not looks(picture, 0.3)
    assert looks(picture, 1.3), 'after a gap'
    assert not looks(picture, 1.4)
    assert looks(picture, 0.9), 'the stamp went back'
    assert not looks(picture, 1.0)
    assert looks(np.ascontiguousarray(picture[:400]), 1.1), 'another size'
    pipeline.apply(settings)
    assert looks(picture[:400], 1.2), 'in every frame again'


def test_reset_forgets_everybody(pipeline):
    picture = portraits()['hopper']
    first, = pipeline.process(picture, 0.0).faces
    pipeline.reset()
    assert pipeline.process(np.zeros((48, 48, 3), np.uint8), 0.05).living_ids == set()
    second, = pipeline.process(picture, 0.1).faces
    assert first.face_id != second.face_id


@pytest.mark.parametrize('change', [{}, {'detect_every': 3}])
def test_the_halves_joined_by_pickled_records_are_the_pipeline(pipeline, settings, change):
    changed = replace(settings, **change)
    pipeline.apply(changed)
    clip = BuiltInClip(320, 240)
    images = [clip.frame(i) for i in range(210, 260, 4)] + [clip.frame(260)] * 20  # still at the end: nothing is sought
    whole = [replace(pipeline.process(image, i / 8), timings={}) for i, image in enumerate(images)]
    pipeline.reset()
    records = [pickle.loads(pickle.dumps(pipeline.analyser.analyse(image, i / 8))) for i, image in enumerate(images)]
    assert not all(record.searched for record in records)
    follower = FaceFollower(changed)
    joined = [replace(follower.follow(record, i / 8), timings={}) for i, record in enumerate(records)]
    names = {}  # ids go on after a reset

    def renamed(result):
        for face_id in (face.face_id for face in result.faces):
            names.setdefault(face_id, f'n{len(names)}')
        return [replace(face, face_id=names[face.face_id]) for face in result.faces], names.get(result.primary)
    expected = [renamed(result) for result in whole]
    names.clear()
    assert [renamed(result) for result in joined] == expected
