"""Fit what turns logits into honest probabilities, on faces the network was not trained on.

    python -m fer_ros.msfernet.calibrate --model runs/first/best.safetensors --data DIR --split validation \\
        --biases --out models/msfernet.safetensors

A temperature, by maximum likelihood (Guo et al., ICML 2017): it moves no face to another emotion. With ``--biases`` one
number per emotion beside it (Alexandari et al., ICML 2020), which undoes a training's preference for some of them; they
are added to the biases of the network's last layer.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from fer_ros.emotions import EMOTIONS
from fer_ros.msfernet import data
from fer_ros.msfernet.command import Parser, device_named, run
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


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = Parser(prog='calibrate', description='Make the probabilities of MSFERNet weights honest.')
    parser.add_argument('--model', type=Path, required=True, help='weights file (.safetensors) to read')
    parser.add_argument('--data', required=True, help='image folder, CK+48 folder or Kaggle CSV')
    parser.add_argument('--split', default='validation', help='faces not trained on; default: %(default)s')
    parser.add_argument('--biases', action='store_true', help='fit one number per emotion beside the temperature')
    parser.add_argument('--out', type=Path, required=True, help='weights file to write; may be the one read')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    options = parser.parse_args(arguments)
    return run('calibrate', lambda: _calibrate(options))


def _calibrate(options: argparse.Namespace) -> None:
    device = device_named(options.device)
    model = load_model(options.model)
    faces = data.load(options.data, options.split)
    logits = predict_logits(model, faces.images, device=device, progress=True)
    facts = {'split': options.split, 'faces': len(faces)}
    raw, temperature = logits, fit_temperature(logits, faces.targets)
    if options.biases:
        biases = fit_biases(logits / temperature, faces.targets)
        facts['biases'] = dict(zip(EMOTIONS, biases.round(4).tolist(), strict=True))
        logits = logits + temperature * biases
        with torch.no_grad():
            model.network.classifier.bias += torch.from_numpy(temperature * biases).to(device, torch.float32)
        temperature = fit_temperature(logits, faces.targets)
    for name, numbers, value in (('before', raw, 1.0), ('after', logits, temperature)):
        facts[f'nll_{name}'] = negative_log_likelihood(numbers, faces.targets, value)
        facts[f'ece_{name}'] = reliability(softmax(numbers.astype(np.float64) / value, axis=1), faces.labels).error
    save_model(options.out, replace(model, temperature=temperature, training={**model.training, 'calibration': facts}))
    print(f'temperature {temperature:.4f}: '
          f'negative log-likelihood {facts["nll_before"]:.4f} -> {facts["nll_after"]:.4f}, '
          f'calibration error {facts["ece_before"]:.4f} -> {facts["ece_after"]:.4f}; wrote {options.out}')


if __name__ == '__main__':
    sys.exit(main())
