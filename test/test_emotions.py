import numpy as np
import pytest

from fer_ros import emotions
from fer_ros.emotions import EMOTIONS, GROUP_OF, GROUPS


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
