"""What 8-bit convolutions gain and lose: time per face, and agreement with raters in every condition.

python -m benchmarks.precision --data DIR --votes FILE --docs docs/perception.md
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks import rated_faces
from benchmarks.machine import described, machine
from fer_ros.atomic_files import write_file
from fer_ros.emotions import decide
from fer_ros.msfernet import conditions
from fer_ros.msfernet.cli import run
from fer_ros.msfernet.model_card import fill
from fer_ros.perception.recognition import EmotionRecognizer

BATCHES = (1, 8)
REPEATS = 60


def times(recognizers: dict[str, EmotionRecognizer]) -> list[str]:
    """Rows of the table of times; the precisions take turns."""
    rows = []
    for batch in BATCHES:
        faces = np.random.default_rng(0).integers(0, 256, (batch, 48, 48), np.uint8)
        spent: dict[str, list[float]] = {name: [] for name in recognizers}
        for _ in range(REPEATS):
            for name, recognizer in recognizers.items():
                started = time.perf_counter()
                recognizer.probabilities(faces)
                spent[name].append(1000 * (time.perf_counter() - started) / batch)
        medians = [float(np.median(values)) for values in spent.values()]
        rows.append(f'| {batch} | ' + ' | '.join(f'{value:.2f} ms' for value in medians)
                    + f' | {medians[1] / medians[0]:.2f} |')
    return rows


def report(options: argparse.Namespace) -> str:
    """Both tables, Markdown."""
    images, labels = rated_faces.load(options.data, options.votes)
    recognizers = {name: EmotionRecognizer(options.model, 'cpu', precision=name) for name in ('float32', 'int8')}
    lines = [f'{len(images)} faces; {described(machine())}; one thread.', '',
             '| faces at once | float32, per face | int8, per face | ratio |', '| ---: | ---: | ---: | ---: |',
             *times(recognizers), '',
             '| condition | float32 | int8 | difference | same label |', '| --- | ---: | ---: | ---: | ---: |']
    for name in tqdm(conditions.CONDITIONS, unit='condition'):
        changed = conditions.apply(name, images)
        said = {precision: decide(np.concatenate([recognizer.probabilities(part)
                                                  for part in np.array_split(changed, 32)]))
                for precision, recognizer in recognizers.items()}
        shares = [100 * float((answer == labels).mean()) for answer in said.values()]
        same = 100 * float((said['float32'] == said['int8']).mean())
        lines.append(f'| {name} | {shares[0]:.1f} % | {shares[1]:.1f} % | {shares[1] - shares[0]:+.2f} '
                     f'| {same:.1f} % |')
    return '\n'.join(lines)


def _run(options: argparse.Namespace) -> None:
    text = report(options)
    print(text)
    if options.docs:
        write_file(options.docs, fill(options.docs.read_text(encoding='utf-8'), 'precision', text).encode())


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.precision', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', required=True, help='image folder or Kaggle CSV with validation faces')
    parser.add_argument('--votes', type=Path, help="table of raters' votes")
    parser.add_argument('--model', default='', help='weights file (default: the shipped one)')
    parser.add_argument('--docs', type=Path, help='fill the section precision of this document')
    options = parser.parse_args(arguments)
    return run('precision', lambda: _run(options))


if __name__ == '__main__':
    sys.exit(main())
