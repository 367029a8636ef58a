"""Measure a weights file on labelled faces.

    python -m fer_ros.msfernet.evaluate --model models/msfernet.safetensors --data DIR --split validation \\
        --json out.json --plots DIR

Every figure is of one forward pass of one network per face, with the calibrated probabilities that the node
publishes. ``--flip`` adds, in an object of its own, the figures of the mean over a face and its mirror image.
"""

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import softmax
from tqdm import tqdm

from fer_ros.atomic_files import write_file
from fer_ros.emotions import EMOTIONS, GROUP_OF, GROUPS, group_scores
from fer_ros.msfernet import data, evaluation_figures
from fer_ros.msfernet.cli import Parser, device_named, run
from fer_ros.msfernet.network import INPUT_SIZE, MSFERNet, count_macs, count_parameters
from fer_ros.msfernet.preprocessing import network_input
from fer_ros.msfernet.weights import Model, load_model

ECE_BINS = 15
_BATCH = 64
_GROUP_INDEX = np.array([GROUPS.index(GROUP_OF[e]) if e in GROUP_OF else -1 for e in EMOTIONS])


class Reliability(NamedTuple):
    """How often the network is right, by how sure it is: arrays of one value per bin, equally wide over [0, 1]."""

    confidence: np.ndarray
    """Mean probability of the winning class; NaN in an empty bin."""
    accuracy: np.ndarray
    """Share of faces whose winning class is their label; NaN in an empty bin."""
    count: np.ndarray
    """Number of faces, int."""

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of accuracy and confidence over faces (Guo et al., ICML 2017)."""
        filled = self.count > 0
        distance = np.abs(self.accuracy - self.confidence)[filled]
        return float((distance * self.count[filled]).sum() / self.count.sum())


def predict_logits(model: Model, images: np.ndarray, *, device: str | torch.device = 'cpu', mirrored: bool = False,
                   progress: bool = False) -> np.ndarray:
    """Logits of grey faces, before the temperature.

    Args:
        model: its network is moved to `device`.
        images: (N, 48, 48) uint8.
        mirrored: of the faces' mirror images instead.
        progress: show a bar.

    Returns:
        (N, 7) float32.
    """
    network = model.network.to(device, memory_format=torch.channels_last)
    logits = np.empty((len(images), len(EMOTIONS)), np.float32)
    with torch.inference_mode(), tqdm(total=len(images), desc='mirrored' if mirrored else 'evaluating',
                                      unit='face', disable=not progress) as bar:
        for start in range(0, len(images), _BATCH):
            faces = images[start:start + _BATCH]
            faces = np.ascontiguousarray(faces[:, :, ::-1]) if mirrored else faces
            inputs = network_input(faces, mean=model.mean, std=model.std)
            output = network(inputs.to(device, memory_format=torch.channels_last))
            logits[start:start + _BATCH] = output.logits.float().cpu().numpy()
            bar.update(len(faces))
    return logits


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(classes, classes) int64 number of samples: rows are labels, columns what was predicted."""
    return np.bincount(classes * labels + predicted, minlength=classes * classes).reshape(classes, classes)


def macro_f1(confusion: np.ndarray) -> float:
    """Mean F1 over the classes that are a label or a prediction of any sample."""
    total = confusion.sum(0) + confusion.sum(1)
    occurs = total > 0
    return float((2 * confusion.diagonal()[occurs] / total[occurs]).mean())


def reliability(probabilities: np.ndarray, labels: np.ndarray, *, bins: int = ECE_BINS) -> Reliability:
    """Bin faces by the probability of their winning class.

    Args:
        probabilities: (N, C), rows summing to 1.
        labels: (N,) integer classes.
        bins: number of equally wide bins over [0, 1]; a bin holds its upper edge.
    """
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == labels
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid='ignore'):
        return Reliability(np.bincount(index, confidence, bins) / count,
                           np.bincount(index, correct, bins) / count, count)


def score(probabilities: np.ndarray, labels: np.ndarray) -> dict:
    """Figures of 7 emotions and 3 groups.

    The group of a face is the argmax of the group sums with surprise left out; it is scored on faces whose label is
    not surprise, whatever the network says of them.

    Args:
        probabilities: (N, 7) in the order of `EMOTIONS`, rows summing to 1; N at least 1.
        labels: (N,) integer classes.

    Returns:
        accuracy_7, macro_f1_7, ece_7, n_7, confusion_7 and recall_7 (by emotion); accuracy_3, macro_f1_3, n_3,
        confusion_3 (in the order of `GROUPS`); neutral_as_negative, the share of neutral faces read as negative.
        Shares are 0 to 1, and None where there is no face to take them of. Rows of a confusion matrix are labels.
    """
    confusion_7 = confusion_matrix(labels, probabilities.argmax(1), len(EMOTIONS))
    counted = _GROUP_INDEX[labels] >= 0
    confusion_3 = confusion_matrix(_GROUP_INDEX[labels[counted]], group_scores(probabilities[counted]).argmax(1),
                                   len(GROUPS))
    n_3 = int(counted.sum())
    neutral = confusion_3[GROUPS.index('neutral')]
    return {
        'accuracy_7': float(confusion_7.trace() / len(labels)),
        'accuracy_3': _share(confusion_3.trace(), n_3),
        'macro_f1_7': macro_f1(confusion_7),
        'macro_f1_3': macro_f1(confusion_3) if n_3 else None,
        'ece_7': reliability(probabilities, labels).error,
        'neutral_as_negative': _share(neutral[GROUPS.index('negative')], neutral.sum()),
        'n_7': len(labels),
        'n_3': n_3,
        'recall_7': {emotion: _share(row[i], row.sum())
                     for i, (emotion, row) in enumerate(zip(EMOTIONS, confusion_7, strict=True))},
        'confusion_7': confusion_7.tolist(),
        'confusion_3': confusion_3.tolist(),
    }


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def milliseconds_per_face(network: MSFERNet, *, device: str | torch.device = 'cpu', repeats: int = 50) -> float:
    """Median time of a forward pass of one face, on one CPU thread or a GPU, after a warm-up."""
    device = torch.device(device)
    network = network.to(device)
    face = torch.zeros(1, 1, INPUT_SIZE, INPUT_SIZE, device=device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times = []
    try:
        with torch.inference_mode():
            for _ in range(repeats + 10):
                started = time.perf_counter()
                network(face)
                if device.type == 'cuda':
                    torch.cuda.synchronize(device)
                times.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    return 1000 * float(np.median(times[10:]))


def checksum(path: str | Path) -> str:
    """SHA-256 of a file, which ties figures to the weights they were measured with."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def evaluate(model_path: Path, data_path: str, split: str, *, plots: Path | None = None, flip: bool = False,
             device: str | torch.device = 'cpu', progress: bool = True) -> dict:
    """Everything the command writes as JSON; pictures go to `plots` when it is given.

    Raises:
        WeightsError, DataError: the file or the data cannot be used.
    """
    model = load_model(model_path)
    faces = data.load(data_path, split, progress=progress)
    logits = predict_logits(model, faces.images, device=device, progress=progress)
    probabilities = softmax(logits.astype(np.float64) / model.temperature, axis=1)
    report = score(probabilities, faces.labels)
    report |= {
        'parameters': count_parameters(model.network),
        'macs': count_macs(model.network),
        'milliseconds_per_face': milliseconds_per_face(model.network, device=device),
        'device': str(device),
        'split': split,
        'skipped': len(faces.skipped),
        'sha256': checksum(model_path),
        'temperature': model.temperature,
        'training': model.training,
    }
    if flip:
        mirrored = predict_logits(model, faces.images, device=device, mirrored=True, progress=progress)
        mean = (probabilities + softmax(mirrored.astype(np.float64) / model.temperature, axis=1)) / 2
        report['flip'] = score(mean, faces.labels)
    if plots:
        plots.mkdir(parents=True, exist_ok=True)
        evaluation_figures.draw_confusion(plots / 'confusion_7.png', np.array(report['confusion_7']), EMOTIONS)
        evaluation_figures.draw_confusion(plots / 'confusion_3.png', np.array(report['confusion_3']), GROUPS)
        evaluation_figures.draw_reliability(plots / 'reliability.png', *reliability(probabilities, faces.labels),
                                  error=report['ece_7'])
        evaluation_figures.draw_mistakes(plots / 'mistakes.png', faces.images, faces.labels, probabilities, EMOTIONS)
    return report


def table(report: dict) -> str:
    """The figures of a report as Markdown, the mean with the mirror image beside them where it was measured."""
    shown = [('accuracy, 7 emotions', 'accuracy_7', _percent), ('accuracy, 3 groups', 'accuracy_3', _percent),
             ('macro F1, 7 emotions', 'macro_f1_7', _percent), ('macro F1, 3 groups', 'macro_f1_3', _percent),
             ('expected calibration error, 7 emotions', 'ece_7', '{:.4f}'.format),
             ('neutral read as negative', 'neutral_as_negative', _percent),
             ('faces, 7 emotions', 'n_7', '{:,}'.format), ('faces, 3 groups', 'n_3', '{:,}'.format)]
    columns = [report] + ([report['flip']] if 'flip' in report else [])
    head = ['', 'one forward pass', 'mean with the mirror image'][:len(columns) + 1]
    lines = [head, ['---'] * len(head)]
    lines += [[name, *(form(column[key]) if column[key] is not None else '–' for column in columns)]
              for name, key, form in shown]
    lines += [[f'recall, {emotion}', *(_percent(column['recall_7'][emotion]) for column in columns)]
              for emotion in EMOTIONS]
    return '\n'.join('| ' + ' | '.join(cells) + ' |' for cells in lines)


def _percent(share: float | None) -> str:
    return '–' if share is None else f'{100 * share:.2f} %'


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = Parser(prog='evaluate', description='Measure MSFERNet weights on labelled faces.')
    parser.add_argument('--model', type=Path, required=True, help='weights file (.safetensors)')
    parser.add_argument('--data', required=True, help='image folder, CK+48 folder or Kaggle CSV')
    parser.add_argument('--split', default='validation',
                        help='train, validation, test (or a name as it stands in the data), all, fold0-validation …; '
                             'default: %(default)s')
    parser.add_argument('--json', type=Path, help='write the figures there')
    parser.add_argument('--plots', type=Path, help='folder for confusion matrices, reliability and mistakes; '
                                                   'the mistakes show faces of the data set')
    parser.add_argument('--flip', action='store_true', help='measure the mean with the mirror image as well')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    options = parser.parse_args(arguments)
    return run('evaluate', lambda: _evaluate(options))


def _evaluate(options: argparse.Namespace) -> None:
    report = evaluate(options.model, options.data, options.split, plots=options.plots, flip=options.flip,
                      device=device_named(options.device))
    if options.json:
        write_file(options.json, (json.dumps(report, indent=1, allow_nan=False) + '\n').encode())
    print(table(report))
    print(f'\n{report["parameters"]:,} parameters, {report["macs"] / 1e9:.3f} GMAC, '
          f'{report["milliseconds_per_face"]:.1f} ms per face (batch 1, {report["device"]}, one thread)')


if __name__ == '__main__':
    sys.exit(main())
