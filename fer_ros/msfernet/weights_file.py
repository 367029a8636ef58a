"""What a weights file holds, without torch: for programs that run the network in ONNX Runtime."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fer_ros.emotions import EMOTIONS

FORMAT = 'fer_ros/msfernet/2'
INPUT_SIZE = 48
"""Side of a face, pixels."""


class WeightsError(Exception):
    """A weights file cannot be used; the text names the file, what is wrong and the remedy."""


@dataclass(frozen=True)
class Weights:
    """Tensors and metadata of a weights file."""

    path: Path
    tensors: dict[str, np.ndarray]
    architecture: dict[str, Any]
    """Arguments of `fer_ros.msfernet.network.MSFERNet`."""
    temperature: float
    fer2013_temperature: float
    training: dict = field(default_factory=dict)

    def mismatch(self, error: object) -> WeightsError:
        """The error to raise when the tensors do not fit the architecture, or the architecture this version."""
        return WeightsError(f'{self.path} {_DOES_NOT_FIT.format(str(error).splitlines()[0])}')


_DOES_NOT_FIT = 'does not fit this version of MSFERNet: {}; train or export it again'


def read_weights(path: str | Path) -> Weights:
    """Read a weights file.

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
        weights = Weights(Path(path), tensors, dict(json.loads(metadata['architecture'])),
                          float(metadata['temperature']), float(metadata['fer2013_temperature']),
                          json.loads(metadata['training']))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f'{path} {_DOES_NOT_FIT.format(str(error).splitlines()[0])}') from error
    temperatures = (weights.temperature, weights.fer2013_temperature)
    if not all(map(math.isfinite, temperatures)) or not all(np.isfinite(t).all() for t in tensors.values()):
        raise WeightsError(f'{path} holds values that are not finite; restore the file')
    if min(temperatures) <= 0:
        raise WeightsError(f'{path} has the temperatures {temperatures}, which must be above 0; restore the file')
    return weights


def read_tensors(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        WeightsError: there is no such file, or it is truncated or not safetensors.
    """
    # Late: a node reports what is not installed when it is configured, with the remedy.
    from safetensors import SafetensorError, safe_open
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f'no weights file at {path}: give the path of a .safetensors file')
    try:
        with safe_open(path, 'np') as file:
            names = file.keys()  # not an iterable itself
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        # NumPy lacks some of the types of numbers that safetensors has.
        raise WeightsError(f'{path} is not a complete safetensors file ({error}); '
                           'restore it, and never use pickled .pt or .pth files here') from error
