import numpy as np
import pytest

from fer_ros.perception.smoothing import RESET_AFTER, ProbabilitySmoother

NEUTRAL, HAPPY = np.eye(7)[6], np.eye(7)[3]


def curve(rate, half_life, signal, seconds=4.0):
    """P(happy) at every tenth of a second of a face whose P(happy) is signal(t), seen `rate` times a second."""
    smoother = ProbabilitySmoother(half_life)
    values = []
    for i in range(round(seconds * rate) + 1):
        happy = signal(i / rate)
        values.append(smoother.update('f1', happy * HAPPY + (1 - happy) * NEUTRAL, i / rate)[3])
    return np.array(values[::rate // 10])


@pytest.mark.parametrize('half_life', [0.1, 0.3, 1.0])
@pytest.mark.parametrize('signal', [lambda t: 0.5 - 0.5 * np.cos(np.pi * t), lambda t: np.clip(t - 1, 0, 1)],
                         ids=['wave', 'ramp'])
def test_equal_curves_at_10_and_60_frames_a_second(half_life, signal):
    slow, fast = curve(10, half_life, signal), curve(60, half_life, signal)
    assert np.ptp(fast) > 0.3
    assert np.abs(slow - fast).max() < 0.01


def test_a_step_is_the_same_within_the_frame_in_which_it_happens():
    """Between two frames nobody knows when it happened: half a frame interval either way."""
    slow, fast = (curve(rate, 0.3, lambda t: float(t > 0.95)) for rate in (10, 60))
    later = 2 ** (-0.05 / 0.3)
    assert np.abs(slow - fast).max() < 1 - later
    assert np.abs(slow - fast)[30:].max() < 0.01


def test_half_life_is_what_it_says():
    smoother = ProbabilitySmoother(0.5)
    for i in range(200):
        last = smoother.update('f1', HAPPY, i / 100)
    assert last[3] == pytest.approx(1)
    start = 199 / 100
    for i in range(1, 51):
        last = smoother.update('f1', NEUTRAL, start + i / 100)
    assert last[3] == pytest.approx(0.5, abs=0.01)


def test_irregular_stamps():
    times = np.sort(np.random.default_rng(0).uniform(0, 4, 200))
    smoother = ProbabilitySmoother(0.3)
    values = [smoother.update('f1', happy * HAPPY + (1 - happy) * NEUTRAL, t)[3]
              for t, happy in zip(times, 0.5 - 0.5 * np.cos(np.pi * times), strict=True)]
    regular = curve(60, 0.3, lambda t: 0.5 - 0.5 * np.cos(np.pi * t))
    assert np.abs(np.interp(np.arange(41) / 10, times, values) - regular)[5:-2].max() < 0.03


def test_stays_probabilities():
    noise = np.random.default_rng(0)
    smoother, stamp = ProbabilitySmoother(0.2), 0.0
    for _ in range(300):
        stamp += noise.exponential(0.1)
        smoothed = smoother.update('f1', noise.dirichlet(np.ones(7) * 0.3), stamp)
        assert smoothed.min() >= 0
        assert smoothed.sum() == pytest.approx(1)


def test_no_smoothing():
    smoother = ProbabilitySmoother(0)
    smoother.update('f1', HAPPY, 0.0)
    assert smoother.update('f1', NEUTRAL, 0.01).tolist() == NEUTRAL.tolist()
    assert smoother.update('f1', HAPPY, 0.01).tolist() == HAPPY.tolist(), 'not even at an equal stamp'


@pytest.mark.parametrize('stamp', [4.99, -100.0, 5.0 + RESET_AFTER + 0.01, 86400.0])
def test_starts_anew_when_the_stamp_jumps(stamp):
    smoother = ProbabilitySmoother(10.0)
    smoother.update('f1', HAPPY, 5.0)
    assert smoother.update('f1', NEUTRAL, stamp).tolist() == NEUTRAL.tolist()


def test_a_stamp_that_stands_still_has_no_weight():
    smoother = ProbabilitySmoother(0.3)
    smoother.update('f1', HAPPY, 5.0)
    assert smoother.update('f1', NEUTRAL, 5.0).tolist() == HAPPY.tolist()
    assert np.isfinite(smoother.update('f1', NEUTRAL, 5.0 + 1e-12)).all()


def test_faces_are_apart_and_can_be_forgotten():
    smoother = ProbabilitySmoother(10.0)
    for face_id, value in (('f1', HAPPY), ('f2', NEUTRAL)):
        smoother.update(face_id, value, 0.0)
    assert smoother.update('f2', NEUTRAL, 0.1).tolist() == NEUTRAL.tolist()
    smoother.forget({'f1', 'unknown'})
    assert smoother.face_ids == {'f2'}
    assert smoother.update('f1', NEUTRAL, 0.1).tolist() == NEUTRAL.tolist()
    smoother.reset()
    assert smoother.face_ids == set()


def test_what_is_returned_may_be_changed():
    smoother = ProbabilitySmoother(0.3)
    given = HAPPY.copy()
    smoother.update('f1', given, 0.0)[:] = np.nan
    given[:] = np.nan
    assert smoother.update('f1', HAPPY, 0.0).tolist() == HAPPY.tolist()


def test_a_frame_of_low_weight_moves_the_line_little():
    smoother = ProbabilitySmoother(0.3)
    for i in range(30):
        smoother.update('f1', NEUTRAL, i / 30)
    faint = smoother.update('f1', HAPPY, 1.0, 0.05)[3]
    full = ProbabilitySmoother(0.3)
    for i in range(30):
        full.update('f1', NEUTRAL, i / 30)
    clear = full.update('f1', HAPPY, 1.0)[3]
    assert 0 < faint < 0.1 * clear


def test_what_was_seen_well_soon_replaces_a_faint_beginning():
    smoother, values = ProbabilitySmoother(0.3), []
    smoother.update('f1', HAPPY, 0.0, 0.05)
    for i in range(1, 6):
        values.append(smoother.update('f1', NEUTRAL, i / 30)[3])
    assert values[-1] < 0.3, 'with equal weights 0.7 would be left'


@pytest.mark.parametrize('weight', [0.0, 0.3, 1.0])
def test_a_constant_weight_changes_nothing(weight):
    one, other = ProbabilitySmoother(0.3), ProbabilitySmoother(0.3)
    for i in range(20):
        value = HAPPY if i % 3 else NEUTRAL
        expected = other.update('f1', value, i / 20)
        np.testing.assert_allclose(one.update('f1', value, i / 20, weight), expected, atol=1e-9)
