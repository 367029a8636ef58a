import numpy as np
import pytest

from fer_ros.emotions import EMOTIONS
from fer_ros.msfernet.errors import DataError
from fer_ros.msfernet.votes import CHOICES, plurality, raters_probabilities, raters_weight, read_table, votes_of

HEADER = 'picture,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,no_face\n'


def votes(**counts):
    return np.array([[counts.get(choice, 0) for choice in CHOICES]], np.float32)


def test_shares_are_of_the_votes_for_the_seven():
    shares = raters_probabilities(votes(happy=6, neutral=2, contempt=2))
    assert shares[0, EMOTIONS.index('happy')] == pytest.approx(0.75)
    assert shares.sum() == pytest.approx(1)
    assert raters_weight(votes(happy=6, neutral=2, contempt=2)) == pytest.approx(0.8)


@pytest.mark.parametrize('counts', [{}, {'no_face': 10}, {'unknown': 6, 'contempt': 4}])
def test_without_a_vote_for_the_seven_a_face_weighs_nothing(counts):
    assert raters_weight(votes(**counts)) == 0
    np.testing.assert_allclose(raters_probabilities(votes(**counts)), 1 / 7)


def test_plurality():
    assert CHOICES[plurality(votes(sad=4, neutral=3, angry=3))[0]] == 'sad'
    assert CHOICES[plurality(votes(no_face=6, neutral=4))[0]] == 'no_face'
    assert CHOICES[plurality(votes(sad=5, neutral=5))[0]] == 'neutral', 'the first in the order of the table'
    assert plurality(votes())[0] == -1


@pytest.mark.parametrize('prefix', ['', 'fer2013/', 'somewhere/fer2013/'])
def test_pictures_are_found_by_their_path_below_any_root(tmp_path, prefix):
    (tmp_path / 'votes.csv').write_text(HEADER + 'train/sad/a.png,0,0,0,9,1,0,0,0,0,0\n')
    found = votes_of([f'{prefix}train/sad/a.png', f'{prefix}train/angry/a.png'], tmp_path / 'votes.csv')
    assert found[0, CHOICES.index('sad')] == 9
    assert found[1].sum() == 0


@pytest.mark.parametrize(('content', 'message'), [
    (None, 'no votes at'), ('', "lacks the column 'anger'"), (HEADER.replace(',fear', ''), "lacks the column 'fear'"),
    (HEADER + 'a.png,1,x,0,0,0,0,0,0,0,0\n', 'line 2: a vote is not a number'),
    (HEADER + 'a.png,1\n', 'line 2: a vote'), (HEADER + 'a.png,-1,0,0,0,0,0,0,0,0,0\n', 'line 2: a vote'),
    (HEADER + 'a.png,nan,0,0,0,0,0,0,0,0,0\n', 'line 2: a vote'),
    (HEADER + 'other.png,1,0,0,0,0,0,0,0,0,0\n', 'knows none of the 1 pictures')])
def test_a_table_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / 'votes.csv'
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=message):
        votes_of(['train/sad/a.png'], path)


def test_columns_in_any_order_and_case(tmp_path):
    path = tmp_path / 'votes.csv'
    names = 'NF,Contempt,Unknown,Neutral,Happiness,Surprise,Sadness,Anger,Disgust,Fear'
    path.write_text('Usage,' + names + '\nTraining,1,2,3,4,5,6,7,8,9,10\n')
    pictures, table = read_table(path)
    assert pictures == ['']
    assert dict(zip(CHOICES, table[0].tolist(), strict=True)) == {
        'no_face': 1, 'contempt': 2, 'unknown': 3, 'neutral': 4, 'happy': 5, 'surprised': 6, 'sad': 7, 'angry': 8,
        'disgusted': 9, 'scared': 10}
