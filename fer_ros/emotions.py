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
