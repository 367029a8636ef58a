"""Measure the relation between bounding boxes and training frames, and the accuracy on faces cropped with it.

The detector is run on images of the data set, enlarged four times with a reflected border so that a face that fills its
image is found. The program prints the constants of `fer_ros.perception.cropping` and, with --model, the accuracy of the
network on the original images and on faces that were cropped again around their detections.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from fer_ros.emotions import decide
from fer_ros.msfernet import data
from fer_ros.msfernet.errors import DataError
from fer_ros.msfernet.votes import labelled, plurality
from fer_ros.msfernet.weights_file import INPUT_SIZE
from fer_ros.perception import PipelineError
from fer_ros.perception.cropping import FRAMING, BoxFraming, KeypointFraming, crop_faces, eyes_and_mouth
from fer_ros.perception.detection import DETECTORS, Detection, FaceDetector, create_detector
from fer_ros.perception.recognition import EmotionRecognizer
from fer_ros.tools.terminal import ends_on_ctrl_c

ENLARGED = 4
BORDER = 0.5
"""Width of the border on each side, as a fraction of the image side."""
BATCH = 64


def enlarge(picture: np.ndarray) -> tuple[np.ndarray, int, int]:
    """A greyscale (48, 48) image as a BGR image for detection; with it corner (x = y) and side of the frame, pixels."""
    side = ENLARGED * INPUT_SIZE
    margin = round(BORDER * side)
    large = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
    large = cv2.copyMakeBorder(large, margin, margin, margin, margin, cv2.BORDER_REFLECT)
    return cv2.cvtColor(large, cv2.COLOR_GRAY2BGR), margin, side


def find(detector: FaceDetector, image: np.ndarray) -> Detection | None:
    """The largest face that covers the centre of the image: reflections are beside it."""
    x, y = image.shape[1] / 2, image.shape[0] / 2
    faces = [d for d in detector.detect(image)
             if d.box[0] < x < d.box[0] + d.box[2] and d.box[1] < y < d.box[1] + d.box[3]]
    return max(faces, key=lambda d: d.box[2] * d.box[3], default=None)


def relate(detection: Detection, corner: float, side: float) -> np.ndarray:
    """Relate the training frame to a detection.

    Returns:
        (9,): side of the frame in box sides, its centre above and right of that of the box in frame sides, eyes, mouth.
    """
    x, y, width, height = detection.box
    centre = corner + side / 2
    points = (eyes_and_mouth(detection.keypoints) - corner) / side
    return np.array([side / np.sqrt(width * height), (y + height / 2 - centre) / side,
                     (centre - x - width / 2) / side, *points.ravel()])


def accuracy(recognizer: EmotionRecognizer, crops: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Accuracy on (N, 48, 48) faces, and mean negative log-likelihood in nats."""
    probabilities = np.concatenate([recognizer.probabilities(crops[i:i + BATCH]) for i in range(0, len(crops), BATCH)])
    of_label = probabilities[np.arange(len(labels)), labels]
    return float((decide(probabilities) == labels).mean()), float(-np.log(np.maximum(of_label, 1e-9)).mean())


@ends_on_ctrl_c('measure_framing')
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog='python -m fer_ros.tools.measure_framing', description=__doc__)
    parser.add_argument('--data', required=True, type=Path, help='data set, as for fer_ros.msfernet.train')
    parser.add_argument('--votes', type=Path, help="table of raters' votes for its images: accuracy is against their "
                                                   'plurality')
    parser.add_argument('--split', default='validation')
    parser.add_argument('--count', type=int, default=500, help='images, evenly spaced over the split (default 500)')
    parser.add_argument('--detector', choices=DETECTORS, default=DETECTORS[0])
    parser.add_argument('--detector-model', default='', help='model file of the detector, if required')
    parser.add_argument('--model', help='weights file: compare the accuracy on original and re-detected faces')
    options = parser.parse_args(arguments)
    try:
        faces = data.subset(data.load(options.data, options.split, votes=options.votes), options.count)
        detector = create_detector(options.detector, model=options.detector_model)
        recognizer = EmotionRecognizer(options.model, 'cpu') if options.model else None
    except (DataError, PipelineError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1

    found, rows = [], []
    for index, picture in enumerate(tqdm(faces.images, desc='detecting', unit='face')):
        image, corner, side = enlarge(picture)
        detection = find(detector, image)
        if detection is not None:
            found.append((index, detection))
            rows.append(relate(detection, corner, side))
    detector.close()
    print(f'{len(found)} of {len(faces)} faces found')
    if not found:
        print('error: no face found: nothing to measure', file=sys.stderr)
        return 1
    middle, low, high = (np.percentile(np.array(rows), q, axis=0).round(3) for q in (50, 25, 75))
    for name, values in zip(('side', 'up', 'right'), zip(middle, low, high, strict=False), strict=False):
        print('{:5} median {:.3f}, interquartile range {:.3f} to {:.3f}'.format(name, *values))
    eyes_mouth = [tuple(point) for point in middle[3:].reshape(3, 2).tolist()]
    box = BoxFraming(float(middle[0]), float(middle[1]))
    keypoints = KeypointFraming(*eyes_mouth)
    print(box, keypoints, sep='\n')
    if recognizer:
        _compare(recognizer, faces, found, box, keypoints, FRAMING[options.detector])
    return 0


def _compare(recognizer: EmotionRecognizer, faces: data.FaceSet, found: list[tuple[int, Detection]], box: BoxFraming,
             keypoints: KeypointFraming, shipped: BoxFraming | KeypointFraming) -> None:
    labels = faces.labels if faces.votes is None else plurality(faces.votes)
    counted = labelled(labels)
    found = [(index, detection) for index, detection in found if counted[index]]
    indices = [index for index, _ in found]
    ways = {'framed by the box, not rotated': lambda d: box.square(Detection(d.box, d.score, np.zeros((0, 2)))),
            'framed by the box, rotated': box.square, 'framed by eyes and mouth': keypoints.square,
            'by the constants in cropping': shipped.square}
    crops: dict[str, list[np.ndarray]] = {name: [] for name in ways}
    for index, detection in tqdm(found, desc='cropping', unit='face'):
        image, _, _ = enlarge(faces.images[index])
        for name, square in ways.items():
            crops[name].append(crop_faces(image, [square(detection)])[0])
    labels = labels[indices]
    print(f'{len(found)} labelled faces')
    for name, pictures in {'original images': faces.images[indices], **crops}.items():
        right, loss = accuracy(recognizer, np.array(pictures), labels)
        print(f'{name:30} accuracy {right:.3f}, loss {loss:.3f}')


if __name__ == '__main__':
    sys.exit(main())
