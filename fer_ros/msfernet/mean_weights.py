"""Write the weighted mean of the weights of networks that were trained from one another.

    python -m fer_ros.msfernet.mean_weights --models runs/clean/last.safetensors runs/degraded/last.safetensors \
        --shares 0.5 0.5 --out runs/mean.safetensors

Weights on one slope of the loss have means that are at least as good (model soups, Wortsman et al., ICML 2022). Fit the
temperatures afterwards.
"""

import argparse
import math
import sys
from pathlib import Path

import torch

from fer_ros.msfernet.cli import Parser, run
from fer_ros.msfernet.weights import Model, load_model, save_model


def mean(models: list[Model], shares: list[float]) -> Model:
    """The mean; buffers that count, and the facts of training, are those of the last model.

    Raises:
        ValueError: the architectures differ, there are not as many shares as models, or they do not add up to 1.
    """
    if len(shares) != len(models) or not math.isclose(sum(shares), 1.0, abs_tol=1e-6) or min(shares) < 0:
        raise ValueError(f'{len(models)} models need as many shares, not negative, that add up to 1: got {shares}')
    first = models[0].network.architecture
    if any(model.network.architecture != first for model in models):
        raise ValueError('the models have different architectures: only weights of one can be averaged')
    states = [model.network.state_dict() for model in models]
    mixed = states[-1] | {name: sum((share * state[name] for share, state in zip(shares, states, strict=True)),
                                    torch.zeros_like(tensor))
                          for name, tensor in states[-1].items() if tensor.is_floating_point()}
    last = models[-1]
    last.network.load_state_dict(mixed)
    last.training = last.training | {'mean': [{'share': share, 'epochs': model.training.get('epochs'),
                                               'recipe': model.training.get('recipe')}
                                              for share, model in zip(shares, models, strict=True)]}
    return last


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = Parser(prog='mean_weights', description='Write the weighted mean of MSFERNet weights.')
    parser.add_argument('--models', type=Path, nargs='+', required=True, help='weights files (.safetensors)')
    parser.add_argument('--shares', type=float, nargs='+', required=True, help='share of each; they add up to 1')
    parser.add_argument('--out', type=Path, required=True, help='weights file to write')
    options = parser.parse_args(arguments)
    return run('mean_weights', lambda: _mean(options))


def _mean(options: argparse.Namespace) -> None:
    save_model(options.out, mean([load_model(path) for path in options.models], options.shares))
    print(f'wrote {options.out}')


if __name__ == '__main__':
    sys.exit(main())
