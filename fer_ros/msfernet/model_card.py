"""Write an evaluation's figures into the model card.

    python -m fer_ros.msfernet.evaluate --model models/msfernet.safetensors --data DIR --split validation \\
        --votes FILE --conditions --flip --json models/evaluation.json
    python -m fer_ros.msfernet.model_card

Everything between the two comments ``<!-- figures -->`` and ``<!-- end of figures -->`` is replaced; the text around
them is written by hand.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_ros.atomic_files import write_file
from fer_ros.emotions import EMOTIONS, GROUPS
from fer_ros.msfernet.cli import Parser, run
from fer_ros.msfernet.evaluate import conditions_table, table


def fill(text: str, name: str, content: str) -> str:
    """`text` with `content` between the comments ``<!-- name -->`` and ``<!-- end of name -->``.

    Raises:
        ValueError: the comments are not there once each, in this order.
    """
    begin, end = f'<!-- {name} -->', f'<!-- end of {name} -->'
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f'expected one {begin} and one {end} after it')
    before, rest = text.split(begin)
    return f'{before}{begin}\n\n{content}\n\n{end}{rest.split(end)[1]}'


def figures(report: dict) -> str:
    """The card's figures as Markdown, from what `fer_ros.msfernet.evaluate` wrote."""
    runs = [report['training']]
    while 'before' in runs[0]:
        runs.insert(0, runs[0]['before'])
    parts = [
        f'Measured on the split `{report["split"]}`, weights with SHA-256 `{report["sha256"]}`, '
        f'trained for {" and then ".join(str(run["epochs"]) for run in runs)} epochs{_mean(report)}; '
        f'{_calibration(report)}.',
        table(report),
        f'{report["parameters"]:,} parameters, {report["macs"] / 1e9:.3f} GMAC, '
        f'{report["milliseconds_per_face"]:.1f} ms per face in plain PyTorch '
        f'(batch 1, `{report["device"]}`, one thread).']
    if 'conditions' in report:
        parts += [f'By condition, against {_LABELS[report["conditions_labels"]]}:', conditions_table(report)]
    for prefix, labels in (('raters_', 'raters'), ('', 'fer2013')):
        if f'{prefix}confusion_7' in report:
            confusion = report[f'{prefix}confusion_7']
            parts += [
                f'Confusion matrix of the emotions against {_LABELS[labels]}; rows are labels, columns what is shown. '
                f'The most frequent confusions, as shares of the label: {_confusions(confusion)}.',
                _matrix(confusion, EMOTIONS), 'Of the groups, on faces whose label is not surprise:',
                _matrix(report[f'{prefix}confusion_3'], GROUPS)]
    return '\n\n'.join((
        *parts, 'Settings of the training (`python -m fer_ros.msfernet.train --help` explains them):',
        *(', '.join(f'`{name}` {setting(value)}' for name, value in run['recipe'].items()) + '.' for run in runs)))


_LABELS = {'raters': 'the plurality of ten raters', 'fer2013': "FER2013's own labels"}


def _mean(report: dict) -> str:
    """Which weights were averaged, as `fer_ros.msfernet.mean_weights` notes it."""
    parts = [f'those of {part["epochs"]} epochs at {part["recipe"]["learning_rate"]:g} ({part["share"]:g})'
             for part in report['training'].get('mean', ())]
    return f', the mean of {" and ".join(parts)}' if parts else ''


def _calibration(report: dict) -> str:
    temperatures = {'raters': report['temperature'], 'fer2013': report['fer2013_temperature']}
    calibration = report['training'].get('calibration')
    if not calibration:
        return 'temperatures ' + ' and '.join(f'{t:.4f}' for t in temperatures.values()) + ' (not calibrated)'
    texts = []
    for name, temperature in temperatures.items():
        fitted = calibration[name]
        text = f'against {_LABELS[name]}, temperature {temperature:.4f}'
        if 'biases' in fitted:
            text += ' and biases ' + ', '.join(f'{e} {bias:+.2f}' for e, bias in fitted['biases'].items())
        text += f', fitted on {fitted["faces"]:,} faces of `{calibration["split"]}`'
        if name == 'raters' and calibration['conditions']:
            text += ', clean and degraded'
        if 'neutral_as_negative' in fitted:
            text += f', so that at most {fitted["neutral_as_negative"]:.0%} of neutral faces are classified as negative'
        texts.append(text)
    if 'statistics' in calibration:
        texts.append(f'BatchNorm statistics recalibrated on the unaugmented faces of `{calibration["statistics"]}`')
    return '; '.join(texts)


def setting(value: object) -> str:
    """A setting of a recipe or network, as the command line takes it."""
    if isinstance(value, list) and value and isinstance(value[0], list):  # of (start, size)
        return ','.join(f'{start:g}:{size}' for start, size in value)
    return str(value)


def _confusions(confusion: list[list[int]], count: int = 5) -> str:
    share = np.array(confusion, float)
    share /= np.maximum(share.sum(1, keepdims=True), 1)
    np.fill_diagonal(share, 0)
    worst = [np.unravel_index(i, share.shape) for i in np.argsort(-share, axis=None, kind='stable')[:count]]
    return ', '.join(f'{EMOTIONS[label]} classified as {EMOTIONS[predicted]} {100 * share[label, predicted]:.0f} %'
                     for label, predicted in worst)


def _matrix(confusion: list[list[int]], names: Sequence[str]) -> str:
    rows = [['', *names], ['---'] * (len(names) + 1)]
    rows += [[f'**{name}**', *map(str, row)] for name, row in zip(names, confusion, strict=True)]
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = Parser(prog='model_card', description="Write an evaluation's figures into the model card.")
    parser.add_argument('--evaluation', type=Path, default=Path('models/evaluation.json'),
                        help='written by fer_ros.msfernet.evaluate; default: %(default)s')
    parser.add_argument('--card', type=Path, default=Path('models/README.md'), help='default: %(default)s')
    options = parser.parse_args(arguments)
    return run('model_card', lambda: _card(options))


def _card(options: argparse.Namespace) -> None:
    try:
        content = figures(json.loads(options.evaluation.read_text()))
    except (KeyError, TypeError) as error:
        raise ValueError(f'{options.evaluation} is not what fer_ros.msfernet.evaluate writes: {error!r}') from error
    try:
        text = fill(options.card.read_text(), 'figures', content)
    except ValueError as error:
        raise ValueError(f'{options.card}: {error}') from error
    write_file(options.card, text.encode())
    print(f'{options.card}: figures of {options.evaluation}')


if __name__ == '__main__':
    sys.exit(main())
