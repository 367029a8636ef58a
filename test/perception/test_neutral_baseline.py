import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fer_ros.emotions import EMOTIONS, valence
from fer_ros.perception import neutral_baseline
from fer_ros.perception.neutral_baseline import (
    BaselineError,
    NeutralBaselines,
    baseline_of,
    corrected,
    neutral_offsets,
)

NEGATIVE = [EMOTIONS.index(e) for e in ('angry', 'disgusted', 'scared', 'sad')]
HAPPY, NEUTRAL, SAD = (EMOTIONS.index(e) for e in ('happy', 'neutral', 'sad'))

few = settings(max_examples=60)
distributions = st.lists(st.floats(-6, 6), min_size=7, max_size=7).map(lambda logits: softmax(np.array(logits)))


def softmax(logits):
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def probabilities(**named):
    """The named emotions' probabilities; the others share the rest."""
    rest = (1 - sum(named.values())) / (7 - len(named))
    return np.array([named.get(e, rest) for e in EMOTIONS])


def offsets_or_skip(baseline):
    try:
        return neutral_offsets(baseline)
    except BaselineError:
        assume(False)


def calibrated(resting, noise=0.0, seed=0):
    """A NeutralBaselines that has seen two seconds of `resting` on face a; and its result."""
    random = np.random.default_rng(seed)
    baselines = NeutralBaselines()
    baselines.start('a', 10.0)
    for i in range(31):
        sample = softmax(np.log(resting) + noise * random.standard_normal(7))
        baselines.apply(['a'], sample[None].astype(np.float32), 10.0 + i / 15)
    return baselines, baselines.finish(12.0)


@few
@given(distributions)
def test_resting_face_reads_near_zero_and_neutral(baseline):
    result = corrected(baseline, offsets_or_skip(baseline))
    assert abs(valence(result)) <= neutral_baseline.MAX_RESIDUE + 1e-9
    assert result[NEUTRAL] >= neutral_baseline.NEUTRAL_SHARE - 1e-9
    assert np.argmax(result) == NEUTRAL


@few
@given(distributions, distributions)
def test_probabilities_stay_probabilities(baseline, face):
    result = corrected(face, offsets_or_skip(baseline))
    assert (result >= 0).all()
    assert result.sum() == pytest.approx(1)


@few
@given(distributions, distributions)
def test_sign_is_that_of_the_change_against_rest(baseline, face):
    offsets = offsets_or_skip(baseline)
    assume(-neutral_baseline.MAX_LOWER < offsets[HAPPY] < neutral_baseline.MAX_RAISE)  # where the bound is not reached
    odds = [np.log(p[HAPPY] / p[NEGATIVE].sum()) for p in (face, baseline)]
    assume(abs(odds[0] - odds[1]) > 1e-6)
    assert np.sign(valence(corrected(face, offsets))) == np.sign(odds[0] - odds[1])


@few
@given(distributions, distributions, st.floats(1.01, 100))
def test_no_calibration_inverts_a_clear_smile(baseline, face, factor):
    face[HAPPY] = factor * np.exp(2 * neutral_baseline.MAX_LOWER) * face[NEGATIVE].sum()
    assert valence(corrected(face, offsets_or_skip(baseline))) > 0


@few
@given(distributions, distributions)
def test_negative_emotions_keep_their_proportions(baseline, face):
    result = corrected(face, offsets_or_skip(baseline))
    np.testing.assert_allclose(result[NEGATIVE] * face[NEGATIVE].sum(), face[NEGATIVE] * result[NEGATIVE].sum(),
                               rtol=1e-9)


@pytest.mark.parametrize('resting', [
    probabilities(sad=0.7, neutral=0.25, happy=0.02), probabilities(angry=0.8, neutral=0.1, happy=0.01),
    probabilities(sad=0.4, angry=0.3, neutral=0.2), probabilities(happy=0.3, neutral=0.6),
    probabilities(surprised=0.6, neutral=0.3)])
def test_smiles_and_frowns_keep_their_sign(resting):
    offsets = neutral_offsets(resting)
    for smile in (probabilities(happy=0.9, neutral=0.07), probabilities(happy=0.6, neutral=0.3, sad=0.05)):
        assert valence(corrected(smile, offsets)) > 0.1
    for frown in (probabilities(sad=0.95, neutral=0.04, happy=0.001), probabilities(angry=0.97, happy=0.0005)):
        assert valence(corrected(frown, offsets)) < -0.1


def test_a_face_that_reads_neutral_is_left_alone():
    balanced = probabilities(neutral=0.8, happy=0.08, sad=0.02, angry=0.02, disgusted=0.02, scared=0.02)
    np.testing.assert_allclose(neutral_offsets(balanced), 0, atol=1e-9)


@pytest.mark.parametrize('baseline', [probabilities(happy=0.8), probabilities(sad=0.9995, neutral=0.0001)])
def test_an_expression_is_no_baseline(baseline):
    with pytest.raises(BaselineError, match=r'classified as (happy|sad) .*look neutral'):
        neutral_offsets(baseline)


def test_one_bad_frame_does_not_decide_the_baseline():
    samples = np.tile(probabilities(neutral=0.6, sad=0.2), (20, 1))
    samples[7] = np.eye(7)[HAPPY]
    assert baseline_of(samples)[NEUTRAL] > 0.4


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_collects_two_seconds_then_corrects_this_face_only(dtype):
    resting = probabilities(sad=0.6, neutral=0.3, happy=0.02)
    baselines, result = calibrated(resting, noise=0.3)
    assert result.success and result.face_id == 'a'
    faces = np.stack([resting, resting]).astype(dtype)
    after = baselines.apply(['a', 'b'], faces, 13.0)
    assert after.dtype == dtype and after.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert abs(valence(after[0])) < 0.1
    np.testing.assert_array_equal(after[1], faces[1])
    np.testing.assert_array_equal(faces[0], resting.astype(dtype))  # the caller's array is not written to


@few
@given(distributions, st.integers(0, 1000))
def test_noisy_rest_reads_near_zero_on_average(resting, seed):
    baselines, result = calibrated(resting, noise=0.2, seed=seed)
    assume(result.success)
    random = np.random.default_rng(seed + 1)
    later = softmax(np.log(resting) + 0.2 * random.standard_normal((200, 7)))
    after = np.concatenate([baselines.apply(['a'], p[None], 20.0) for p in later])
    assert abs(valence(after).mean()) < neutral_baseline.MAX_RESIDUE + 0.05


def test_not_finished_before_its_time_and_finished_once():
    baselines = NeutralBaselines()
    assert baselines.finish(0.0) is None
    baselines.start('a', 10.0)
    with pytest.raises(BaselineError, match='face a is being calibrated'):
        baselines.start('b', 10.5)
    assert baselines.finish(11.9) is None and baselines.collecting == 'a'
    assert not baselines.finish(12.0).success
    assert baselines.finish(12.0) is None and baselines.collecting is None


def test_too_few_samples():
    baselines = NeutralBaselines()
    baselines.start('a', 10.0)
    for stamp in np.linspace(10, 10.4, 20):  # enough frames, but only of the first moment
        baselines.apply(['a'], probabilities(neutral=0.9)[None], stamp)
    result = baselines.finish(12.0)
    assert not result.success and 'seen in only 20 frames' in result.message


def test_changing_expression_is_refused_and_keeps_the_earlier_baseline():
    resting = probabilities(sad=0.6, neutral=0.3, happy=0.02)
    baselines, _ = calibrated(resting)
    baselines.start('a', 20.0)
    for i in range(30):
        face = resting if i % 10 < 5 else probabilities(happy=0.8)
        baselines.apply(['a'], face[None], 20 + i / 15)
    result = baselines.finish(22.0)
    assert not result.success and 'expression changed' in result.message
    assert baselines.calibrated == ('a',)


def test_a_second_calibration_starts_from_the_network_s_own_probabilities():
    resting = probabilities(sad=0.6, neutral=0.3, happy=0.02)
    baselines, _ = calibrated(resting)
    before = baselines.apply(['a'], resting[None], 15.0)
    baselines.start('a', 20.0)
    for i in range(30):
        baselines.apply(['a'], resting[None], 20 + i / 15)
    assert baselines.finish(22.0).success
    np.testing.assert_allclose(baselines.apply(['a'], resting[None], 23.0), before, rtol=1e-6)


def test_lost_with_the_track_and_undone_by_reset():
    resting = probabilities(sad=0.6, neutral=0.3)
    for undo in (lambda c: c.forget(['a', 'never seen']), lambda c: c.reset()):
        baselines, _ = calibrated(resting)
        undo(baselines)
        np.testing.assert_array_equal(baselines.apply(['a'], resting[None], 15.0)[0], resting)
        assert baselines.calibrated == ()


def test_stamps_that_jump_back_end_it():
    baselines = NeutralBaselines()
    baselines.start('a', 10.0)
    assert 'jumped back' in baselines.finish(3.0).message


def test_cancel():
    baselines = NeutralBaselines()
    assert baselines.cancel('no reason') is None
    baselines.start('a', 10.0)
    assert baselines.cancel('deactivated') == neutral_baseline.BaselineResult('a', False, 'deactivated')
    assert baselines.collecting is None
