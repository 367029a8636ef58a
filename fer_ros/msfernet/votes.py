"""What ten raters saw in each picture: the votes of FER+ (Barsoum et al., ICMI 2016).

Votes train as probabilities, not as a majority. A picture in which some raters saw contempt, nothing they could name or
no face counts the less in training the more of them there are, and one without a vote for any of the seven emotions not
at all.
"""

import csv
from pathlib import Path

import numpy as np

from fer_ros.emotions import EMOTIONS
from fer_ros.msfernet.errors import DataError

OTHER = ('contempt', 'unknown', 'no_face')
CHOICES = (*EMOTIONS, *OTHER)
"""What raters could choose, in the order in which votes are held here."""
_COLUMNS = {'angry': ('anger',), 'disgusted': ('disgust',), 'scared': ('fear',), 'happy': ('happiness',),
            'sad': ('sadness',), 'surprised': ('surprise',), 'neutral': ('neutral',), 'contempt': ('contempt',),
            'unknown': ('unknown',), 'no_face': ('no_face', 'nf')}
"""Names of the column of each choice, in lower case."""
_FERPLUS_ORDER = np.array([CHOICES.index(choice) for choice in (
    'neutral', 'happy', 'surprised', 'sad', 'angry', 'disgusted', 'scared', *OTHER)])


def read_table(path: Path) -> tuple[list[str], np.ndarray]:
    """The rows of a table of votes.

    Returns:
        The first column of the rows that name a picture there (empty text otherwise), and (rows, 10) float32 votes in
        the order of `CHOICES`.

    Raises:
        DataError: the file cannot be read, a column is missing, or a vote is not a number of at least 0.
    """
    if not path.is_file():
        raise DataError(f'no votes at {path}: name a CSV with the columns picture, neutral, happiness, …, no_face')
    with path.open(newline='', encoding='utf-8-sig', errors='replace') as file:
        reader = csv.DictReader(file)
        there = {name.strip().lower(): name for name in reader.fieldnames or ()}
        columns = []
        for choice in CHOICES:
            name = next((there[known] for known in _COLUMNS[choice] if known in there), None)
            if name is None:
                raise DataError(f'{path} lacks the column {_COLUMNS[choice][0]!r}: expected the votes of FER+, '
                                f'one column each for {", ".join(names[0] for names in _COLUMNS.values())}')
            columns.append(name)
        names, votes = [], []
        for row in reader:
            try:
                counts = [float(row[column]) for column in columns]
            except (TypeError, ValueError):
                counts = [np.nan]
            if not np.isfinite(counts).all() or min(counts) < 0:
                raise DataError(f'{path}, line {reader.line_num}: a vote is not a number of at least 0; '
                                'restore the file')
            names.append((row.get(there.get('picture', ''), '') or '').strip())
            votes.append(counts)
    return names, np.array(votes, np.float32).reshape(-1, len(CHOICES))


def votes_of(names: list[str], path: Path) -> np.ndarray:
    """Votes of the pictures `names`, by the table at `path`.

    Args:
        names: paths of pictures below the data set's root.
        path: table with a column ``picture``; paths below the root or any folder above it.

    Returns:
        (N, 10) float32 in the order of `CHOICES`; a row of zeros for a picture that is not in the table.

    Raises:
        DataError: the table cannot be used, or knows none of the pictures.
    """
    pictures, table = read_table(path)
    row_of = {picture: row for row, picture in enumerate(pictures) if picture}
    votes = np.zeros((len(names), len(CHOICES)), np.float32)
    found = 0
    for index, name in enumerate(names):
        parts = Path(name).parts
        row = next((row_of[key] for start in range(len(parts))
                    if (key := '/'.join(parts[start:])) in row_of), None)
        if row is not None:
            votes[index] = table[row]
            found += 1
    if names and not found:
        raise DataError(f'{path} knows none of the {len(names)} pictures, for example {names[0]}: its column picture '
                        'must hold paths below the root of the data set')
    return votes


def raters_probabilities(votes: np.ndarray) -> np.ndarray:
    """(N, 7) float32 shares of the votes for the seven emotions, rows summing to 1; uniform where there are none."""
    seven = votes[:, :len(EMOTIONS)]
    total = seven.sum(1, keepdims=True)
    return np.where(total > 0, seven / np.where(total > 0, total, 1), 1 / len(EMOTIONS)).astype(np.float32)


def raters_weight(votes: np.ndarray) -> np.ndarray:
    """(N,) float32 share of each picture's votes that are for one of the seven emotions; 0 where there are no votes."""
    total = votes.sum(1)
    return (votes[:, :len(EMOTIONS)].sum(1) / np.where(total > 0, total, 1)).astype(np.float32)


def plurality(votes: np.ndarray) -> np.ndarray:
    """(N,) int64 index of the most frequent of `CHOICES`, −1 where there are no votes.

    Of equals (one picture in twenty) the first in the order of FER+'s own columns.
    """
    return np.where(votes.sum(1) > 0, _FERPLUS_ORDER[votes[:, _FERPLUS_ORDER].argmax(1)], -1)


def labelled(labels: np.ndarray) -> np.ndarray:
    """(N,) bool: which of these labels or pluralities are one of the seven emotions."""
    return (labels >= 0) & (labels < len(EMOTIONS))
