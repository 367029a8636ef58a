"""Where light, blur and size make faces unusable: what the thresholds of image problems rest on.

    python -m benchmarks.image_problems --data DIR --votes FILE

Faces of a data set under simulated gain, blur and size: accuracy of the network on them, share that the detector finds
in enlarged pictures, and how many of them are called dark, overexposed, blurred or too small. Gains below 1 come with
noise, as in a camera that raises its own. Prints the table of docs/perception.md.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from benchmarks import rated_faces
from fer_ros.emotions import decide
from fer_ros.msfernet.conditions import Change, defocus, motion
from fer_ros.msfernet.errors import DataError
from fer_ros.perception import PipelineError
from fer_ros.perception import image_problems as problems
from fer_ros.perception.detection import FaceDetector, create_detector
from fer_ros.perception.recognition import EmotionRecognizer
from fer_ros.tools.measure_framing import enlarge, find

NOISE = 2.0
"""Standard deviation in grey levels."""
FOUND = 4
"""The detector looks at one face in so many."""


def gain(factor: float) -> Change:
    def change(face: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        noise = generator.normal(0, NOISE, face.shape) if factor < 1 else 0.0
        return np.clip(np.round(face.astype(float) * factor + noise), 0, 255).astype(np.uint8)
    return change


def size(side: int) -> Change:
    """As a face whose training frame has so many pixels; the picture of it stays small."""
    return lambda face, _: cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)


CHANGES: dict[str, Change] = {
    'as it is': lambda face, _: face,
    **{f'light × {factor:g}': gain(factor) for factor in (0.25, 0.15, 0.1, 0.07, 0.05)},
    **{f'light × {factor:g}': gain(factor) for factor in (1.5, 2, 2.5, 3)},
    **{f'blur, sd {deviation:g} px': defocus(deviation) for deviation in (0.75, 1, 1.25, 1.5, 2)},
    **{f'motion of {length} px': motion(length) for length in (3, 5, 7, 9)},
    **{f'box of {round(side * problems.SIDE / 48)} px': size(side) for side in (28, 24, 22, 20, 16, 12)},
}


def measure(name: str, images: np.ndarray, labels: np.ndarray, recognizer: EmotionRecognizer,
            detector: FaceDetector) -> str:
    """A row of the table."""
    generator = np.random.default_rng(0)
    changed = [CHANGES[name](face, generator) for face in images]
    full = np.array([cv2.resize(face, images.shape[:0:-1], interpolation=cv2.INTER_LINEAR) for face in changed])
    probabilities = np.concatenate([recognizer.probabilities(full[i:i + 64]) for i in range(0, len(full), 64)])
    accuracy = (decide(probabilities) == labels).mean()
    found = [find(detector, enlarge(face)[0]) is not None for face in full[::FOUND]]
    looks = [_look(face) for face in changed]
    called = {
        'dark': [seen.bright < problems.DARK for seen in looks],
        'overexposed': [seen.clipped > problems.OVEREXPOSED for seen in looks],
        'blurred': [seen.sharpness < problems.BLURRED for seen in looks],
        'small': [seen.size < problems.SMALL for seen in looks]}
    shares = ' | '.join(f'{np.mean(flags):.0%}'.replace('%', ' %') for flags in called.values())
    values = (f'{np.median([seen.bright for seen in looks]):.0f} | {np.median([seen.clipped for seen in looks]):.2f} | '
              f'{np.median([seen.sharpness for seen in looks]):.2f}')
    return f'| {name} | {accuracy:.3f} | {np.mean(found):.2f} | {values} | {shares} |'


def _look(face: np.ndarray) -> problems.Look:
    side = len(face)
    box = side * problems.SIDE / 48
    corner = (side - box) / 2
    return problems.look(cv2.cvtColor(face, cv2.COLOR_GRAY2BGR), (corner, corner, box, box))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.image_problems', description=__doc__.split('\n\n')[0])
    parser.add_argument('--data', required=True, type=Path, help='data set, as for fer_ros.msfernet.train')
    parser.add_argument('--votes', required=True, type=Path, help="table of raters' votes for its images")
    parser.add_argument('--split', default='validation')
    options = parser.parse_args(arguments)
    try:
        images, labels = rated_faces.load(options.data, options.votes, options.split)
        recognizer, detector = EmotionRecognizer('', 'cpu'), create_detector('short')
    except (DataError, PipelineError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(f'{len(images)} faces\n\n| | accuracy | found | brightness | overexposed | sharpness | called dark | '
          'overexposed | blurred | small |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |')
    for name in tqdm(CHANGES, file=sys.stderr):
        print(measure(name, images, labels, recognizer, detector), flush=True)
    detector.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
