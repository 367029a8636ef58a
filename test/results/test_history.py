"""The rolling history of faces, and its CSV."""

import csv
import io
import math

import numpy as np
import pytest

from fer_ros.emotions import EMOTIONS
from fer_ros.results.faces import FaceEmotion, FacesFrame
from fer_ros.results.faces_csv import COLUMNS, FacesCsv
from fer_ros.results.history import FacesHistory

PROBABILITIES = (0.0, 0.0, 0.0, 0.75, 0.0, 0.25, 0.0)


def face(face_id='fa', valence=0.5, raw=0.25, emotion='happy'):
    return FaceEmotion(face_id, (1.0, 2.0, 30.0, 40.0), PROBABILITIES, emotion, 0.75, valence, raw)


def frame(stamp, *faces):
    return FacesFrame(round(stamp * 1e9), 'camera', 640, 480, faces)


def filled(stamps, seconds=math.inf, **kwargs):
    history = FacesHistory(seconds, **kwargs)
    for stamp in stamps:
        history.add(frame(stamp, face(valence=stamp / 100)))
    return history


def kept(history):
    return [s / 1e9 for s in history.stamps().tolist()]


def test_samples_hold_what_was_given():
    history = FacesHistory()
    assert history.add(frame(1, face())) == 'added'
    (series,) = history.series()
    sample = series.samples[0]
    assert (series.face_id, sample['stamp_ns'], sample['frame']) == ('fa', 1_000_000_000, 0)
    assert (sample['valence'], sample['raw_valence'], EMOTIONS[sample['emotion']]) == (0.5, 0.25, 'happy')
    assert list(sample['box']) == [1, 2, 30, 40]
    assert np.allclose(sample['probabilities'], PROBABILITIES)


def test_frames_without_the_face_are_counted_between_its_samples():
    history = FacesHistory()
    for stamp, faces in [(0, [face()]), (1, []), (2, [face()])]:
        history.add(frame(stamp, *faces))
    assert history.series()[0].samples['frame'].tolist() == [0, 2]
    assert len(history.stamps()) == 3


def test_only_the_window_is_kept():
    history = filled(range(100), seconds=10)
    assert kept(history) == list(range(89, 100))
    assert history.series()[0].samples['stamp_ns'][0] == 89_000_000_000
    assert history.series()[0].life == 99  # of the face, not of what is kept of it


def test_a_face_that_left_the_window_is_forgotten():
    history = filled([0, 1], seconds=10)
    history.add(frame(20, face('fb')))
    assert [s.face_id for s in history.series()] == ['fb']


def test_memory_is_bounded_by_the_number_of_samples():
    history = filled(range(1000), max_samples=100)
    assert 80 <= len(history.series()[0].samples) <= 100
    assert kept(history)[-1] == 999


@pytest.mark.parametrize('stamp', [5.0, 4.99, 4.0])
def test_repeated_and_out_of_order_stamps_are_left_out(stamp):
    history = filled([3, 4.5, 5])
    assert history.add(frame(stamp, face('fx'))) == 'late'
    assert kept(history) == [3, 4.5, 5]
    assert [s.face_id for s in history.series()] == ['fa']
    assert history.add(frame(5.1, face())) == 'added'


def test_a_jump_back_begins_anew():
    history = filled([100, 101, 102])
    assert history.add(frame(3, face('fb'))) == 'restarted'
    assert kept(history) == [3]
    assert [s.face_id for s in history.series()] == ['fb']
    assert history.add(frame(4, face('fb'))) == 'added'


def test_a_jump_ahead_is_a_pause():
    assert kept(filled([0, 1, 500], seconds=10)) == [500]


def test_views_stay_valid_while_the_history_goes_on():
    history = filled(range(60), seconds=20)
    before = history.series()[0].samples
    values = before.copy()
    for stamp in range(60, 1000):
        history.add(frame(stamp, face()))
    assert np.array_equal(before, values)


def test_unknown_emotion_is_refused_and_changes_nothing():
    history = filled([1])
    with pytest.raises(ValueError):
        history.add(frame(2, face(), face('fb', emotion='bored')))
    assert kept(history) == [1]
    assert len(history.series()) == 1


def test_entries_come_back_by_frame_and_go_to_csv():
    history = FacesHistory()
    history.add(frame(0.5, face('fb'), face('fa', -0.5, -1.0, 'sad')))
    history.add(frame(1.25, face('fa')))
    file = io.StringIO()
    table = FacesCsv(file)
    for number, stamp_ns, entry in history.entries():
        table.write(stamp_ns, number, entry)
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert tuple(rows[0]) == COLUMNS
    assert [(r['time_s'], r['frame'], r['face_id']) for r in rows] == [
        ('0.500000', '0', 'fb'), ('0.500000', '0', 'fa'), ('1.250000', '1', 'fa')]
    assert rows[1]['emotion'] == 'sad'
    assert [float(rows[1][c]) for c in ('x', 'y', 'width', 'height', 'confidence', 'valence', 'raw_valence')] == [
        1, 2, 30, 40, 0.75, -0.5, -1]
    assert [float(rows[0][e]) for e in EMOTIONS] == list(PROBABILITIES)


def test_epoch_stamps_keep_their_microseconds():
    file = io.StringIO()
    FacesCsv(file).write(1_700_000_000_123_456_789, 7, face())
    assert file.getvalue().splitlines()[1].startswith('1700000000.123457,7,fa,')
