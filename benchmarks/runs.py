"""A table of training runs, read from their output folders.

    python -m benchmarks.runs runs/first runs/second --docs docs/training.md

Accuracies are those that training wrote down: the averaged weights on the validation split, one forward pass.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from fer_ros.atomic_files import write_file
from fer_ros.msfernet.cli import Parser, run
from fer_ros.msfernet.model_card import fill, setting
from fer_ros.msfernet.network import MSFERNet
from fer_ros.msfernet.train import Recipe
from fer_ros.msfernet.weights import load_model


def row(folder: Path) -> list[str]:
    """Cells of one run.

    Raises:
        WeightsError, OSError, ValueError: the folder is not that of a training run.
    """
    model = load_model(folder / 'last.safetensors')
    metrics = [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]
    if not metrics:
        raise ValueError(f'{folder}/metrics.jsonl is empty: train for at least one epoch')
    usual = json.loads(json.dumps({**asdict(Recipe()), **MSFERNet().architecture}))
    here = {**model.training['recipe'], **model.network.architecture}
    differing = ', '.join(f'`{key}` {setting(value)}' for key, value in here.items()
                          if key != 'epochs' and value != usual.get(key))
    best = max(metrics, key=lambda line: line['validation_accuracy'])
    return [folder.name, differing or 'none', f'{metrics[-1]["epoch"]} of {here["epochs"]}',
            f'{100 * best["validation_accuracy"]:.2f} % (epoch {best["epoch"]})',
            f'{100 * metrics[-1]["validation_accuracy"]:.2f} %', f'{sum(m["seconds"] for m in metrics) / 3600:.1f} h']


def table(folders: list[Path]) -> str:
    """Markdown, a row for each run."""
    head = ['run', 'settings that are not the default', 'epochs', 'best, 7 emotions', 'last', 'time']
    return '\n'.join('| ' + ' | '.join(cells) + ' |'
                     for cells in [head, ['---'] * len(head), *map(row, folders)])


def _runs(options: argparse.Namespace) -> None:
    text = table(options.runs)
    if options.docs:
        write_file(options.docs, fill(options.docs.read_text(), 'runs', text).encode())
    print(text)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = Parser(prog='runs', description='Compare training runs by what they wrote down.')
    parser.add_argument('runs', type=Path, nargs='+', help='output folders of fer_ros.msfernet.train')
    parser.add_argument('--docs', type=Path, help='Markdown file whose table of runs to fill')
    options = parser.parse_args(arguments)
    return run('runs', lambda: _runs(options))


if __name__ == '__main__':
    sys.exit(main())
