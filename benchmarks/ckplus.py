"""CK+48 as the literature uses it, ten folds by picture, and beside it by person.

    python -m benchmarks.ckplus --data CK+48 --weights models/msfernet.safetensors --out runs/ckplus \\
        --docs docs/training.md

A sequence of CK+ is three pictures of the same person in the same second. Folds by picture put one of them into
training and the next into the test; folds by person do not, so the difference between the two is what the literature's
figures owe to faces that the network has seen. Contempt is left out: six emotions, 927 pictures, none of them neutral.

Each fold trains on the others from ``--weights``, or with ``--scratch`` from a random start, and is measured once, with
the weights of the last epoch. Folds that were finished are read from ``--out``.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from fer_ros.atomic_files import write_file
from fer_ros.msfernet import data
from fer_ros.msfernet.cli import Parser, run
from fer_ros.msfernet.evaluate import predict
from fer_ros.msfernet.metrics import score
from fer_ros.msfernet.model_card import fill
from fer_ros.msfernet.network import MSFERNet
from fer_ros.msfernet.train import Recipe, Trainer
from fer_ros.msfernet.weights import load_model

FOLDS = 10
PROTOCOLS = ('picture', 'person')


def folds(faces: data.FaceSet, protocol: str, *, seed: int = 0) -> np.ndarray:
    """(N,) fold of each face, 0 to 9.

    Args:
        faces: of CK+48.
        protocol: 'picture' deals the pictures of each emotion out at random, 'person' keeps a person's together.
        seed: of the dealing.
    """
    generator = np.random.default_rng(seed)
    fold = np.empty(len(faces), int)
    if protocol == 'person':
        subjects = np.array([data.subject_of(name) for name in faces.names])
        people = generator.permutation(np.unique(subjects))
        for number, person in enumerate(people):
            fold[subjects == person] = number % FOLDS
        return fold
    start = 0
    for label in np.unique(faces.labels):
        members = generator.permutation(np.flatnonzero(faces.labels == label))
        fold[members] = (start + np.arange(len(members))) % FOLDS
        start += len(members)
    return fold


def _fold(faces: data.FaceSet, fold: np.ndarray, number: int, options: argparse.Namespace, out: Path) -> np.ndarray:
    """(n, 7) probabilities of the fold's faces by a network trained on the other folds."""
    kept = out / f'fold{number}.json'
    if kept.is_file():
        return np.array(json.loads(kept.read_text()))
    train, test = (data.select(faces, np.flatnonzero(chosen)) for chosen in (fold != number, fold == number))
    recipe = Recipe(epochs=options.epochs, batch_size=64, learning_rate=0.05 if options.scratch else 0.02,
                    ema_decay=0.98, smoothing=0.1, seed=number)
    torch.manual_seed(number)
    network = MSFERNet() if options.scratch else load_model(options.weights).network.train()
    trainer = Trainer(network, train, test, recipe, out / f'fold{number}')
    if trainer.checkpoint.exists():
        trainer.resume()
    trainer.run()
    probabilities = predict(load_model(out / f'fold{number}' / 'last.safetensors'), test.images).raters
    write_file(kept, json.dumps(probabilities.tolist()).encode())
    for path in (out / f'fold{number}').glob('*.safetensors'):
        path.unlink()
    return probabilities


def table(results: dict) -> str:
    """Markdown: a row for each start, a column for each protocol."""
    rows = ['| start | epochs | by picture, 6 emotions | groups | by person, 6 emotions | groups |',
            '| --- | ---: | ---: | ---: | ---: | ---: |']
    for start, result in results.items():
        shares = [f'{100 * result[protocol][key]:.2f} %' if protocol in result else '–'
                  for protocol in PROTOCOLS for key in ('accuracy_7', 'accuracy_3')]
        rows.append(f'| {start} | {result["epochs"]} | ' + ' | '.join(shares) + ' |')
    return '\n'.join(rows)


def _ckplus(options: argparse.Namespace) -> None:
    faces = data.load(options.data, 'all')
    torch.set_num_threads(options.threads)
    start = 'random' if options.scratch else 'shipped weights'
    summary = options.out / 'ckplus.json'
    results = json.loads(summary.read_text()) if summary.is_file() else {}
    results[start] = {'epochs': options.epochs}
    for protocol in options.protocols:
        fold = folds(faces, protocol)
        probabilities = np.empty((len(faces), 7))
        for number in range(FOLDS):
            probabilities[fold == number] = _fold(faces, fold, number, options,
                                                  options.out / start.split()[0] / protocol)
        figures = score(probabilities, faces.labels)
        results[start][protocol] = {key: figures[key] for key in ('accuracy_7', 'accuracy_3', 'macro_f1_7', 'n_7')}
        write_file(summary, (json.dumps(results, indent=1) + '\n').encode())
    text = table(results)
    if options.docs:
        write_file(options.docs, fill(options.docs.read_text(), 'ckplus', text).encode())
    print(text)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = Parser(prog='ckplus', description='Train and test on CK+48 in ten folds, by picture and by person.')
    parser.add_argument('--data', required=True, help='folder of CK+48')
    parser.add_argument('--weights', type=Path, default=Path('models/msfernet.safetensors'),
                        help='to start from; default: %(default)s')
    parser.add_argument('--scratch', action='store_true', help='start from random weights instead')
    parser.add_argument('--epochs', type=int, default=15, help='of each fold; default: %(default)s')
    parser.add_argument('--protocols', nargs='+', choices=PROTOCOLS, default=PROTOCOLS)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--out', type=Path, required=True, help='folder for what each fold found')
    parser.add_argument('--docs', type=Path, help='Markdown file whose table of CK+48 to fill')
    options = parser.parse_args(arguments)
    return run('ckplus', lambda: _ckplus(options))


if __name__ == '__main__':
    sys.exit(main())
