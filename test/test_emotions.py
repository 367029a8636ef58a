import numpy as np
import pytest

from fer_ros import emotions
from fer_ros.emotions import EMOTIONS, GROUP_OF, GROUPS, NEUTRAL_VALENCE, decide, valence


def certain(emotion):
    return np.eye(len(EMOTIONS))[EMOTIONS.index(emotion)]


@pytest.mark.parametrize(('emotion', 'expected'), [
    ('happy', 1), ('angry', -1), ('disgusted', -1), ('scared', -1), ('sad', -1), ('surprised', 0), ('neutral', 0)])
def test_valence_of_a_certain_emotion(emotion, expected):
    assert emotions.valence(certain(emotion)) == expected


def test_valence_is_happy_minus_the_negative_emotions():
    #            angry disgusted scared happy sad  surprised neutral
    probabilities = [0.1, 0.05, 0.05, 0.4, 0.1, 0.2, 0.1]
    assert emotions.valence(probabilities) == pytest.approx(0.4 - 0.3)


def test_valence_of_many_faces_stays_in_range():
    probabilities = np.random.default_rng(0).dirichlet(np.full(7, 0.1), size=(50, 4)).astype(np.float32)
    valence = emotions.valence(probabilities)
    assert valence.shape == (50, 4)
    assert valence.dtype == np.float64
    assert np.abs(valence).max() <= 1


def test_surprise_is_in_no_group():
    assert set(EMOTIONS) - set(GROUP_OF) == {'surprised'}
    assert set(GROUP_OF.values()) == set(GROUPS)


def test_group_scores_leave_surprise_out():
    scores = emotions.group_scores([0.1, 0.05, 0.05, 0.2, 0.1, 0.3, 0.2])
    assert dict(zip(GROUPS, scores, strict=True)) == pytest.approx({'negative': 0.3, 'neutral': 0.2, 'positive': 0.2})


def test_the_group_can_differ_from_that_of_the_likeliest_emotion():
    assert emotions.group([0.33, 0, 0.33, 0, 0, 0, 0.34]) == 'negative'
    assert emotions.group([0, 0, 0, 0.2, 0, 0.7, 0.1]) == 'positive'


@pytest.mark.parametrize(('name', 'expected'), [
    ('Fear', 'scared'), (' happiness ', 'happy'), ('ANGER', 'angry'), ('surprise', 'surprised'),
    ('disgust', 'disgusted'), ('sadness', 'sad'), ('neutral', 'neutral'), ('contempt', None), ('', None)])
def test_names_under_which_data_sets_file_emotions(name, expected):
    assert emotions.emotion_named(name) == expected


def probabilities(**shares):
    return [shares.get(emotion, 0.0) for emotion in EMOTIONS]


@pytest.mark.parametrize(('shares', 'shown'), [
    ({'neutral': 0.4, 'angry': 0.15, 'sad': 0.16, 'scared': 0.15, 'disgusted': 0.14}, 'sad'),
    ({'neutral': 0.4, 'angry': 0.1, 'sad': 0.1, 'happy': 0.4 - 1e-6}, 'neutral'),
    ({'neutral': 0.3, 'happy': 0.36, 'sad': 0.17, 'angry': 0.17}, 'happy'),
    ({'surprised': 0.4, 'scared': 0.35, 'neutral': 0.25}, 'surprised'),
    ({'surprised': 0.4, 'scared': 0.3, 'angry': 0.15, 'neutral': 0.15}, 'scared'),
    ({'happy': 0.5, 'neutral': 0.5}, 'happy'), ({'neutral': 0.62, 'sad': 0.38}, 'neutral'),
    ({'neutral': 0.55, 'sad': 0.45}, 'sad'), ({'neutral': 1.0}, 'neutral')])
def test_the_group_is_decided_first(shares, shown):
    assert EMOTIONS[decide(probabilities(**shares))] == shown


def test_the_emotion_never_contradicts_the_valence():
    rows = np.random.default_rng(0).dirichlet(np.full(7, 0.4), 20_000)
    shown, meant = decide(rows), valence(rows)
    sign = np.array([{'negative': -1, 'neutral': 0, 'positive': 1}.get(GROUP_OF.get(e), 9) for e in EMOTIONS])[shown]
    assert not ((sign == 1) & (meant < 0) | (sign == -1) & (meant > 0)).any()
    assert np.abs(meant[sign == 0]).max() <= NEUTRAL_VALENCE
    likeliest = rows.argmax(1)
    assert (rows[np.arange(len(rows)), shown] == rows.max(1))[shown == likeliest].all()
    assert decide(rows[:6].reshape(2, 3, 7)).tolist() == shown[:6].reshape(2, 3).tolist()
