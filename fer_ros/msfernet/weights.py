"""Weights files: safetensors with everything needed to use them as metadata. No pickle is ever read."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from fer_ros.atomic_files import write_file
from fer_ros.emotions import EMOTIONS
from fer_ros.msfernet import weights_file
from fer_ros.msfernet.network import MSFERNet
from fer_ros.msfernet.weights_file import FORMAT, INPUT_SIZE, Weights, WeightsError, read_weights

__all__ = ['Model', 'WeightsError', 'build', 'load_model', 'read_tensors', 'save_model', 'write_tensors']


@dataclass
class Model:
    """A network with what goes with its weights."""

    network: MSFERNet
    temperature: float = 1.0
    """Logits are divided by it before the softmax, so that probabilities are calibrated (Guo et al., ICML 2017)."""
    fer2013_temperature: float = 1.0
    """Likewise of FER2013's own labels."""
    training: dict = field(default_factory=dict)
    """Facts about how the weights were made, for people."""


def save_model(path: str | Path, model: Model) -> None:
    """Write `model` to `path`; a file already there is replaced in one step."""
    metadata = {
        'format': FORMAT, 'labels': json.dumps(EMOTIONS), 'input_size': str(INPUT_SIZE),
        'temperature': str(model.temperature), 'fer2013_temperature': str(model.fer2013_temperature),
        'architecture': json.dumps(model.network.architecture), 'training': json.dumps(model.training),
    }
    write_tensors(path, model.network.state_dict(), metadata)


def load_model(path: str | Path) -> Model:
    """Read a weights file; the network comes in evaluation mode, on the CPU.

    Raises:
        WeightsError: there is no such file, it is truncated, not safetensors, or not MSFERNet's.
    """
    return build(read_weights(path))


def build(weights: Weights) -> Model:
    """The network with `weights`, in evaluation mode, on the CPU.

    Raises:
        WeightsError: the tensors do not fit the architecture.
    """
    try:
        network = MSFERNet(**weights.architecture)
        network.load_state_dict(_torch(weights.tensors))
    except (TypeError, ValueError, RuntimeError) as error:
        raise weights.mismatch(error) from error
    return Model(network.eval(), weights.temperature, weights.fer2013_temperature, weights.training)


def write_tensors(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file in one step."""
    write_file(path, save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata))


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        WeightsError: there is no such file, or it is truncated or not safetensors.
    """
    tensors, metadata = weights_file.read_tensors(path)
    return _torch(tensors), metadata


def _torch(tensors: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
