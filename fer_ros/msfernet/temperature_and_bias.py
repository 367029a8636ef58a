"""Fit what turns logits into honest probabilities, on faces the network was not trained on.

    python -m fer_ros.msfernet.temperature_and_bias --model runs/first/last.safetensors --data DIR --votes FILE \\
        --split validation --conditions --biases --out models/msfernet.safetensors

Each classifier is fitted by itself: that of the node against the plurality of raters, with ``--conditions`` on clean
and degraded faces together, the clean ones with a quarter of the weight; that of FER2013's own labels against these, on
the faces as they are.

A temperature, by maximum likelihood (Guo et al., ICML 2017): it moves no face to another emotion. What does is asked
for: ``--statistics`` recalibrates BatchNorm's statistics (`fer_ros.msfernet.batchnorm_statistics`). ``--biases`` fits
one number per emotion (Alexandari et al., ICML 2020), which undoes a training's preference for some of them.
``--neutral-as-negative`` raises the neutral class bias until no larger share of neutral faces is classified as
negative, at a cost in accuracy. Numbers per emotion are added to the biases of the network's last layer.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from tqdm import tqdm

from fer_ros.emotions import EMOTIONS, GROUPS, group_scores
from fer_ros.msfernet import data
from fer_ros.msfernet.batchnorm_statistics import renew_statistics
from fer_ros.msfernet.cli import Parser, device_named, run
from fer_ros.msfernet.conditions import CLEAN, CONDITIONS, apply
from fer_ros.msfernet.evaluate import predict_logits
from fer_ros.msfernet.metrics import reliability
from fer_ros.msfernet.votes import labelled, plurality
from fer_ros.msfernet.weights import load_model, save_model

LIMITS = (0.05, 20.0)
"""Of the temperature."""
PRIOR = 1e-3
"""Weight of the biases' mean square beside the likelihood: an emotion that no face shows would get minus infinity."""


def negative_log_likelihood(logits: np.ndarray, targets: np.ndarray, temperature: float,
                            weights: np.ndarray | None = None) -> float:
    """Mean over faces, in nats.

    Args:
        logits: (N, C).
        targets: (N, C) probabilities, rows summing to 1.
        temperature: above 0.
        weights: (N,) of the faces; equal by default.
    """
    losses = -(targets * log_softmax(logits.astype(np.float64) / temperature, axis=1)).sum(1)
    return float(np.average(losses, weights=weights))


def fit_temperature(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The temperature of the smallest negative log-likelihood; arguments as of `negative_log_likelihood`.

    Raises:
        ValueError: there is none within `LIMITS`, as when every face is right or the logits say nothing.
    """
    # The likelihood has a single peak in the temperature; its logarithm makes the search even on both sides of 1.
    low, high = np.log(LIMITS)
    result = minimize_scalar(lambda x: negative_log_likelihood(logits, targets, np.exp(x), weights),
                             bounds=(low, high), method='bounded', options={'xatol': 1e-6})
    # Without a mistake among the faces the likelihood is flat long before the limit.
    if not low + 1e-3 < result.x < high - 1e-3 or result.fun < 1e-6:
        raise ValueError(f'the temperature runs to {np.exp(result.x):.3g}: {len(logits)} faces are too few, '
                         'or the network was trained on them; calibrate on a split it has not seen')
    return float(np.exp(result.x))


def fit_biases(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """What to add to each emotion's logit for the smallest negative log-likelihood.

    Args:
        logits: (N, C), at the temperature at which they are probabilities.
        targets: (N, C) probabilities, rows summing to 1.
        weights: (N,) of the faces; equal by default.

    Returns:
        float64 (C,), summing to 0.
    """
    def cost(biases: np.ndarray) -> tuple[float, np.ndarray]:
        log_probabilities = log_softmax(logits + biases, axis=1)
        slope = np.average(np.exp(log_probabilities) - targets, axis=0, weights=weights)
        loss = np.average(-(targets * log_probabilities).sum(1), weights=weights)
        return loss + PRIOR * np.mean(biases ** 2), slope + 2 * PRIOR * biases / len(biases)

    biases = minimize(cost, np.zeros(logits.shape[1]), jac=True, method='L-BFGS-B').x
    return biases - biases.mean()


def neutral_bias(logits: np.ndarray, labels: np.ndarray, most: float) -> float:
    """The least to add to neutral's logit so that at most the share `most` of neutral faces is classified as negative.

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


@dataclass(frozen=True)
class Fit:
    """What was fitted for one classifier."""

    added: np.ndarray
    """float64 (7,), to add to its logits."""
    temperature: float
    facts: dict
    """For the weights file: number of faces, biases at the temperature, likelihood, calibration error when clean."""


def fit(logits: np.ndarray, labels: np.ndarray, *, biases: bool = False, clean: int | None = None,
        neutral_as_negative: float | None = None) -> Fit:
    """Fit one classifier.

    Args:
        logits: (N, 7).
        labels: (N,) integer classes.
        biases: fit one number per emotion beside the temperature.
        clean: how many of the faces, from the first, are as they were taken; all by default. They weigh as much as all
            others together, and the share below is theirs.
        neutral_as_negative: raise neutral's bias until at most this share of neutral faces is classified as negative.

    Raises:
        ValueError: the temperature has no end, or there is no neutral face to take the share of.
    """
    targets = np.eye(len(EMOTIONS))[labels]
    facts: dict[str, Any] = {'faces': len(labels)}
    weights = np.ones(len(labels))
    if clean is not None and clean < len(labels):
        weights[:clean] = (len(labels) / clean - 1) / 3
    moved, temperature = logits, fit_temperature(logits, targets, weights)
    if biases:
        moved = moved + temperature * fit_biases(moved / temperature, targets, weights)
        temperature = fit_temperature(moved, targets, weights)
    if neutral_as_negative is not None:
        facts['neutral_as_negative'] = neutral_as_negative
        resting = np.eye(len(EMOTIONS))[EMOTIONS.index('neutral')]
        # A shift asks for another temperature, which weighs sums of probabilities anew.
        while shift := neutral_bias(moved[:clean] / temperature, labels[:clean], neutral_as_negative):
            moved = moved + temperature * shift * resting
            temperature = fit_temperature(moved, targets, weights)
    added = (moved - logits)[0].astype(np.float64)
    if moved is not logits:
        facts['biases'] = dict(zip(EMOTIONS, (added / temperature).round(4).tolist(), strict=True))
    for name, numbers, value in (('before', logits, 1.0), ('after', moved, temperature)):
        facts[f'nll_{name}'] = negative_log_likelihood(numbers, targets, value, weights)
        probabilities = softmax(numbers[:clean].astype(np.float64) / value, axis=1)
        facts[f'ece_{name}'] = reliability(probabilities, labels[:clean]).error
    return Fit(added, temperature, facts)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = Parser(prog='temperature_and_bias', description='Make the probabilities of MSFERNet weights honest.')
    parser.add_argument('--model', type=Path, required=True, help='weights file (.safetensors) to read')
    parser.add_argument('--data', required=True, help='image folder, CK+48 folder or Kaggle CSV')
    parser.add_argument('--votes', type=Path, help="table of raters' votes for the pictures of image folders")
    parser.add_argument('--split', default='validation', help='faces not trained on; default: %(default)s')
    parser.add_argument('--conditions', action='store_true',
                        help='fit what the node uses on small, dark, noisy and covered faces as well')
    parser.add_argument('--biases', action='store_true', help='fit one number per emotion beside the temperature')
    parser.add_argument('--neutral-as-negative', type=float, metavar='SHARE',
                        help='raise the neutral class bias until at most this share (0 to 1) of neutral faces is '
                             'classified as negative')
    parser.add_argument('--statistics', metavar='SPLIT',
                        help='first recalibrate BatchNorm statistics on the unaugmented faces of this split')
    parser.add_argument('--out', type=Path, required=True, help='weights file to write; may be the one read')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    options = parser.parse_args(arguments)
    return run('temperature_and_bias', lambda: _calibrate(options))


def _calibrate(options: argparse.Namespace) -> None:
    device = device_named(options.device)
    model = load_model(options.model)
    faces = data.load(options.data, options.split, votes=options.votes)
    facts = {'split': options.split, 'conditions': options.conditions}
    if options.statistics:
        renew_statistics(model, data.load(options.data, options.statistics).images, device=device, progress=True)
        facts['statistics'] = options.statistics
    labels = faces.labels if faces.votes is None else plurality(faces.votes)
    counted = labelled(labels)
    if not counted.any():
        raise ValueError(f'no picture of {options.split} has a plurality of votes for one of the seven emotions')
    clean = predict_logits(model, faces.images, device=device, progress=True)
    shown = [clean.raters[counted]]
    if options.conditions:
        shown += [predict_logits(model, apply(name, faces.images[counted]), device=device).raters
                  for name in tqdm(CONDITIONS, desc='conditions') if name != CLEAN]
    raters = fit(np.concatenate(shown), np.tile(labels[counted], len(shown)), biases=options.biases,
                 clean=int(counted.sum()), neutral_as_negative=options.neutral_as_negative)
    fer2013 = fit(clean.fer2013, faces.labels, biases=options.biases)
    network = model.network
    for classifier, fitted in ((network.classifier, raters), (network.fer2013_classifier, fer2013)):
        with torch.no_grad():
            classifier.bias.add_(torch.from_numpy(fitted.added).to(device, torch.float32))
    facts |= {'raters': raters.facts, 'fer2013': fer2013.facts}
    save_model(options.out, replace(model, temperature=raters.temperature, fer2013_temperature=fer2013.temperature,
                                    training={**model.training, 'calibration': facts}))
    for name, fitted in (('raters', raters), ('own labels', fer2013)):
        print('{}: temperature {:.4f}, negative log-likelihood {nll_before:.4f} -> {nll_after:.4f}, calibration error '
              '{ece_before:.4f} -> {ece_after:.4f}'.format(name, fitted.temperature, **fitted.facts))
    print(f'wrote {options.out}')


if __name__ == '__main__':
    sys.exit(main())
