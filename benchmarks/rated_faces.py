"""Faces of a data set with what most of ten raters call them."""

from pathlib import Path

import numpy as np

from fer_ros.msfernet import data
from fer_ros.msfernet.errors import DataError
from fer_ros.msfernet.votes import labelled, plurality


def load(folder: str | Path, votes: Path | None, split: str = 'validation') -> tuple[np.ndarray, np.ndarray]:
    """Faces (N, 48, 48) uint8 whose most frequent vote is one of the seven emotions, and these (N,).

    Raises:
        DataError: the data or the votes cannot be read, or there are no votes.
    """
    faces = data.load(folder, split, votes=votes, progress=True)
    if faces.votes is None:
        raise DataError(f'{folder} has no votes: give their table as --votes')
    labels = plurality(faces.votes)
    rated = labelled(labels)
    return faces.images[rated], labels[rated]
