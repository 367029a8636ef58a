"""The vocabulary: seven emotions, three groups, and valence from probabilities.

Emotion names are the ROS4HRI strings (hri_msgs/Expression); their order is FER2013's class order and
the order of the network's outputs.
"""

from collections.abc import Sequence

import numpy as np

EMOTIONS = ('angry', 'disgusted', 'scared', 'happy', 'sad', 'surprised', 'neutral')
GROUPS = ('negative', 'neutral', 'positive')

GROUP_OF = {'angry': 'negative', 'disgusted': 'negative', 'scared': 'negative', 'sad': 'negative',
            'neutral': 'neutral', 'happy': 'positive'}
"""Surprise belongs to no group: it may be pleasant or unpleasant."""

SYNONYMS = {
    'angry': ('angry', 'anger'),
    'disgusted': ('disgusted', 'disgust'),
    'scared': ('scared', 'fear', 'fearful', 'afraid'),
    'happy': ('happy', 'happiness', 'joy'),
    'sad': ('sad', 'sadness'),
    'surprised': ('surprised', 'surprise'),
    'neutral': ('neutral', 'calm'),
}
"""Names used for each emotion in data sets."""

_EMOTION_OF_NAME = {name: emotion for emotion, names in SYNONYMS.items() for name in names}

_VALENCE_SIGNS = np.array([{'positive': 1, 'negative': -1}.get(GROUP_OF.get(e, ''), 0) for e in EMOTIONS], np.float64)
_GROUP_MATRIX = np.array([[GROUP_OF.get(e) == g for g in GROUPS] for e in EMOTIONS], np.float64)
NEUTRAL_VALENCE = 0.39
"""Largest valence, of either sign, of a face that is called neutral. With the shipped weights it leaves less than 2 %
of FER2013's validation faces called neutral beyond ±0.33, and costs 0.9 points of agreement with the raters, whose own
plurality contradicts their own valence for 6 % of the faces.
"""
_SAME_GROUP = np.array([[GROUP_OF.get(a, a) == GROUP_OF.get(b, b) for a in EMOTIONS] for b in EMOTIONS], np.float64)
"""Surprise is alone in a group of its own."""


def emotion_named(name: str) -> str | None:
    """The emotion called `name` in data sets, ignoring case; None for an unknown name."""
    return _EMOTION_OF_NAME.get(name.strip().lower())


def valence(probabilities: Sequence[float] | np.ndarray) -> np.ndarray:
    """P(happy) − P(angry) − P(disgusted) − P(scared) − P(sad), in [−1, 1].

    Surprise has no sign, so it pulls the value toward 0 as neutral does.

    Args:
        probabilities: (..., 7), each row summing to 1, in the order of `EMOTIONS`.

    Returns:
        float64 of shape (...).
    """
    return np.clip(np.asarray(probabilities, np.float64) @ _VALENCE_SIGNS, -1.0, 1.0)


def group_scores(probabilities: Sequence[float] | np.ndarray) -> np.ndarray:
    """Summed probability of each of `GROUPS`, without surprise: (..., 7) -> float64 (..., 3)."""
    return np.asarray(probabilities, np.float64) @ _GROUP_MATRIX


def group(probabilities: Sequence[float] | np.ndarray) -> str:
    """The group with the largest summed probability, from the 7 probabilities of one face."""
    return GROUPS[int(np.argmax(group_scores(probabilities)))]


def decide(probabilities: Sequence[float] | np.ndarray) -> np.ndarray:
    """The emotion to show: first the group, by summed probability, then the likeliest emotion within it.

    So the emotion agrees with the valence: four negative emotions of 0.15 each are not called neutral beside a neutral
    of 0.4. Surprise stands beside the three groups as one of its own. A face with a valence beyond ±`NEUTRAL_VALENCE`
    is not called neutral either: its group is the one of that sign.

    Args:
        probabilities: (..., 7), each row summing to 1, in the order of `EMOTIONS`.

    Returns:
        int64 of shape (...): index into `EMOTIONS`.
    """
    probabilities = np.asarray(probabilities, np.float64)
    weight = probabilities @ _SAME_GROUP
    clear = np.abs(valence(probabilities)) > NEUTRAL_VALENCE
    weight[..., EMOTIONS.index('neutral')] -= 2 * clear
    # All emotions of a group have the weight of their sum, up to rounding; the likeliest of the winning group is shown.
    winning = weight >= weight.max(-1, keepdims=True) - 1e-9
    return np.where(winning, probabilities, -1.0).argmax(-1)
