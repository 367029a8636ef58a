"""How well the quality of a face tells how far the network agrees with raters, and the fit of its polynomial.

    python -m benchmarks.quality --data DIR --votes FILE --docs docs/perception.md
    python -m benchmarks.quality --data DIR --votes FILE --fit

Validation faces are degraded in many ways. The polynomial is fitted, by least squares, to the agreement under each
condition on one half of the faces; the table is of the other half. A second table is of the detector's score, with
clean and covered faces.
"""

import argparse
import itertools
import sys
import time
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from tqdm import tqdm

from benchmarks import rated_faces
from fer_ros.atomic_files import write_file
from fer_ros.emotions import decide
from fer_ros.msfernet import conditions
from fer_ros.msfernet.cli import run
from fer_ros.msfernet.evaluate import predict
from fer_ros.msfernet.model_card import fill
from fer_ros.msfernet.weights import Model, load_model
from fer_ros.package_files import shared_file
from fer_ros.perception import quality
from fer_ros.perception.detection import create_detector
from fer_ros.tools.measure_framing import enlarge, find

LOWEST = 0.55
"""Agreement at which quality is 0: more than always saying neutral or happy gets, and of no use."""
COVERED = ('mask', 'dark glasses')
"""Conditions that are told from the detector's score."""
NOT_TOLD = (*COVERED, 'tilt of 30°')
"""Conditions that are not told from the picture."""
SCORES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 1.0)
"""Limits of the rows of the table of scores."""
MOST_OVEREXPOSED = 0.1
"""Mean share of overexposed pixels from which on a condition is not one of the polynomial."""
MOST = 1700
"""Faces."""


def cases() -> dict[str, tuple[conditions.Change, float]]:
    """By name: what is done to a face, and the side in pixels that it then has."""
    sides = {'face of 24 px': 24.0, 'face of 16 px': 16.0, '24 px and JPEG 30': 24.0}
    found = {name: (change, sides.get(name, 48.0)) for name, change in conditions.CONDITIONS.items()
             if name not in NOT_TOLD}
    found |= {f'face of {side} px': (conditions.small(side), float(side)) for side in (36, 30, 20, 12)}
    found |= {f'defocus, sigma {sigma:g} px': (conditions.defocus(sigma), 48.0) for sigma in (0.7, 1, 1.5, 2, 3)}
    found |= {f'light × {gain:g}': (conditions.light(gain), 48.0) for gain in (0.03, 0.05, 0.5, 1.5, 2, 3, 5)}
    return found


def _measure(options: argparse.Namespace) -> None:
    images, labels = rated_faces.load(options.data, options.votes)
    step = max(1, len(images) // options.faces)
    images, labels = images[::step], labels[::step]
    model = load_model(options.model or shared_file('models/msfernet.safetensors'))
    fitted = np.arange(len(images)) % 2 == 0
    generator = np.random.default_rng(1)
    rows, values, targets, seconds, clipped = [], [], [], [], {}
    for name, (change, side) in tqdm(cases().items(), unit='condition'):
        crops = np.array([change(face, generator) for face in images], np.uint8)
        right = decide(predict(model, crops).raters) == labels
        started = time.perf_counter()
        terms = quality.terms(quality.features(crops, [side] * len(crops)))
        seconds.append((time.perf_counter() - started) / len(crops))
        bright = quality.overexposed(crops)
        factors = np.interp(bright, *zip(*quality.OVEREXPOSED, strict=True))
        clipped[name] = bright.mean()
        if clipped[name] < MOST_OVEREXPOSED:
            values.append(terms[fitted])
            targets.append(right[fitted].mean())
        rows.append((name, terms[~fitted], factors[~fitted], right[~fitted].mean()))
    coefficients = np.array(quality.COEFFICIENTS)
    if options.fit:
        clean = targets[0]
        wanted = np.repeat((np.array(targets) - LOWEST) / (clean - LOWEST), fitted.sum())
        every = np.concatenate(values)
        print('features from', np.round(np.quantile(every[:, 1:5], 0.005, axis=0), 2), 'to',
              np.round(np.quantile(every[:, 1:5], 0.995, axis=0), 2))
        scale = every.std(0)
        scale[0] = 1.0
        scaled = every / scale
        penalty = 1e-3 * len(every) * np.eye(len(scale))
        coefficients = np.linalg.solve(scaled.T @ scaled + penalty, scaled.T @ wanted) / scale
        print('COEFFICIENTS = (' + ', '.join(f'{value:.4f}' for value in coefficients) + ')')
        print({name: round(float(share), 2) for name, share in clipped.items() if share >= MOST_OVEREXPOSED})
    told = sorted(((name, np.clip(terms @ coefficients, 0, 1) * factors, right)
                   for name, terms, factors, right in rows), key=lambda row: row[1].mean())
    rank = spearmanr([row[1].mean() for row in told], [row[2] for row in told]).statistic
    text = '\n'.join((
        f'{(~fitted).sum()} faces in each of {len(told)} conditions; rank correlation of quality and agreement '
        f'{rank:.2f}; {1e6 * np.median(seconds):.0f} µs per face.', '',
        '| condition | quality, mean ± sd | agreement with the raters |', '| --- | ---: | ---: |',
        *(f'| {name} | {value.mean():.2f} ± {value.std():.2f} | {100 * right:.1f} % |' for name, value, right in told)))
    scores = covered(images, labels, model)
    print(text, scores, sep='\n\n')
    if options.docs:
        filled = fill(options.docs.read_text(encoding='utf-8'), 'quality', text)
        write_file(options.docs, fill(filled, 'quality by score', scores).encode())


def covered(images: np.ndarray, labels: np.ndarray, model: Model) -> str:
    """The table of scores: faces enlarged for the detector, clean and covered."""
    detector = create_detector('short')
    scores, right = [], []
    for name in ('clean', *COVERED):
        changed = conditions.apply(name, images)
        right.append(decide(predict(model, changed).raters) == labels)
        found = [find(detector, enlarge(face)[0]) for face in tqdm(changed, desc=name, unit='face')]
        scores.append([detection.score if detection else np.nan for detection in found])
    detector.close()
    score, agrees = np.concatenate(scores), np.concatenate(right)
    lines = [f'{len(images)} faces, clean, with a mask and with dark glasses; found: '
             + ', '.join(f'{name} {np.isfinite(part).mean():.0%}' for name, part in
                         zip(('clean', *COVERED), scores, strict=True)) + '.', '',
             '| score | faces | agreement with the raters | factor |', '| --- | ---: | ---: | ---: |']
    for low, high in itertools.pairwise(SCORES):
        chosen = (score >= low) & (score < high)
        factor = np.interp(score[chosen], *zip(*quality.SCORED, strict=True)).mean()
        lines.append(f'| {low:g} to {high:g} | {chosen.sum()} | {100 * agrees[chosen].mean():.1f} % | {factor:.2f} |')
    return '\n'.join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.quality', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', required=True, help='image folder or Kaggle CSV with validation faces')
    parser.add_argument('--votes', type=Path, help="table of raters' votes")
    parser.add_argument('--model', type=Path, help='weights file (default: the shipped one)')
    parser.add_argument('--faces', type=int, default=MOST, help='use about this many (default: %(default)s)')
    parser.add_argument('--fit', action='store_true', help='fit the polynomial anew and print it')
    parser.add_argument('--docs', type=Path, help='fill the section quality of this document')
    options = parser.parse_args(arguments)
    return run('quality', lambda: _measure(options))


if __name__ == '__main__':
    sys.exit(main())
