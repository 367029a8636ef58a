"""Refit the classifier of the data set's own labels on the embeddings of faces as they were taken.

    python -m fer_ros.msfernet.refit_classifier --data DIR --model runs/mean.safetensors --out runs/refitted.safetensors

A last step after weights were averaged: the classifiers were averaged too, but the embedding is a new one. Nothing else
changes, so what the node says stays as it is. Labels are mixed half and half with what the network itself says of a
face and its mirror image (as `fer_ros.msfernet.distillation`), and weights are pulled towards those of before, since
the embedding knows the training faces. Fit the temperatures afterwards.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from tqdm import tqdm

from fer_ros.msfernet import data
from fer_ros.msfernet.cli import Parser, run
from fer_ros.msfernet.network import MSFERNet, on_device
from fer_ros.msfernet.preprocessing import network_input
from fer_ros.msfernet.weights import load_model, save_model

PULL = 3e-4
"""Weight of the squared distance from the weights of before, beside the mean cross-entropy in nats."""
LABELS = 0.5
"""Share of the labels in what is fitted; the rest is what the network says."""
_BATCH = 64


def embeddings(network: MSFERNet, images: np.ndarray) -> np.ndarray:
    """float32 (N, E) of uint8 (N, 48, 48) grey faces, on the CPU."""
    network = on_device(network, 'cpu')
    parts = []
    with torch.inference_mode():
        for start in tqdm(range(0, len(images), _BATCH), desc='embedding', unit='batch'):
            faces = np.ascontiguousarray(images[start:start + _BATCH])
            parts.append(network(network_input(faces).contiguous(memory_format=torch.channels_last)).embedding.numpy())
    return np.concatenate(parts)


def refit(features: np.ndarray, targets: np.ndarray, weight: np.ndarray, bias: np.ndarray,
          pull: float) -> tuple[np.ndarray, np.ndarray]:
    """The linear classifier of the least mean cross-entropy plus `pull` times the squared distance from the given one.

    Args:
        features: (N, E).
        targets: (N, C) probabilities, rows summing to 1.
        weight, bias: (C, E) and (C,) of before.
        pull: at least 0.

    Returns:
        float64 (C, E) and (C,).
    """
    inputs = np.column_stack([features, np.ones(len(features), features.dtype)])
    before = np.column_stack([weight, bias]).astype(np.float64)

    def cost(flat: np.ndarray) -> tuple[float, np.ndarray]:
        moved = flat.reshape(before.shape)
        log_probabilities = log_softmax(inputs @ moved.T, axis=1)
        slope = (np.exp(log_probabilities) - targets).T @ inputs / len(inputs)
        distance = moved - before
        loss = -np.mean((targets * log_probabilities).sum(1)) + pull * np.sum(distance ** 2)
        return float(loss), (slope + 2 * pull * distance).ravel()

    result = minimize(cost, before.ravel(), jac=True, method='L-BFGS-B').x.reshape(before.shape)
    return result[:, :-1], result[:, -1]


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = Parser(prog='refit_classifier', description="Refit MSFERNet's classifier of the data set's own labels.")
    parser.add_argument('--data', required=True, help='image folder, CK+48 folder or Kaggle CSV')
    parser.add_argument('--split', default='train', help='the faces that the network was trained on; default: train')
    parser.add_argument('--model', type=Path, required=True, help='weights file (.safetensors) to read')
    parser.add_argument('--labels', type=float, default=LABELS,
                        help='share of the labels, 0 to 1; default: %(default)s')
    parser.add_argument('--pull', type=float, default=PULL,
                        help='towards the weights of before, at least 0; default: %(default)s')
    parser.add_argument('--out', type=Path, required=True, help='weights file to write')
    options = parser.parse_args(arguments)
    return run('refit_classifier', lambda: _refit(options))


def _refit(options: argparse.Namespace) -> None:
    if not 0 <= options.labels <= 1 or options.pull < 0:
        raise ValueError(f'--labels must be 0 to 1 and --pull at least 0, got {options.labels} and {options.pull}')
    model, faces = load_model(options.model), data.load(options.data, options.split)
    classifier = model.network.fer2013_classifier
    # Of probabilities at the temperature of before; a new one is fitted to what comes out.
    weight, bias = (values.detach().numpy() / model.fer2013_temperature
                    for values in (classifier.weight, classifier.bias))
    sides = [embeddings(model.network, images) for images in (faces.images, faces.images[:, :, ::-1])]
    said = np.mean([softmax(side @ weight.T + bias, axis=1) for side in sides], axis=0)
    targets = options.labels * faces.targets + (1 - options.labels) * said
    weight, bias = refit(np.concatenate(sides), np.concatenate([targets, targets]), weight, bias, options.pull)
    with torch.no_grad():
        for values, fitted in ((classifier.weight, weight), (classifier.bias, bias)):
            values.copy_(torch.from_numpy(fitted * model.fer2013_temperature))
    model.training = model.training | {'refitted': {'faces': len(faces.images), 'labels': options.labels,
                                                    'pull': options.pull}}
    save_model(options.out, model)
    print(f'wrote {options.out}')


if __name__ == '__main__':
    sys.exit(main())
