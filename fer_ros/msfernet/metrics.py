"""Figures of predictions against labels: of the data set's own, and of ten raters' votes."""

from typing import NamedTuple

import numpy as np

from fer_ros.emotions import EMOTIONS, GROUP_OF, GROUPS, decide, group_scores, valence
from fer_ros.msfernet.votes import labelled, plurality, raters_probabilities

ECE_BINS = 15
CLEAR_VALENCE = 0.33
"""Beyond it the sign of the valence is plain, and the emotion shown must be of that group."""
_GROUP_INDEX = np.array([GROUPS.index(GROUP_OF[e]) if e in GROUP_OF else -1 for e in EMOTIONS])


class Reliability(NamedTuple):
    """How often the network is right, by how sure it is: arrays of one value per bin, equally wide over [0, 1]."""

    confidence: np.ndarray
    """Mean probability of the winning class; NaN in an empty bin."""
    accuracy: np.ndarray
    """Share of faces whose winning class is their label; NaN in an empty bin."""
    faces: np.ndarray
    """Number of faces, int."""

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of accuracy and confidence over faces (Guo et al., ICML 2017)."""
        filled = self.faces > 0
        distance = np.abs(self.accuracy - self.confidence)[filled]
        return float((distance * self.faces[filled]).sum() / self.faces.sum())


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(classes, classes) int64 number of samples: rows are labels, columns what was predicted."""
    return np.bincount(classes * labels + predicted, minlength=classes * classes).reshape(classes, classes)


def macro_f1(confusion: np.ndarray) -> float:
    """Mean F1 over the classes that are a label or a prediction of any sample."""
    total = confusion.sum(0) + confusion.sum(1)
    occurs = total > 0
    return float((2 * confusion.diagonal()[occurs] / total[occurs]).mean())


def reliability(probabilities: np.ndarray, labels: np.ndarray, *, bins: int = ECE_BINS) -> Reliability:
    """Bin faces by the probability of their winning class.

    Args:
        probabilities: (N, C), rows summing to 1; of emotions.
        labels: (N,) integer classes.
        bins: number of equally wide bins over [0, 1]; a bin holds its upper edge.
    """
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == labels
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid='ignore'):
        return Reliability(np.bincount(index, confidence, bins) / count,
                           np.bincount(index, correct, bins) / count, count)


def score(probabilities: np.ndarray, labels: np.ndarray, shown: np.ndarray | None = None) -> dict:
    """Figures of 7 emotions and 3 groups.

    The group of a face is the argmax of the group sums with surprise left out; it is scored on faces whose label is
    not surprise, whatever the network says of them.

    Args:
        probabilities: (N, 7) in the order of `EMOTIONS`, rows summing to 1; N at least 1.
        labels: (N,) integer classes.
        shown: (N,) integer classes that are shown for the faces; the most probable ones, as in papers, by default.

    Returns:
        accuracy_7, macro_f1_7, ece_7, n_7, confusion_7 and recall_7 (by emotion); accuracy_3, macro_f1_3, n_3,
        confusion_3 (in the order of `GROUPS`); neutral_as_negative, the share of neutral faces classified as negative,
        and negative_as_neutral likewise; contradictions, the share of faces with a valence beyond ±0.33 whose emotion
        is not in the group of that sign, of all faces. Shares are 0 to 1, and None where there is no face to take them
        of. Rows of a confusion matrix are labels.
    """
    shown = probabilities.argmax(1) if shown is None else shown
    confusion_7 = confusion_matrix(labels, shown, len(EMOTIONS))
    counted = _GROUP_INDEX[labels] >= 0
    confusion_3 = confusion_matrix(_GROUP_INDEX[labels[counted]], group_scores(probabilities[counted]).argmax(1),
                                   len(GROUPS))
    n_3 = int(counted.sum())
    negative, neutral = (confusion_3[GROUPS.index(name)] for name in ('negative', 'neutral'))
    meant = valence(probabilities)
    sign = np.array([GROUPS.index('negative'), GROUPS.index('positive')])[(meant > 0).astype(int)]
    contradictions = (np.abs(meant) > CLEAR_VALENCE) & (_GROUP_INDEX[shown] >= 0) & (_GROUP_INDEX[shown] != sign)
    return {
        'accuracy_7': float(confusion_7.trace() / len(labels)),
        'accuracy_3': _share(confusion_3.trace(), n_3),
        'macro_f1_7': macro_f1(confusion_7),
        'macro_f1_3': macro_f1(confusion_3) if n_3 else None,
        'ece_7': reliability(probabilities, labels).error,
        'neutral_as_negative': _share(neutral[GROUPS.index('negative')], neutral.sum()),
        'negative_as_neutral': _share(negative[GROUPS.index('neutral')], negative.sum()),
        'contradictions': float(contradictions.mean()),
        'n_7': len(labels),
        'n_3': n_3,
        'recall_7': {emotion: _share(row[i], row.sum())
                     for i, (emotion, row) in enumerate(zip(EMOTIONS, confusion_7, strict=True))},
        'confusion_7': confusion_7.tolist(),
        'confusion_3': confusion_3.tolist(),
    }


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def score_raters(probabilities: np.ndarray, votes: np.ndarray) -> dict:
    """Figures against what raters saw.

    A face's label is the plurality of its votes; faces whose plurality is contempt, unknown or no face have none and do
    not count in accuracies. Valence is compared over every face with a vote for one of the seven emotions, with the
    share of these votes that are positive minus the share that are negative.

    Args:
        probabilities: (N, 7) in the order of `EMOTIONS`, rows summing to 1.
        votes: (N, 10) in the order of `votes.CHOICES`; rows of zeros do not count.

    Returns:
        As `score`, without its confusions of no use here, with keys that begin with ``raters_``; also
        raters_negative_as_neutral, raters_contradictions (the share of labelled faces whose shown emotion's group has
        not the sign of a valence beyond ±0.33), valence_ccc, valence_mae and valence_n. None where there is no face to
        take a figure of.
    """
    label = plurality(votes)
    counted = labelled(label)
    figures = (score(probabilities[counted], label[counted], decide(probabilities[counted])) if counted.any() else
               dict.fromkeys(('accuracy_7', 'accuracy_3', 'macro_f1_7', 'macro_f1_3', 'ece_7', 'neutral_as_negative',
                              'negative_as_neutral', 'contradictions')) | {'n_7': 0, 'n_3': 0})
    seen = votes[:, :len(EMOTIONS)].sum(1) > 0
    said, meant = valence(probabilities[seen]), valence(raters_probabilities(votes[seen]))
    return {f'raters_{name}': value for name, value in figures.items()} | {
        'valence_ccc': concordance_correlation(said, meant) if seen.any() else None,
        'valence_mae': float(np.abs(said - meant).mean()) if seen.any() else None,
        'valence_n': int(seen.sum())}


def concordance_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """How far pairs lie from the line of equality, 1 for on it (Lin, Biometrics 45, 1989).

    Args:
        a, b: (N,) of the same quantity, N at least 1. Two equal constants agree fully.
    """
    spread = a.var() + b.var() + (a.mean() - b.mean()) ** 2
    return float(2 * ((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 0 else 1.0
