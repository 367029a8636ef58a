"""Measure a weights file on labelled faces.

    python -m fer_ros.msfernet.evaluate --model models/msfernet.safetensors --data DIR --split validation \\
        --votes FILE --conditions --json out.json --plots DIR

Every figure is of one forward pass of one network per face, with the calibrated probabilities: those of the FER2013
classifier against the data set's own labels, and with ``--votes`` those that the node publishes against ten raters.
``--conditions`` repeats the figures for faces that are small, dark, noisy or covered. ``--flip`` adds, in an object of
its own, the figures of the mean over a face and its mirror image.
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
from fer_ros.emotions import EMOTIONS, GROUPS, decide
from fer_ros.msfernet import data
from fer_ros.msfernet.cli import Parser, device_named, run
from fer_ros.msfernet.conditions import CLEAN, CONDITIONS, apply
from fer_ros.msfernet.metrics import reliability, score, score_raters
from fer_ros.msfernet.network import MSFERNet, count_macs, count_parameters, on_device
from fer_ros.msfernet.preprocessing import network_input
from fer_ros.msfernet.votes import labelled, plurality
from fer_ros.msfernet.weights import Model, load_model
from fer_ros.msfernet.weights_file import INPUT_SIZE

_BATCH = 64


class Predictions(NamedTuple):
    """What the two classifiers say of N faces: (N, 7) each, in the order of `EMOTIONS`."""

    raters: np.ndarray
    """Of what raters see, as published by the node."""
    fer2013: np.ndarray
    """Of FER2013's own labels."""


def predict_logits(model: Model, images: np.ndarray, *, device: str | torch.device = 'cpu', mirrored: bool = False,
                   progress: bool = False) -> Predictions:
    """Logits of grey faces, float32, before the temperatures.

    Args:
        model: its network is moved to `device`.
        images: (N, 48, 48) uint8.
        mirrored: of the faces' mirror images instead.
        progress: show a bar.
    """
    network = on_device(model.network, device)
    logits = Predictions(*(np.empty((len(images), len(EMOTIONS)), np.float32) for _ in Predictions._fields))
    with torch.inference_mode(), tqdm(total=len(images), desc='mirrored' if mirrored else 'evaluating',
                                      unit='face', disable=not progress) as bar:
        for start in range(0, len(images), _BATCH):
            faces = images[start:start + _BATCH]
            faces = np.ascontiguousarray(faces[:, :, ::-1]) if mirrored else faces
            output = network(network_input(faces).to(device, memory_format=torch.channels_last))
            for kept, said in zip(logits, (output.logits, output.fer2013_logits), strict=True):
                kept[start:start + _BATCH] = said.float().cpu().numpy()
            bar.update(len(faces))
    return logits


def predict(model: Model, images: np.ndarray, **options) -> Predictions:
    """Calibrated probabilities, float64; arguments as of `predict_logits`."""
    logits = predict_logits(model, images, **options)
    return Predictions(*(softmax(values.astype(np.float64) / temperature, axis=1) for values, temperature
                         in zip(logits, (model.temperature, model.fer2013_temperature), strict=True)))


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


def evaluate(model_path: Path, data_path: str, split: str, *, votes: Path | None = None, conditions: bool = False,
             plots: Path | None = None, flip: bool = False, device: str | torch.device = 'cpu',
             progress: bool = True) -> dict:
    """Everything the command writes as JSON; pictures go to `plots` when it is given.

    Raises:
        WeightsError, DataError: the file or the data cannot be used.
    """
    model = load_model(model_path)
    faces = data.load(data_path, split, votes=votes, progress=progress)
    predictions = predict(model, faces.images, device=device, progress=progress)
    report = _scores(predictions, faces)
    report |= {
        'parameters': count_parameters(model.network),
        'macs': count_macs(model.network),
        'milliseconds_per_face': milliseconds_per_face(model.network, device=device),
        'device': str(device),
        'split': split,
        'skipped': len(faces.skipped),
        'sha256': checksum(model_path),
        'temperature': model.temperature,
        'fer2013_temperature': model.fer2013_temperature,
        'training': model.training,
    }
    if flip:
        mirrored = predict(model, faces.images, device=device, mirrored=True, progress=progress)
        report['flip'] = _scores(Predictions(*((a + b) / 2 for a, b in zip(predictions, mirrored, strict=True))), faces)
    if conditions:
        report['conditions_labels'] = 'fer2013' if faces.votes is None else 'raters'
        report['conditions'] = {}
        for name in tqdm(CONDITIONS, desc='conditions', disable=not progress):
            seen = predictions if name == CLEAN else predict(model, apply(name, faces.images), device=device)
            report['conditions'][name] = _under_condition(seen, faces)
    if plots:
        plots.mkdir(parents=True, exist_ok=True)
        _draw(report, predictions, faces, plots)
    return report


def _scores(predictions: Predictions, faces: data.FaceSet) -> dict:
    report = score(predictions.fer2013, faces.labels)
    return report if faces.votes is None else report | score_raters(predictions.raters, faces.votes)


def _labelled(predictions: Predictions, faces: data.FaceSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, labels and images of the faces that count in accuracies: against the raters where they voted."""
    if faces.votes is None:
        return predictions.fer2013, faces.labels, faces.images
    label = plurality(faces.votes)
    counted = labelled(label)
    return predictions.raters[counted], label[counted], faces.images[counted]


def _under_condition(predictions: Predictions, faces: data.FaceSet) -> dict:
    probabilities, labels, _ = _labelled(predictions, faces)
    figures = score(probabilities, labels, None if faces.votes is None else decide(probabilities))
    kept = ('accuracy_7', 'accuracy_3', 'neutral_as_negative', 'negative_as_neutral', 'ece_7')
    return {name: figures[name] for name in kept} | {'confidence': float(probabilities.max(1).mean())}


def _draw(report: dict, predictions: Predictions, faces: data.FaceSet, plots: Path) -> None:
    from fer_ros.msfernet import evaluation_figures  # late: training needs no matplotlib in its further processes
    sets = [('', predictions.fer2013, faces.labels, faces.images)]
    if faces.votes is not None:
        sets.append(('raters_', *_labelled(predictions, faces)))
    for prefix, probabilities, labels, images in sets:
        for count, names in ((7, EMOTIONS), (3, GROUPS)):
            evaluation_figures.draw_confusion(plots / f'{prefix}confusion_{count}.png',
                                              np.array(report[f'{prefix}confusion_{count}']), names)
        evaluation_figures.draw_reliability(plots / f'{prefix}reliability.png', *reliability(probabilities, labels),
                                            error=report[f'{prefix}ece_7'])
        evaluation_figures.draw_mistakes(plots / f'{prefix}mistakes.png', images, labels, probabilities, EMOTIONS)
    if 'conditions' in report:
        evaluation_figures.draw_conditions(plots / 'conditions.png', report['conditions'])


FIGURES = (('accuracy, 7 emotions', 'accuracy_7'), ('accuracy, 3 groups', 'accuracy_3'),
           ('macro F1, 7 emotions', 'macro_f1_7'), ('macro F1, 3 groups', 'macro_f1_3'),
           ('expected calibration error, 7 emotions', 'ece_7'), ('neutral as negative', 'neutral_as_negative'),
           ('negative as neutral', 'negative_as_neutral'), ('emotion against valence', 'contradictions'),
           ('faces, 7 emotions', 'n_7'), ('faces, 3 groups', 'n_3'))


def table(report: dict) -> str:
    """The figures of a report as Markdown: a column for each label set, and for the mean with the mirror image."""
    columns = [('', 'own labels', report)]
    if 'raters_accuracy_7' in report:
        columns.insert(0, ('raters_', "raters' votes", report))
    if 'flip' in report:
        columns += [(prefix, f'{name}, mean with the mirror image', report['flip']) for prefix, name, _ in columns]
    rows = [['', *(name for _, name, _ in columns)], ['---'] * (len(columns) + 1)]
    rows += [[name, *(_number(key, figures[prefix + key]) for prefix, _, figures in columns)] for name, key in FIGURES]
    rows += [[f'recall, {emotion}', *(_percent(figures.get(f'{prefix}recall_7', {}).get(emotion))
                                      for prefix, _, figures in columns)] for emotion in EMOTIONS]
    if 'valence_ccc' in report:
        for name, key in (('valence, concordance correlation', 'valence_ccc'),
                          ('valence, mean absolute error', 'valence_mae'), ('faces, valence', 'valence_n')):
            rows.append([name, *(_number(key, figures[key]) if prefix else '–' for prefix, _, figures in columns)])
    return _markdown(rows)


def conditions_table(report: dict) -> str:
    """The figures by condition as Markdown."""
    names = {'accuracy_7': 'accuracy, 7 emotions', 'accuracy_3': 'accuracy, 3 groups', 'confidence': 'confidence',
             'ece_7': 'calibration error', 'neutral_as_negative': 'neutral as negative',
             'negative_as_neutral': 'negative as neutral'}
    rows = [['', *names.values()], ['---'] * (len(names) + 1)]
    rows += [[condition, *(_number(key, figures[key]) for key in names)]
             for condition, figures in report['conditions'].items()]
    return _markdown(rows)


def _markdown(rows: list[list[str]]) -> str:
    return '\n'.join('| ' + ' | '.join(cells) + ' |' for cells in rows)


def _number(key: str, value: float | None) -> str:
    if value is None:
        return '–'
    if key.startswith(('n_', 'valence_n')):
        return f'{value:,}'
    return f'{value:.3f}' if key.startswith(('ece', 'valence')) else _percent(value)


def _percent(share: float | None) -> str:
    return '–' if share is None else f'{100 * share:.2f} %'


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = Parser(prog='evaluate', description='Measure MSFERNet weights on labelled faces.')
    parser.add_argument('--model', type=Path, required=True, help='weights file (.safetensors)')
    parser.add_argument('--data', required=True, help='image folder, CK+48 folder or Kaggle CSV')
    parser.add_argument('--votes', type=Path, help="table of raters' votes for the pictures of image folders")
    parser.add_argument('--split', default='validation',
                        help='train, validation, test (or a name as it stands in the data), all, fold0-validation …; '
                             'default: %(default)s')
    parser.add_argument('--conditions', action='store_true',
                        help='measure faces that are small, dark, noisy or covered as well')
    parser.add_argument('--json', type=Path, help='write the figures there')
    parser.add_argument('--plots', type=Path, help='folder for confusion matrices, reliability, conditions and '
                                                   'mistakes; the mistakes show faces of the data set')
    parser.add_argument('--flip', action='store_true', help='measure the mean with the mirror image as well')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    options = parser.parse_args(arguments)
    return run('evaluate', lambda: _evaluate(options))


def _evaluate(options: argparse.Namespace) -> None:
    report = evaluate(options.model, options.data, options.split, votes=options.votes, conditions=options.conditions,
                      plots=options.plots, flip=options.flip, device=device_named(options.device))
    if options.json:
        write_file(options.json, (json.dumps(report, indent=1, allow_nan=False) + '\n').encode())
    print(table(report))
    if options.conditions:
        print(f'\n{conditions_table(report)}')
    print(f'\n{report["parameters"]:,} parameters, {report["macs"] / 1e9:.3f} GMAC, '
          f'{report["milliseconds_per_face"]:.1f} ms per face (batch 1, {report["device"]}, one thread)')


if __name__ == '__main__':
    sys.exit(main())
