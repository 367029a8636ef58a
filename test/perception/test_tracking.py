import itertools
import random

import numpy as np
import pytest

from benchmarks.crossings import crossing, nearest
from fer_ros.perception.detection import Detection, create_detector
from fer_ros.perception.tracking import FaceTracker


def face(x, y=100.0, size=100.0):
    return Detection((float(x), float(y), float(size), float(size)), 0.9, np.zeros((6, 2), np.float32))


def ids(tracks):
    return [track.face_id for track in tracks]


@pytest.fixture
def tracker():
    return FaceTracker(timeout=1.0, deterministic_ids=True)


def test_same_face_same_id(tracker):
    assert [ids(tracker.update([face(100 + 3 * i)], i / 30)) for i in range(60)] == [['f1']] * 60


def test_answers_in_the_order_of_detections(tracker):
    assert ids(tracker.update([face(0), face(300)], 0.0)) == ['f1', 'f2']
    assert ids(tracker.update([face(300), face(0)], 0.1)) == ['f2', 'f1']


def test_survives_misses_and_the_count_starts_anew_when_seen(tracker):
    """Misses of 0.6 s again and again, far more than the timeout together."""
    for i in range(100):
        if i % 20 < 2:
            assert ids(tracker.update([face(100)], i / 30)) == ['f1']
        else:
            assert tracker.update([], i / 30) == []
            assert tracker.living_ids == {'f1'}


def test_dies_after_the_timeout(tracker):
    tracker.update([face(100)], 0.0)
    tracker.update([], 1.0)
    assert tracker.living_ids == {'f1'}, 'exactly the timeout is not too long'
    tracker.update([], 1.01)
    assert tracker.living_ids == set()
    assert ids(tracker.update([face(100)], 1.02)) == ['f2']


def test_timeout_is_in_seconds_whatever_the_rate():
    for rate in (5, 60):
        tracker = FaceTracker(1.0, deterministic_ids=True)
        tracker.update([face(100)], 0.0)
        for i in range(int(0.9 * rate)):
            tracker.update([], i / rate)
        assert ids(tracker.update([face(100)], 0.95)) == ['f1']


def test_new_face_takes_no_living_id(tracker):
    tracker.update([face(100)], 0.0)
    assert ids(tracker.update([face(400)], 0.1)) == ['f2'], 'elsewhere'
    assert ids(tracker.update([face(400), face(100)], 0.2)) == ['f2', 'f1'], 'and the first comes back as itself'
    assert ids(tracker.update([face(400), face(100), face(110, 108, 25)], 0.3)) == ['f2', 'f1', 'f3'], 'another size'


def test_face_next_to_one_that_leaves_is_a_new_one(tracker):
    """Leaving a pair out is allowed: a perfect match is not given up so that every track has one."""
    tracker.update([face(100), face(210)], 0.0)
    assert ids(tracker.update([face(100), face(-5)], 0.1)) == ['f1', 'f3']


@pytest.mark.parametrize('rate', [10, 30, 60])
@pytest.mark.parametrize('gap', [0.0, 20.0, 90.0])
def test_two_faces_crossing_over_200_frames(rate, gap):
    """With noise of a detector, and where they overlap the one behind is not found."""
    noise = np.random.default_rng(0)
    tracker = FaceTracker(1.0, deterministic_ids=True)
    pixels_per_second = 400
    length = 200 / rate * pixels_per_second  # all of the 200 frames are spent crossing
    seen = {'front': [], 'behind': []}
    for i in range(200):
        moved = i / rate * pixels_per_second
        front = face(*noise.normal((moved, 100), 2), 110)
        behind = face(*noise.normal((length - moved, 100 + gap), 2))
        hidden = abs(front.box[0] - behind.box[0]) < 60 and gap < 50
        tracks = tracker.update([front] if hidden else [behind, front], i / rate)
        seen['front'].append(tracks[-1].face_id)
        if not hidden:
            seen['behind'].append(tracks[0].face_id)
    assert set(seen['front']) == {'f2'}
    assert set(seen['behind']) == {'f1'}


def test_half_a_second_of_occlusion_while_moving(tracker):
    for i in range(200):
        detections = [] if 80 <= i < 95 else [face(4 * i)]
        assert ids(tracker.update(detections, i / 30)) == ['f1'] * len(detections)


def test_slow_camera_and_fast_face(tracker):
    """Five frames a second, 80 % of a face width between two frames."""
    assert [ids(tracker.update([face(80 * i)], i / 5)) for i in range(10)] == [['f1']] * 10


def test_equal_boxes_get_ids_of_their_own(tracker):
    first = ids(tracker.update([face(100), face(100)], 0.0))
    assert len(set(first)) == 2
    assert set(ids(tracker.update([face(100), face(100)], 0.1))) == set(first)


def test_stamps_that_stand_still_or_go_back(tracker):
    tracker.update([face(100)], 10.0)
    assert ids(tracker.update([face(102)], 10.0)) == ['f1']
    assert ids(tracker.update([face(104)], 9.9)) == ['f1'], 'frames a little out of order'
    assert ids(tracker.update([face(106)], 9.95)) == ['f1']
    assert ids(tracker.update([face(106)], 3.0)) == ['f2'], 'a recording that starts again'
    assert tracker.living_ids == {'f2'}
    assert ids(tracker.update([face(106)], 86400.0)) == ['f3'], 'a jump ahead'


def test_reset_gives_new_ids(tracker):
    tracker.update([face(100)], 0.0)
    tracker.reset()
    assert tracker.living_ids == set()
    assert ids(tracker.update([face(100)], 0.1)) == ['f2']


def test_random_ids_are_short_start_with_a_letter_and_differ():
    found = ids(FaceTracker().update([face(200 * i) for i in range(300)], 0.0))
    assert len(set(found)) == 300
    assert all(len(i) <= 8 and i[0].isalpha() and i.isalnum() for i in found)
    assert set(found) != set(ids(FaceTracker().update([face(200 * i) for i in range(300)], 0.0)))


def test_a_random_id_in_use_is_drawn_again(monkeypatch):
    drawn = itertools.chain(['aaaa', 'aaaa', 'aaaa', 'bbbb'])
    monkeypatch.setattr(random, 'choices', lambda letters, k: next(drawn))
    assert ids(FaceTracker().update([face(0), face(500)], 0.0)) == ['faaaa', 'fbbbb']


def test_tracks_say_when_they_were_seen(tracker):
    tracker.update([face(100)], 1.0)
    track, = tracker.update([face(101)], 1.5)
    assert (track.first_seen, track.last_seen, track.box) == (1.0, 1.5, (101, 100, 100, 100))


@pytest.mark.parametrize(('gap', 'order'), [(0.5, ('astronaut', 'hopper')), (0.05, ('astronaut', 'hopper')),
                                            (0.05, ('hopper', 'astronaut'))])
def test_portraits_crossing_seen_by_the_real_detector(gap, order):
    """Without a gap one covers the other for two seconds: longer than the usual timeout."""
    detector, tracker = create_detector('short'), FaceTracker(3.0, deterministic_ids=True)
    seen = {'astronaut': set(), 'hopper': set()}
    both = 0
    for i, (image, boxes) in enumerate(crossing(130.0, gap, order)):
        tracks = tracker.update(detector.detect(image), i / 30)
        both += len(tracks) == 2
        if np.abs(boxes['astronaut'] - boxes['hopper'])[0] > 60 or gap > 0.3:
            for track in tracks:
                seen[nearest(track.box, boxes)].add(track.face_id)
    detector.close()
    assert both == 200 if gap > 0.3 else 100 < both < 190
    assert sorted(map(len, seen.values())) == [1, 1]
    assert seen['astronaut'] != seen['hopper']
