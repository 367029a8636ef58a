import numpy as np
import pytest

from fer_ros.emotions import EMOTIONS, decide
from fer_ros.msfernet.evaluate import table
from fer_ros.msfernet.metrics import (
    concordance_correlation,
    confusion_matrix,
    macro_f1,
    reliability,
    score,
    score_raters,
)
from fer_ros.msfernet.votes import CHOICES


def rows(*faces):
    """(N, 7) from dictionaries of emotion and probability."""
    return np.array([[face.get(emotion, 0.0) for emotion in EMOTIONS] for face in faces])


SIX = rows({'angry': 0.6, 'happy': 0.4},
           {'neutral': 0.4, 'sad': 0.31, 'angry': 0.29},
           {'neutral': 0.9, 'happy': 0.1},
           {'neutral': 0.34, 'angry': 0.33, 'scared': 0.33},
           {'surprised': 0.7, 'happy': 0.2, 'neutral': 0.1},
           {'surprised': 0.95, 'happy': 0.05})
SIX_LABELS = np.array([EMOTIONS.index(e) for e in ('angry', 'sad', 'neutral', 'neutral', 'happy', 'surprised')])


def test_six_faces_counted_by_hand():
    report = score(SIX, SIX_LABELS)
    assert (report['n_7'], report['n_3']) == (6, 5)
    # Seven emotions: sad is read as neutral and happy as surprised.
    assert report['accuracy_7'] == pytest.approx(4 / 6)
    assert report['macro_f1_7'] == pytest.approx((1 + 0 + 4 / 5 + 0 + 2 / 3) / 5)
    assert report['recall_7'] == {'angry': 1, 'disgusted': None, 'scared': None, 'happy': 0, 'sad': 0, 'surprised': 1,
                                  'neutral': 1}
    # Groups: sad is negative after all, and happy positive once surprise is left out; one neutral is read as negative.
    assert report['confusion_3'] == [[2, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert report['accuracy_3'] == pytest.approx(4 / 5)
    assert report['macro_f1_3'] == pytest.approx((4 / 5 + 2 / 3 + 1) / 3)
    assert report['neutral_as_negative'] == pytest.approx(1 / 2)
    # Bins: (0.4 wrong, 0.34 right) share one, the others have one each.
    assert report['ece_7'] == pytest.approx((2 * abs(0.37 - 0.5) + 0.4 + 0.1 + 0.7 + 0.05) / 6)


def test_what_is_shown_may_be_another_emotion():
    # With their groups, sad is sad and the second neutral face angry.
    report = score(SIX, SIX_LABELS, decide(SIX))
    assert report['accuracy_7'] == pytest.approx(4 / 6)
    assert (report['recall_7']['sad'], report['recall_7']['neutral']) == (1, 0.5)
    assert {key: value for key, value in report.items() if '_3' in key or key == 'ece_7'} == {
        key: value for key, value in score(SIX, SIX_LABELS).items() if '_3' in key or key == 'ece_7'}


def test_rows_are_labels_and_columns_predictions():
    confusion = confusion_matrix(np.array([0, 0, 2]), np.array([0, 1, 1]), 3)
    assert confusion.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]


def test_classes_that_occur_nowhere_do_not_count_in_macro_f1():
    assert macro_f1(np.array([[2, 0, 0], [0, 3, 0], [0, 0, 0]])) == 1


def test_shares_of_nothing_are_none():
    report = score(rows({'surprised': 1.0}), np.array([EMOTIONS.index('surprised')]))
    assert report['accuracy_7'] == 1
    assert report['accuracy_3'] is report['macro_f1_3'] is report['neutral_as_negative'] is None
    assert '–' in table(report)


def test_bins_hold_their_upper_edge():
    bins = reliability(np.array([[0.5, 0.5], [0.51, 0.49], [1.0, 0.0]]), np.array([0, 1, 0]), bins=2)
    assert bins.faces.tolist() == [1, 2]
    assert bins.accuracy.tolist() == [1, 0.5]
    assert bins.confidence.tolist() == pytest.approx([0.5, 0.755])
    assert bins.error == pytest.approx((0.5 + 2 * 0.255) / 3)


def test_faces_as_sure_as_right_have_no_calibration_error():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(7), 100_000)
    labels = (probabilities.cumsum(1) > generator.random((100_000, 1))).argmax(1)
    assert reliability(probabilities, labels).error < 0.01


def votes(*faces):
    return np.array([[face.get(choice, 0.0) for choice in CHOICES] for face in faces], np.float32)


def test_raters_counted_by_hand():
    probabilities = rows({'happy': 0.8, 'neutral': 0.2}, {'neutral': 0.63, 'sad': 0.37},
                         {'sad': 0.9, 'neutral': 0.1}, {'neutral': 1.0}, {'happy': 1.0})
    report = score_raters(probabilities, votes({'happy': 9, 'neutral': 1}, {'neutral': 6, 'sad': 4},
                                               {'neutral': 5, 'contempt': 4}, {'contempt': 6, 'sad': 4}, {}))
    assert (report['raters_n_7'], report['raters_n_3'], report['valence_n']) == (3, 3, 4)
    assert report['raters_accuracy_7'] == pytest.approx(2 / 3)
    assert report['raters_neutral_as_negative'] == pytest.approx(1 / 2)
    assert report['raters_negative_as_neutral'] is None
    # Of the three that count, the second is called neutral at valence −0.37.
    assert report['raters_contradictions'] == pytest.approx(1 / 3)
    assert report['valence_mae'] == pytest.approx((0.1 + 0.03 + 0.9 + 1.0) / 4, abs=1e-5)


def test_without_votes_there_are_no_figures():
    report = score_raters(np.full((2, 7), 1 / 7), np.zeros((2, 10), np.float32))
    assert report['raters_n_7'] == report['valence_n'] == 0
    assert report['raters_accuracy_7'] is report['valence_ccc'] is None


@pytest.mark.parametrize(('a', 'b', 'expected'), [
    ([-1, 0, 1], [-1, 0, 1], 1), ([-1, 0, 1], [1, 0, -1], -1), ([0.5, 0.5], [0.5, 0.5], 1), ([0, 0], [1, -1], 0),
    ([0, 1, 2], [1, 2, 3], 2 * (2 / 3) / (2 / 3 + 2 / 3 + 1))])
def test_concordance(a, b, expected):
    assert concordance_correlation(np.array(a, float), np.array(b, float)) == pytest.approx(expected)
