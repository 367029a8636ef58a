import numpy as np
import pytest

from fer_ros.perception.detection import Detection
from fer_ros.perception.primary import PrimaryFace
from fer_ros.perception.tracking import Track

SIZE = (640, 480)


def track(face_id, x=0.0, size=100.0, since=0.0):
    box = (x, 190.0, size, size)
    return Track(face_id, box, since, since, Detection(box, 0.9, np.zeros((6, 2))))


def choose(primary, tracks, stamp, living=None):
    return primary.choose(tracks, living or {t.face_id for t in tracks}, stamp, SIZE)


@pytest.mark.parametrize(('policy', 'expected'), [('largest', 'fb'), ('oldest', 'fa'), ('centre', 'fc')])
def test_policies(policy, expected):
    faces = [track('fa', 0, since=1), track('fb', 480, 150, since=2), track('fc', 270, since=3)]
    assert choose(PrimaryFace(policy, 0.7), faces, 5.0) == expected
    assert choose(PrimaryFace(policy, 0.7), [], 5.0) is None


def test_changes_only_after_the_hold():
    primary = PrimaryFace('largest', 0.7)
    assert choose(primary, [track('fa'), track('fb', 300, 90)], 0.0) == 'fa'
    chosen = [choose(primary, [track('fa'), track('fb', 300, 110)], 1 + i / 10) for i in range(9)]
    assert chosen == ['fa'] * 7 + ['fb'] * 2


def test_similar_sizes_do_not_flicker():
    noise, primary = np.random.default_rng(0), PrimaryFace('largest', 0.7)
    chosen = {choose(primary, [track('fa', 0, 100 + noise.normal(0, 3)), track('fb', 300, 100 + noise.normal(0, 3))],
                     i / 30) for i in range(900)}
    assert len(chosen) == 1


def test_hold_zero_changes_at_once():
    primary = PrimaryFace('largest', 0.0)
    assert choose(primary, [track('fa'), track('fb', 300, 90)], 0.0) == 'fa'
    assert choose(primary, [track('fa'), track('fb', 300, 110)], 0.1) == 'fb'


def test_a_short_miss_is_waited_for():
    primary, both = PrimaryFace('largest', 0.7), {'fa', 'fb'}
    assert choose(primary, [track('fa'), track('fb', 300, 90)], 0.0) == 'fa'
    assert choose(primary, [track('fb', 300, 90)], 0.1, both) is None
    assert choose(primary, [track('fa'), track('fb', 300, 90)], 0.2) == 'fa'
    chosen = [choose(primary, [track('fb', 300, 90)], 1 + i / 10, both) for i in range(9)]
    assert chosen == [None] * 7 + ['fb'] * 2


def test_a_dead_primary_is_replaced_at_once():
    primary = PrimaryFace('largest', 10.0)
    choose(primary, [track('fa'), track('fb', 300, 90)], 0.0)
    assert choose(primary, [track('fb', 300, 90)], 0.1, {'fb'}) == 'fb'


def test_a_stamp_that_jumps_back_does_not_wedge_it():
    primary = PrimaryFace('largest', 0.5)
    choose(primary, [track('fa'), track('fb', 300, 90)], 1000.0)
    choose(primary, [track('fa'), track('fb', 300, 110)], 1000.1)
    chosen = [choose(primary, [track('fa'), track('fb', 300, 110)], i / 10) for i in range(7)]
    assert chosen[0] == 'fa'
    assert chosen[-1] == 'fb'


def test_policy_changes_while_running():
    primary = PrimaryFace('largest', 0.0)
    faces = [track('fa', 0, 120), track('fb', 270)]
    assert choose(primary, faces, 0.0) == 'fa'
    primary.policy = 'centre'
    assert choose(primary, faces, 0.1) == 'fb'
    with pytest.raises(ValueError, match="unknown primary face policy 'nicest': choose one of largest, oldest, centre"):
        primary.policy = 'nicest'
