"""Whether ids are switched when two people cross: every combination of detector, size, distance, order and pace.

    python -m benchmarks.crossings

Two portraits cross the picture in 200 frames, one a part of the picture's height above the other. An id is switched
when it is first that of one and later that of the other person; it may end, when a face is hidden for long, and another
follow.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence

import numpy as np
from tqdm import tqdm

from fer_ros.media.built_in_clip import Placement, Stage
from fer_ros.msfernet.cli import run
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings

DETECTORS = ('short', 'full', 'search')
SIZES = (130.0, 65.0, 35.0)
"""Widths of the faces in pixels, of 640."""
GAPS = (0.0, 0.1, 0.3)
ORDERS = (('astronaut', 'hopper'), ('hopper', 'astronaut'))
EVERY = (1, 3)
"""Values of detect_every."""
FRAMES, RATE = 200, 30.0
APART = 0.5
"""Distance of the faces in face widths from which on it is certain to whom a box belongs."""


def crossing(size: float, gap: float, order: tuple[str, ...]) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Frames, uint8 (480, 640, 3) BGR, and the box of each face: (x, y, width, height) in pixels."""
    stage = Stage(640, 480)
    for i in range(FRAMES):
        done = i / (FRAMES - 1)
        places = {'astronaut': Placement('astronaut', 0.15 + 0.7 * done, 0.5 - gap / 2, 0.92 * size),
                  'hopper': Placement('hopper', 0.85 - 0.7 * done, 0.5 + gap / 2, size)}
        yield (stage.draw([places[name] for name in order]),
               {name: np.array(stage.face_box(place)) for name, place in places.items()})


def nearest(box: Sequence[float], boxes: dict[str, np.ndarray]) -> str:
    """Whose box of a frame of `crossing` is closest to `box`."""
    return min(boxes, key=lambda name: np.abs(boxes[name] - box)[:2].sum())


def switched(settings: PipelineSettings, size: float, gap: float, order: tuple[str, ...]) -> tuple[int, int]:
    """Numbers of ids that were switched, and of ids in all."""
    owners: dict[str, set[str]] = {}
    with FacePipeline(settings) as pipeline:
        for i, (image, boxes) in enumerate(crossing(size, gap, order)):
            faces = pipeline.process(image, i / RATE).faces
            if np.abs(boxes['astronaut'] - boxes['hopper'])[:2].max() < APART * size:
                continue
            for face in faces:
                owners.setdefault(face.face_id, set()).add(nearest(face.box, boxes))
    return sum(len(owner) > 1 for owner in owners.values()), len(owners)


def report() -> str:
    """The table, Markdown."""
    lines = ['| detector | width of the faces | combinations | switched ids | ids per person |',
             '| --- | ---: | ---: | ---: | ---: |']
    cases = list(itertools.product(GAPS, ORDERS, EVERY))
    with tqdm(total=len(DETECTORS) * len(SIZES) * len(cases), unit='crossing') as progress:
        for detector, size in itertools.product(DETECTORS, SIZES):
            counts = []
            for gap, order, every in cases:
                settings = PipelineSettings(detector=detector, detect_every=every, deterministic_ids=True)
                counts.append(switched(settings, size, gap, order))
                progress.update()
            wrong, ids = np.sum(counts, 0)
            lines.append(f'| {detector} | {size / 6.4:.0f} % | {len(cases)} | {wrong} | {ids / len(cases) / 2:.1f} |')
    return '\n'.join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    argparse.ArgumentParser(prog='python -m benchmarks.crossings', description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter).parse_args(arguments)
    return run('crossings', lambda: print(report()))


if __name__ == '__main__':
    sys.exit(main())
