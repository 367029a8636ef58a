"""Fit what turns logits into honest probabilities, on faces the network was not trained on.

    python -m fer_ros.msfernet.temperature_and_bias --model runs/first/best.safetensors --data DIR --split validation \\
        --statistics train --neutral-as-negative 0.25 --out models/msfernet.safetensors

A temperature, by maximum likelihood (Guo et al., ICML 2017): it moves no face to another emotion. What does is asked
for: ``--statistics`` recalibrates BatchNorm's statistics (`fer_ros.msfernet.batchnorm_statistics`). ``--biases`` fits
one number per emotion (Alexandari et al., ICML 2020), which undoes a training's preference for some of them.
``--neutral-as-negative`` raises the neutral class bias until no larger share of neutral faces is classified as
negative, at a cost in accuracy. Numbers per emotion are added to the biases of the network's last layer.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from fer_ros.emotions import EMOTIONS, GROUPS, group_scores
from fer_ros.msfernet import data
from fer_ros.msfernet.batchnorm_statistics import renew_statistics
from fer_ros.msfernet.cli import Parser, device_named, run
from fer_ros.msfernet.evaluate import predict_logits, reliability
from fer_ros.msfernet.weights import load_model, save_model

LIMITS = (0.05, 20.0)
"""Of the temperature."""
PRIOR = 1e-3
"""Weight of the biases' mean square beside the likelihood: an emotion that no face shows would get minus infinity."""


def negative_log_likelihood(logits: np.ndarray, targets: np.ndarray, temperature: float) -> float:
    """Mean over faces, in nats.

    Args:
        logits: (N, C).
        targets: (N, C) probabilities, rows summing to 1.
        temperature: above 0.
    """
    return float(-(targets * log_softmax(logits.astype(np.float64) / temperature, axis=1)).sum(1).mean())


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """The temperature of the smallest negative log-likelihood.

    Args:
        logits: (N, C).
        targets: (N, C) probabilities, rows summing to 1.

    Raises:
        ValueError: there is none within `LIMITS`, as when every face is right or the logits say nothing.
    """
    # The likelihood has a single peak in the temperature; its logarithm makes the search even on both sides of 1.
    low, high = np.log(LIMITS)
    result = minimize_scalar(lambda x: negative_log_likelihood(logits, targets, np.exp(x)), bounds=(low, high),
                             method='bounded', options={'xatol': 1e-6})
    # Without a mistake among the faces the likelihood is flat long before the limit.
    if not low + 1e-3 < result.x < high - 1e-3 or result.fun < 1e-6:
        raise ValueError(f'the temperature runs to {np.exp(result.x):.3g}: {len(logits)} faces are too few, '
                         'or the network was trained on them; calibrate on a split it has not seen')
    return float(np.exp(result.x))


def fit_biases(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """What to add to each emotion's logit for the smallest negative log-likelihood.

    Args:
        logits: (N, C), at the temperature at which they are probabilities.
        targets: (N, C) probabilities, rows summing to 1.

    Returns:
        float64 (C,), summing to 0.
    """
    def cost(biases: np.ndarray) -> tuple[float, np.ndarray]:
        log_probabilities = log_softmax(logits + biases, axis=1)
        slope = (np.exp(log_probabilities) - targets).mean(0) + 2 * PRIOR * biases / len(biases)
        return -(targets * log_probabilities).sum(1).mean() + PRIOR * np.mean(biases ** 2), slope

    biases = minimize(cost, np.zeros(logits.shape[1]), jac=True, method='L-BFGS-B').x
    return biases - biases.mean()


def neutral_bias(logits: np.ndarray, labels: np.ndarray, most: float) -> float:
    """The least to add to neutral's logit so that at most the share `most` of neutral faces is read as negative.

    Args:
        logits: (N, C), at the temperature at which they are probabilities.
        labels: (N,) integer classes.
        most: 0 to 1.

    Returns:
        At least 0.

    Raises:
        ValueError: no face is neutral, or `most` is not a share.
    """
    if not 0 <= most <= 1:
        raise ValueError(f'the share of neutral faces read as negative must be 0 to 1, got {most}')
    neutral = logits[labels == EMOTIONS.index('neutral')].astype(np.float64)
    if not len(neutral):
        raise ValueError('no face is labelled neutral, so none tells how much to favour it')
    scores = np.log(group_scores(softmax(neutral, axis=1)))
    negative, positive, resting = (scores[:, GROUPS.index(name)] for name in ('negative', 'positive', 'neutral'))
    # What each face lacks to be read as neutral; one that is rather positive than negative is not read as negative.
    missing = np.sort(np.where(negative > positive, negative - resting, -np.inf))[::-1]
    allowed = int(most * len(missing))
    # A little more than the first face that is not allowed lacks: equal scores would be a tie.
    return max(0.0, float(missing[allowed]) + 1e-4) if allowed < len(missing) else 0.0


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = Parser(prog='temperature_and_bias', description='Make the probabilities of MSFERNet weights honest.')
    parser.add_argument('--model', type=Path, required=True, help='weights file (.safetensors) to read')
    parser.add_argument('--data', required=True, help='image folder, CK+48 folder or Kaggle CSV')
    parser.add_argument('--split', default='validation', help='faces not trained on; default: %(default)s')
    parser.add_argument('--biases', action='store_true', help='fit one number per emotion beside the temperature')
    parser.add_argument('--neutral-as-negative', type=float, metavar='SHARE',
                        help='favour neutral until at most this share (0 to 1) of neutral faces is read as negative')
    parser.add_argument('--statistics', metavar='SPLIT',
                        help='first take BatchNorm statistics anew, on the plain faces of this split')
    parser.add_argument('--out', type=Path, required=True, help='weights file to write; may be the one read')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    options = parser.parse_args(arguments)
    return run('temperature_and_bias', lambda: _calibrate(options))


def _calibrate(options: argparse.Namespace) -> None:
    device = device_named(options.device)
    model = load_model(options.model)
    faces = data.load(options.data, options.split)
    facts = {'split': options.split, 'faces': len(faces)}
    if options.statistics:
        renew_statistics(model, data.load(options.data, options.statistics).images, device=device, progress=True)
        facts['statistics'] = options.statistics
    raw = predict_logits(model, faces.images, device=device, progress=True)
    logits, temperature = raw, fit_temperature(raw, faces.targets)
    if options.biases:
        logits = logits + temperature * fit_biases(logits / temperature, faces.targets)
        temperature = fit_temperature(logits, faces.targets)
    if options.neutral_as_negative is not None:
        facts['neutral_as_negative'] = options.neutral_as_negative
        resting = np.eye(len(EMOTIONS))[EMOTIONS.index('neutral')]
        # A shift asks for another temperature, which weighs sums of probabilities anew.
        while shift := neutral_bias(logits / temperature, faces.labels, options.neutral_as_negative):
            logits = logits + temperature * shift * resting
            temperature = fit_temperature(logits, faces.targets)
    if logits is not raw:
        added = (logits - raw)[0]
        facts['biases'] = dict(zip(EMOTIONS, (added / temperature).round(4).tolist(), strict=True))
        with torch.no_grad():
            model.network.classifier.bias += torch.from_numpy(added).to(device, torch.float32)
    for name, numbers, value in (('before', raw, 1.0), ('after', logits, temperature)):
        facts[f'nll_{name}'] = negative_log_likelihood(numbers, faces.targets, value)
        facts[f'ece_{name}'] = reliability(softmax(numbers.astype(np.float64) / value, axis=1), faces.labels).error
    save_model(options.out, replace(model, temperature=temperature, training={**model.training, 'calibration': facts}))
    print(f'temperature {temperature:.4f}: '
          f'negative log-likelihood {facts["nll_before"]:.4f} -> {facts["nll_after"]:.4f}, '
          f'calibration error {facts["ece_before"]:.4f} -> {facts["ece_after"]:.4f}; wrote {options.out}')


if __name__ == '__main__':
    sys.exit(main())
