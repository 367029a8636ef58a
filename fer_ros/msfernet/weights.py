"""Weights files: safetensors with everything needed to use them as metadata. No pickle is ever read."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fer_ros.atomic_files import write_file
from fer_ros.emotions import EMOTIONS
from fer_ros.msfernet.network import INPUT_SIZE, MSFERNet

FORMAT = 'fer_ros/msfernet/2'


class WeightsError(Exception):
    """A weights file cannot be used; the text names the file, what is wrong and the remedy."""


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
    tensors, metadata = read_tensors(path)
    if metadata.get('format') != FORMAT:
        raise WeightsError(f'{path} is not an MSFERNet weights file: its format is {metadata.get("format")!r}, '
                           f'expected {FORMAT!r}; use a file written by fer_ros.msfernet.train')
    try:
        labels = tuple(json.loads(metadata['labels']))
        if labels != EMOTIONS or int(metadata['input_size']) != INPUT_SIZE:
            raise ValueError(f'labels {labels} at {metadata["input_size"]} pixels, '
                             f'expected {EMOTIONS} at {INPUT_SIZE}')
        network = MSFERNet(**json.loads(metadata['architecture']))
        network.load_state_dict(tensors)
        model = Model(network.eval(), float(metadata['temperature']), float(metadata['fer2013_temperature']),
                      json.loads(metadata['training']))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f'{path} does not fit this version of MSFERNet: {str(error).splitlines()[0]}; '
                           'train or export it again') from error
    temperatures = (model.temperature, model.fer2013_temperature)
    if not all(map(math.isfinite, temperatures)) or not all(torch.isfinite(t).all() for t in tensors.values()):
        raise WeightsError(f'{path} holds values that are not finite; restore the file')
    if min(temperatures) <= 0:
        raise WeightsError(f'{path} has the temperatures {temperatures}, which must be above 0; restore the file')
    return model


def write_tensors(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file in one step."""
    write_file(path, save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata))


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        WeightsError: there is no such file, or it is truncated or not safetensors.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f'no weights file at {path}: give the path of a .safetensors file')
    try:
        with safe_open(path, 'pt') as file:
            names = file.keys()  # not an iterable itself
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f'{path} is not a complete safetensors file ({error}); '
                           'restore it, and never use pickled .pt or .pth files here') from error
