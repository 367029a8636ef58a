"""What each part of MSFERNet and its training is worth: short trainings on equal budgets.

    python -m benchmarks.ablations --data DIR --out runs/ablations --epochs 12 --size 32 --processes 2 \\
        --docs docs/training.md

Every run has the same data, epochs, schedule, seed and one CPU thread; only what its row names differs. What is
measured are the averaged weights after the last epoch, on the validation split, one forward pass without mirror.
A run that has finished is not repeated, one that was interrupted goes on where it was.
"""

import argparse
import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from fer_ros.atomic_files import write_file
from fer_ros.msfernet import data
from fer_ros.msfernet.cli import Parser, run
from fer_ros.msfernet.conditions import CLEAN, CONDITIONS, apply
from fer_ros.msfernet.evaluate import predict
from fer_ros.msfernet.metrics import score, score_raters
from fer_ros.msfernet.model_card import fill
from fer_ros.msfernet.network import MSFERNet, count_macs, count_parameters
from fer_ros.msfernet.train import Recipe, Trainer
from fer_ros.msfernet.weights import Model, load_model
from fer_ros.msfernet.weights_file import INPUT_SIZE

FULL_SIZE_FROM = 0.75
"""Share of a run after which smaller training faces give way to full ones."""


@dataclass(frozen=True)
class Variant:
    """One row: what differs from the default recipe and network."""

    name: str
    title: str
    recipe: dict = field(default_factory=dict)
    network: dict = field(default_factory=dict)


VARIANTS = (
    Variant('supcon-0.1', 'cross-entropy and SupCon, temperature 0.1 (reference)', {'supcon_temperature': 0.1}),
    Variant('supcon-0.5', 'cross-entropy and SupCon, temperature 0.5', {'supcon_temperature': 0.5}),
    Variant('cross-entropy', 'cross-entropy alone', {'supcon_weight': 0.0}),
    Variant('raters-only', "reference, raters' votes alone", {'fer2013_weight': 0.0}),
    Variant('no-degradation', 'reference, without degraded faces', {'degrade': False}),
    Variant('no-cbam', 'reference without CBAM', network={'attention': False}),
    Variant('single-scale', 'reference, single-scale at equal parameters', network={'wide_dilation': 1}),
)


def train_variant(variant: Variant, options: argparse.Namespace) -> dict:
    """Train one variant, or go on with it, and measure it; the result is kept as ``result.json`` in its folder."""
    sizes = ((0.0, INPUT_SIZE),) if options.size == INPUT_SIZE else ((0.0, options.size), (FULL_SIZE_FROM, INPUT_SIZE))
    recipe = Recipe(epochs=options.epochs, batch_size=options.batch_size, sizes=sizes, seed=options.seed,
                    **variant.recipe)
    torch.manual_seed(recipe.seed)
    network = MSFERNet(**variant.network)
    settings = json.loads(json.dumps({'recipe': asdict(recipe), 'architecture': network.architecture,
                                      'limit': options.limit}))
    out = options.out / variant.name
    finished = out / 'result.json'
    if finished.is_file():
        result = json.loads(finished.read_text())
        if result['settings'] != settings:
            raise ValueError(f'{finished} is of other settings: choose another --out')
        return result
    torch.set_num_threads(1)
    train, validation = (data.load(options.data, split, votes=options.votes, progress=False)
                         for split in ('train', 'validation'))
    if options.limit:
        train = data.subset(train, options.limit)
    trainer = Trainer(network, train, validation, recipe, out)
    if trainer.checkpoint.exists():
        trainer.resume()
    trainer.run()
    measured = measure(load_model(out / 'last.safetensors'), validation)
    seconds = [json.loads(line)['seconds'] for line in (out / 'metrics.jsonl').read_text().splitlines()]
    result = {'name': variant.name, 'settings': settings, 'faces': len(train),
              'parameters': count_parameters(network), 'macs': count_macs(network),
              'seconds_per_epoch': float(np.mean(seconds)), **measured}
    write_file(finished, (json.dumps(result, indent=1) + '\n').encode())
    return result


def measure(model: Model, faces: data.FaceSet) -> dict:
    """Accuracies (0 to 1) against the raters on clean and degraded faces, and against the data set's own labels."""
    clean = predict(model, faces.images)
    found = {CLEAN: score_raters(clean.raters, faces.votes)}
    for name in tqdm([name for name in CONDITIONS if name != CLEAN], desc='conditions'):
        found[name] = score_raters(predict(model, apply(name, faces.images)).raters, faces.votes)
    worse = [figures['raters_accuracy_7'] for name, figures in found.items() if name != CLEAN]
    return {'raters_accuracy_7': found[CLEAN]['raters_accuracy_7'],
            'raters_accuracy_3': found[CLEAN]['raters_accuracy_3'],
            'raters_neutral_as_negative': found[CLEAN]['raters_neutral_as_negative'],
            'degraded_accuracy_7': float(np.mean(worse)),
            'fer2013_accuracy_7': score(clean.fer2013, faces.labels)['accuracy_7'], 'n': len(faces)}


def table(results: list[dict]) -> str:
    """Markdown: the common budget, and a row for each run."""
    titles = {variant.name: variant.title for variant in VARIANTS}
    first, recipe = results[0], results[0]['settings']['recipe']
    sizes = ', '.join(f'{size} pixels from {start:.0%}' for start, size in recipe['sizes'])
    budget = (f'{recipe["epochs"]} epochs of {first["faces"]:,} faces, batches of {recipe["batch_size"]}, '
              f'seed {recipe["seed"]}, training faces of {sizes} of the run; measured on {first["n"]:,} faces of '
              '`validation`.')
    rows = ['| run | raters, 7 | raters, 3 | neutral as negative | raters, 7, mean of the degraded | own labels, 7 | '
            'parameters | s per epoch |', '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |']
    for result in results:
        shares = [result[key] for key in ('raters_accuracy_7', 'raters_accuracy_3', 'raters_neutral_as_negative',
                                          'degraded_accuracy_7', 'fer2013_accuracy_7')]
        rows.append('| ' + ' | '.join([
            titles[result['name']], *('–' if share is None else f'{100 * share:.1f} %' for share in shares),
            f'{result["parameters"]:,}', f'{result["seconds_per_epoch"]:.0f}']) + ' |')
    return '\n'.join([budget, '', *rows])


def _ablations(options: argparse.Namespace) -> None:
    data.load(options.data, 'validation', votes=options.votes)  # a wrong folder is said at once, by one process
    options.out.mkdir(parents=True, exist_ok=True)
    # Bars of several processes would write over each other: the children inherit this, and here one bar is for all.
    os.environ['TQDM_DISABLE'] = '1'
    context = multiprocessing.get_context('spawn')
    with (ProcessPoolExecutor(options.processes, mp_context=context) as pool,
          tqdm(total=len(VARIANTS) * options.epochs, unit='epoch', disable=False) as bar):
        futures = {pool.submit(train_variant, variant, options): variant for variant in VARIANTS}
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=2)
            lines = [options.out / variant.name / 'metrics.jsonl' for variant in VARIANTS]
            bar.update(sum(len(p.read_text().splitlines()) for p in lines if p.is_file()) - bar.n)
            for future in done:
                # The other runs go on: what they find is kept.
                if future.exception():
                    bar.write(f'{futures[future].name}: {future.exception()}', file=sys.stderr)
    results = [future.result() for future in futures]
    write_file(options.out / 'ablations.json', (json.dumps(results, indent=1) + '\n').encode())
    text = table(results)
    if options.docs:
        write_file(options.docs, fill(options.docs.read_text(), 'ablations', text).encode())
    print(text)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = Parser(prog='ablations', description='Train and compare variants of MSFERNet on equal, short budgets.')
    parser.add_argument('--data', required=True, help='image folder or Kaggle CSV with train and validation')
    parser.add_argument('--votes', type=Path, required=True, help="table of raters' votes for its pictures")
    parser.add_argument('--out', type=Path, required=True, help='folder for the runs and ablations.json')
    parser.add_argument('--epochs', type=int, default=12, help='of each run; default: %(default)s')
    parser.add_argument('--limit', type=int, default=0, help='training faces, evenly taken; 0: all')
    parser.add_argument('--size', type=int, default=INPUT_SIZE,
                        help=f'side of the training faces in the first {100 * FULL_SIZE_FROM:.0f} %% of a run; '
                             'default: %(default)s')
    parser.add_argument('--batch-size', type=int, default=Recipe.batch_size, help='default: %(default)s')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    parser.add_argument('--processes', type=int, default=1,
                        help='runs at a time, one thread each; default: %(default)s')
    parser.add_argument('--docs', type=Path, help='Markdown file whose table of ablations to fill')
    options = parser.parse_args(arguments)
    return run('ablations', lambda: _ablations(options))


if __name__ == '__main__':
    sys.exit(main())
