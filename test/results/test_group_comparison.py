"""The comparison of two groups against sums by hand, and how often its interval has the true difference."""

import numpy as np
import pytest

from fer_ros.results import group_comparison
from fer_ros.results.group_comparison import compare


def test_difference_and_effect_by_hand():
    found = compare([0.0, 0.1, 0.2], [0.3, 0.4, 0.5])
    assert found.difference == pytest.approx(0.3)
    # Both have a standard deviation of 0.1; the correction for four degrees of freedom is 1 − 3/15.
    assert found.effect == pytest.approx(0.3 / 0.1 * 0.8)
    assert found.size == 'large'
    low, high = found.interval
    assert 0 < low < 0.3 < high < 0.6
    assert low + high == pytest.approx(0.6, abs=0.01)
    assert compare([0.0, 0.1, 0.2], [0.3, 0.4, 0.5]) == found, 'the same sessions give the same interval'
    turned = compare([0.3, 0.4, 0.5], [0.0, 0.1, 0.2])
    assert (turned.difference, turned.effect) == (pytest.approx(-0.3), pytest.approx(-2.4))


@pytest.mark.parametrize(('second', 'word'), [(0.01, 'negligible'), (0.06, 'small'), (-0.11, 'medium'), (0.3, 'large')])
def test_words_for_effects(second, word):
    values = np.array([-0.2, -0.1, 0.0, 0.1, 0.2] * 4)
    assert compare(values, values + second).size == word


def test_few_sessions():
    assert compare([], [0.1]) is None
    found = compare([0.1], [0.3])
    assert (found.difference, found.interval, found.effect, found.size) == (pytest.approx(0.2), None, None, '')
    found = compare([0.1, 0.2], [0.3, 0.4, 0.5])
    assert found.interval is None and found.effect is not None
    alike = compare([0.1] * 3, [0.3] * 3)
    assert alike.effect is None, 'without any spread the effect has no size'
    assert alike.interval == (pytest.approx(0.2), pytest.approx(0.2))


@pytest.mark.parametrize(('count', 'least'), [(5, 0.88), (10, 0.90), (20, 0.92)])
def test_the_interval_has_the_true_difference_about_as_often_as_it_says(monkeypatch, count, least):
    monkeypatch.setattr(group_comparison, '_RESAMPLES', 1000)
    random = np.random.default_rng(3)
    trials = 600
    hits = 0
    for trial in range(trials):
        low, high = compare(random.normal(0.0, 0.2, count), random.normal(0.1, 0.3, count), trial).interval
        hits += low <= 0.1 <= high
    assert least < hits / trials < 0.975
