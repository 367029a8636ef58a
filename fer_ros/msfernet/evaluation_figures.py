"""Pictures of an evaluation: confusion matrix, reliability diagram and a sheet of mistakes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def draw_confusion(path: Path, confusion: np.ndarray, names: Sequence[str]) -> None:
    """Draw a confusion matrix.

    Args:
        path: picture to write.
        confusion: (C, C) number of samples; rows are labels, columns predictions.
        names: of the C classes.
    """
    share = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    side = 2.2 + 0.75 * len(names)
    figure = Figure(figsize=(side + 0.6, side), layout='constrained')
    axes = figure.subplots()
    image = axes.imshow(share, cmap='Blues', vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=40, ha='right', rotation_mode='anchor')
    axes.set_yticks(range(len(names)),
                    [f'{name}\n({count:,})' for name, count in zip(names, confusion.sum(1), strict=True)])
    for row, column in np.ndindex(confusion.shape):
        axes.text(column, row, f'{100 * share[row, column]:.0f} %\n{confusion[row, column]}', ha='center', va='center',
                  fontsize=8, color='white' if share[row, column] > 0.5 else 'black')
    accuracy = confusion.trace() / max(confusion.sum(), 1)
    axes.set(xlabel='predicted', ylabel='label', title=f'accuracy {100 * accuracy:.2f} %')
    figure.colorbar(image, label='share of the label', shrink=0.8)
    figure.savefig(path, dpi=120)


def draw_reliability(path: Path, confidence: np.ndarray, accuracy: np.ndarray, count: np.ndarray, *,
                     error: float) -> None:
    """Draw accuracy over confidence, and how many faces stand behind each bar.

    Args:
        path: picture to write.
        confidence, accuracy, count: (bins,) of equally wide bins over [0, 1], as `evaluate.Reliability` holds them.
        error: expected calibration error, for the title.
    """
    width = 1 / len(count)
    left = np.arange(len(count)) * width
    filled = count > 0
    figure = Figure(figsize=(5, 5.4), layout='constrained')
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.bar(left[filled], accuracy[filled], width, align='edge', color='C0', edgecolor='white', label='accuracy')
    upper.plot(confidence[filled], accuracy[filled], 'o', color='C1', markersize=4, label='at the mean confidence')
    upper.plot((0, 1), (0, 1), '--', color='grey', label='perfect')
    upper.set(ylabel='accuracy', ylim=(0, 1), xlim=(0, 1), title=f'expected calibration error {error:.4f}')
    upper.legend(loc='lower right')
    lower.bar(left, count, width, align='edge', color='C0', edgecolor='white')
    lower.set(xlabel='probability of the predicted emotion', ylabel='faces')
    figure.savefig(path, dpi=120)


def draw_mistakes(path: Path, images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray,
                  names: Sequence[str], *, count: int = 40) -> None:
    """Draw the faces of which the network is surest and wrong, worst first.

    Args:
        path: picture to write.
        images: (N, H, W) uint8 grey.
        labels: (N,) integer classes.
        probabilities: (N, C).
        names: of the C classes.
        count: faces to show at most.
    """
    predicted = probabilities.argmax(1)
    wrong = np.flatnonzero(predicted != labels)
    chosen = wrong[np.argsort(-probabilities.max(1)[wrong], kind='stable')[:count]]
    columns = 8
    rows = max(1, -(-len(chosen) // columns))
    figure = Figure(figsize=(1.5 * columns, 1.95 * rows + 0.5), layout='constrained')
    for axes in figure.subplots(rows, columns, squeeze=False).flat:
        axes.axis('off')
    for axes, index in zip(figure.axes, chosen, strict=False):
        axes.imshow(images[index], cmap='gray', vmin=0, vmax=255)
        axes.set_title(f'{names[predicted[index]]} {100 * probabilities[index].max():.0f} %\n'
                       f'label {names[labels[index]]}', fontsize=8)
    figure.suptitle(f'the {len(chosen)} most confident of {len(wrong):,} mistakes', fontsize=10)
    figure.savefig(path, dpi=120)


def draw_conditions(path: Path, conditions: dict[str, dict]) -> None:
    """Draw accuracy and confidence by condition.

    Args:
        path: picture to write.
        conditions: accuracy_7, accuracy_3, confidence and neutral_as_negative (0 to 1; None where there is no neutral
            face) of each.
    """
    rows = np.arange(len(conditions))
    figure = Figure(figsize=(9, 1.2 + 0.36 * len(conditions)), layout='constrained')
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    for key, label, marker in (('accuracy_7', 'accuracy, 7 emotions', 'o'), ('accuracy_3', 'accuracy, 3 groups', 's'),
                               ('confidence', 'mean confidence', '|')):
        values = [100 * figures[key] if figures[key] is not None else np.nan for figures in conditions.values()]
        left.plot(values, rows, marker, label=label, markersize=12 if marker == '|' else 6, markeredgewidth=2)
    left.set(xlabel='%', xlim=(0, 100))
    left.set_yticks(rows, list(conditions))
    left.invert_yaxis()
    left.legend(loc='lower left')
    shares = [figures['neutral_as_negative'] for figures in conditions.values()]
    right.barh(rows, [100 * share if share is not None else 0 for share in shares], color='C3')
    right.set(xlabel='neutral as negative (%)')
    for axes in (left, right):
        axes.grid(alpha=0.3, axis='x')
    figure.savefig(path, dpi=120)
