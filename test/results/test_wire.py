"""What other programs send: whatever does not follow the schema is left out and counted, and nothing breaks."""

import copy
import csv
import io
import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fer_ros.diagnostic_keys import PUBLISHERS, recent
from fer_ros.emotions import EMOTIONS
from fer_ros.results import wire
from fer_ros.results.faces import LONGEST_MESSAGE, MOST_FACES, FaceEmotion, FacesFrame, decode, encode
from fer_ros.results.faces_csv import FacesCsv, text_cell
from fer_ros.results.health import MOST_VALUES, Health, decode_health

HOSTILE_IDS = ('=1+1', '+cmd', '-2+3', '@x', '=HYPERLINK("http://a.example")', 'f1\n=1+1', 'f1\r', 'f\u202e1',
               'f\x1b[2J', '', '1a', 'f' * 65, 'f 1', 'fé', '＝1', '\tf', 'f/../g', 'f\0')


def frame(*ids: str) -> FacesFrame:
    probabilities = (0.1, 0.05, 0.05, 0.52, 0.08, 0.1, 0.1)
    return FacesFrame(1_700_000_000_500_000_000, 'camera', 640, 480, tuple(
        FaceEmotion(i, (-3.0, 4.5, 50.0, 60.0), probabilities, 'happy', 0.52, 0.24, -0.52) for i in ids),
        ids[0] if ids else None)


def message(*ids: str) -> dict:
    return json.loads(encode(frame(*ids)))


def test_what_the_node_writes_is_read_as_it_is():
    for sent in (frame(), frame('f8syk'), frame('fa', 'fb_2', 'F' * 64)):
        assert decode(encode(sent)) == sent
    extended = message('fa') | {'later': 1}
    assert decode(json.dumps(extended)) == frame('fa'), 'fields may be added within a version'


@pytest.mark.parametrize('face_id', [*HOSTILE_IDS, None, 7, True, ['fa'], {'a': 1}])
def test_a_face_with_an_id_that_is_none_is_left_out_and_the_others_are_kept(face_id):
    data = message('fa', 'fb')
    data['faces'][1]['face_id'] = face_id
    read = decode(json.dumps(data))
    assert read.faces == frame('fa').faces and read.primary == 'fa' and len(read.left_out) == 1
    assert all(len(reason) < 200 and reason.isprintable() and reason.isascii() for reason in read.left_out)


BAD_NUMBERS = (10**400, -10**400, 2.5e9, '0.5', None, True, [], {})


@pytest.mark.parametrize('value', BAD_NUMBERS)
@pytest.mark.parametrize('path', [('confidence',), ('valence',), ('raw_valence',), ('box', 'x'), ('box', 'width'),
                                  ('probabilities', 'happy')])
def test_a_face_with_a_number_out_of_range_is_left_out(path, value):
    data = message('fa', 'fb')
    place = data['faces'][0]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    read = decode(json.dumps(data))
    assert [f.face_id for f in read.faces] == ['fb'] and read.primary is None
    assert len(read.left_out) == 2, 'the face, and the primary that named it'


@pytest.mark.parametrize('change', [
    {'stamp': {'sec': -1, 'nanosec': 0}}, {'stamp': {'sec': 1 << 31, 'nanosec': 0}},
    {'stamp': {'sec': 0.5, 'nanosec': 0}}, {'stamp': {'sec': 0, 'nanosec': 10**9}},
    {'stamp': 5}, {'stamp': {}}, {'image': {'width': 10**9, 'height': 1}},
    {'image': {'width': '640', 'height': 1}}, {'image': None}, {'faces': None}, {'faces': {}}, {'faces': 'fa'},
    {'version': 2}, {'version': '1'}, {'version': True}, {'version': None}])
def test_a_message_without_stamp_size_or_faces_is_refused(change):
    with pytest.raises(ValueError, match='not a faces message of version 1'):
        decode(json.dumps(message('fa') | change))


@pytest.mark.parametrize('text', [
    '', 'null', '1', '[]', '"x"', '{}', '{' * 10, '[' * 200_000, '{"a":' * 200_000, '9' * 5000, '[' * 2_000_000,
    'x' * (50 << 20), '{"version": ' + '9' * 5000 + '}', '\ud800', 'NaN'])
def test_text_that_is_no_message_is_refused_in_one_short_line(text):
    with pytest.raises(ValueError) as refused:
        decode(text)
    reason = str(refused.value)
    assert len(reason) < 300 and len(reason.splitlines()) == 1 and reason.isprintable()


@pytest.mark.parametrize('value', ['NaN', 'Infinity', '-Infinity', '1e999'])
def test_what_is_no_number_is_not_read_as_one(value):
    text = encode(frame('fa')).replace('"confidence": 0.52', f'"confidence": {value}')
    if value == '1e999':
        assert decode(text).faces == ()
    else:
        with pytest.raises(ValueError, match='is not a number'):
            decode(text)


def test_faces_are_bounded_in_number_and_an_id_occurs_once():
    data = message(*(f'f{i}' for i in range(MOST_FACES + 3)), 'f0')
    read = decode(json.dumps(data))
    assert len(read.faces) == MOST_FACES and len(read.left_out) == 4
    twice = decode(json.dumps(message('fa', 'fa')))
    assert len(twice.faces) == 1 and 'occurs twice' in twice.left_out[0]
    assert len(json.dumps(data)) < LONGEST_MESSAGE


@pytest.mark.parametrize('frame_id', ['a\nb', '\u202e', 'x' * 256, None, 4])
def test_a_frame_id_that_cannot_be_shown_is_left_out(frame_id):
    read = decode(json.dumps(message('fa') | {'frame_id': frame_id}))
    assert read.frame_id == '' and len(read.left_out) == 1 and len(read.faces) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(EMOTIONS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=12)


@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.randoms(use_true_random=False), json_values), min_size=1, max_size=4))
def test_no_change_of_a_message_breaks_it_or_passes_the_schema(changes):
    data = message('fa', 'fb')
    for random, value in changes:
        place = data
        while True:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            if not keys:
                break
            key = random.choice(list(keys))
            if isinstance(place[key], dict | list) and random.random() < 0.8:
                place = place[key]
                continue
            place[key] = copy.deepcopy(value)
            break
    try:
        read = decode(json.dumps(data))
    except ValueError as error:
        assert len(str(error)) < 300
        return
    for face in read.faces:
        assert wire.face_id(face.face_id) and face.emotion in EMOTIONS
        assert all(0 <= p <= 1 for p in (*face.probabilities, face.confidence))
        assert abs(face.valence) <= 1 and abs(face.raw_valence) <= 1 and all(map(math.isfinite, face.box))
    assert read.primary in (None, *(face.face_id for face in read.faces))


@pytest.mark.parametrize('face_id', [*HOSTILE_IDS, ' =1', '\u200b=1+1', '\r\n@x'])
def test_no_cell_of_a_table_is_a_formula_and_every_face_is_one_row(face_id):
    file = io.StringIO(newline='')
    FacesCsv(file).write(1_500_000_000, 3, frame(face_id).faces[0])
    _, row = csv.reader(io.StringIO(file.getvalue(), newline=''))
    assert len(file.getvalue().splitlines()) == 2
    assert row[2] == text_cell(face_id) and row[2][:1] not in tuple('=+-@\t\r＝＋－＠')
    assert row[2].isprintable()
    assert row[0] == '1.500000' and row[3] == '-3.0' and row[10] == '-0.5200', 'numbers stay numbers'


def test_a_valid_id_is_written_unchanged():
    assert text_cell('f8syk') == 'f8syk'


@pytest.mark.parametrize(('key', 'value'), [
    (PUBLISHERS, 'abc'), (PUBLISHERS, '9' * 5000), (PUBLISHERS, '-1'), (PUBLISHERS, '1.5'), (PUBLISHERS, ''),
    (PUBLISHERS, '٣'), (PUBLISHERS, '²'), (recent('dropped'), '9' * 5000), (recent('dropped'), 'x'),
    ('state', 'x' * 10_000), ('state', '<b>'), ('device', 'a\nb'), ('device', 'x' * 101), ('image topic', '/a b'),
    ('image topic', '/a;reboot'), ('image topic', '=1+1'), ('image topic', '/' + 'a' * 300),
    ('calibrated faces', '\u202e'), ('calibrated faces', 'x' * 6000)])
def test_a_bad_value_of_the_diagnostics_is_left_out_and_the_others_are_kept(key, value):
    good = {'state': 'inactive', 'device': 'cpu', 'image topic': '/camera/image_raw', PUBLISHERS: '2',
            recent('dropped'): '4', 'calibrated faces': 'fa fb'}
    whole = decode_health(0, 'fine', good.items())
    assert whole == Health(0, 'fine', 'inactive', 'cpu', '/camera/image_raw', 2, 4, 'fa fb')
    read = decode_health(0, 'fine', (good | {key: value}).items())
    assert len(read.left_out) == 1 and len(read.left_out[0]) < 200 and read.left_out[0].isprintable()
    assert key != recent('dropped') or read.dropped is None
    differing = [name for name in vars(whole) if name != 'left_out' and getattr(whole, name) != getattr(read, name)]
    assert len(differing) == 1


def test_diagnostics_are_bounded_and_their_message_is_one_line_to_be_shown():
    read = decode_health(9, 'a\n\u202eb' + 'x' * 10_000, (('k' * 10**6, 'v'),) * (MOST_VALUES + 5))
    assert read.level == 3 and len(read.left_out) == 2
    assert read.message.startswith('a b') and len(read.message) < 600 and read.message.isprintable()
