"""Whether features that are at hand anyway tell who it is that comes back.

    python -m benchmarks.reidentification --data CK+48

Pairs of CK+48 faces that show different emotions: of the same person, and of two persons. For each feature the share of
the former that are recognised where at most 1 in 100, or 1 in 1000, of the latter are taken for the same person.
"""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from fer_ros.msfernet import data
from fer_ros.msfernet.cli import Parser, run
from fer_ros.msfernet.preprocessing import network_input
from fer_ros.msfernet.weights import load_model
from fer_ros.package_files import shared_file
from fer_ros.perception.cropping import eyes_and_mouth
from fer_ros.perception.detection import create_detector
from fer_ros.perception.recognition import SHIPPED_MODEL
from fer_ros.tools.measure_framing import enlarge, find

FALSE_MATCHES = (0.01, 0.001)
FINE = 16
"""Pixels to which a face is reduced, so that its pixels are compared and not its expression's details."""

Feature = Callable[[np.ndarray], np.ndarray]
"""Faces (N, 48, 48) uint8 to vectors (N, D) float; NaN where there is none."""


def embedding(faces: np.ndarray) -> np.ndarray:
    """What the network says of a face before its classifiers."""
    network = load_model(shared_file(SHIPPED_MODEL)).network
    with torch.inference_mode():
        return np.concatenate([network(network_input(part)).embedding.numpy() for part in np.array_split(faces, 16)])


def pixels(faces: np.ndarray) -> np.ndarray:
    """The face itself, reduced."""
    return np.stack([cv2.resize(face, (FINE, FINE), interpolation=cv2.INTER_AREA).ravel().astype(float)
                     for face in faces])


def keypoints(faces: np.ndarray) -> np.ndarray:
    """Eyes, nose, mouth and ears of the detector, relative to the eyes; and the face's proportions."""
    detector = create_detector('full')
    rows = []
    for face in faces:
        found = find(detector, enlarge(face)[0])
        points = found.keypoints.astype(float) if found else np.full((6, 2), np.nan)
        right_eye, left_eye, _ = eyes_and_mouth(points)
        across = complex(*(left_eye - right_eye))
        middle = (right_eye + left_eye) / 2
        rows.append(np.array([(complex(*(point - middle)) / across) for point in points]).view(float).ravel())
    detector.close()
    return np.stack(rows)


FEATURES: dict[str, Feature] = {'network\'s embedding': embedding, f'face of {FINE}×{FINE} pixels': pixels,
                                'keypoints of the detector': keypoints}


def similarities(vectors: np.ndarray) -> np.ndarray:
    """(N, N): correlation of standardised vectors."""
    vectors = (vectors - np.nanmean(vectors, 0)) / np.maximum(np.nanstd(vectors, 0), 1e-9)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors @ vectors.T


def recognised(similar: np.ndarray, same: np.ndarray, other: np.ndarray) -> list[float]:
    """Share of the pairs `same` above the threshold that each of `FALSE_MATCHES` of the pairs `other` exceeds."""
    others = similar[other]
    others = others[np.isfinite(others)]
    return [float((np.nan_to_num(similar[same], nan=-np.inf) > np.quantile(others, 1 - rate)).mean())
            for rate in FALSE_MATCHES]


def report(folder: Path) -> str:
    """The table, Markdown."""
    faces, persons, emotions = load(folder)
    rows, columns = np.triu_indices(len(faces), 1)
    different = emotions[rows] != emotions[columns]
    same = persons[rows] == persons[columns]
    lines = [f'{len(faces)} faces of {len(set(persons))} persons; {int((different & same).sum())} pairs of the same '
             f'person, {int((different & ~same).sum())} of two.', '',
             '| feature | ' + ' | '.join(f'recognised at {rate:.1%} false matches' for rate in FALSE_MATCHES) + ' |',
             '| --- | ---: | ---: |']
    for name, feature in FEATURES.items():
        similar = similarities(feature(faces))[rows, columns]
        shares = recognised(similar, different & same, different & ~same)
        lines.append(f'| {name} | ' + ' | '.join(f'{share:.0%}' for share in shares) + ' |')
    return '\n'.join(lines)


def load(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Faces (N, 48, 48) uint8, and of each the person and the emotion.

    Raises:
        DataError: the folder has no faces named as CK+48 names them.
    """
    paths = sorted(path for path in folder.glob('*/*') if re.match(r'S\d+_\d+_\d+', path.name))
    if not paths:
        raise data.DataError(f'no pictures such as anger/S010_004_00000017.png in {folder}: give the folder of CK+48')
    faces = [cv2.resize(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), (48, 48)) for path in paths]
    return np.stack(faces), np.array([path.name[:4] for path in paths]), np.array([path.parent.name for path in paths])


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = Parser(prog='reidentification', description='Whether features tell who comes back.')
    parser.add_argument('--data', type=Path, required=True, help='folder of CK+48')
    options = parser.parse_args(arguments)
    return run('reidentification', lambda: _print(options))


def _print(options: argparse.Namespace) -> None:
    print(report(options.data))


if __name__ == '__main__':
    sys.exit(main())
