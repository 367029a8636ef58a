"""The network as an ONNX graph without weights, which ONNX Runtime takes from a weights file.

    python -m fer_ros.msfernet.prepared_graph --model models/msfernet.safetensors

writes the graph of the weights' architecture to models/graphs. With it a program that runs the network in ONNX Runtime
imports neither torch nor onnx, which take seconds and 200 MB. Architectures without such a file are exported when they
are loaded.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fer_ros.msfernet.weights_file import Weights, read_weights
from fer_ros.package_files import shared_file

FOLDER = 'models/graphs'
QUANTISED_OF = 'weights_sha256'
"""Metadata of a quantised network: the file of weights that it was made of."""
_UNUSED = ('fer2013_classifier.weight', 'fer2013_classifier.bias')
"""Tensors that the graph does not have: it tells what raters see."""
_COUNTERS = 'num_batches_tracked'
"""Of BatchNorm, in training only."""


def prepared(architecture: dict[str, Any]) -> Path | None:
    """The file with the graph of an architecture; None if the package has none."""
    try:
        return shared_file(f'{FOLDER}/{_name(architecture)}')
    except FileNotFoundError:
        return None


def quantised_path(weights: Path) -> Path:
    """Where the quantised network of a weights file is, which `fer_ros.msfernet.quantise` writes."""
    return weights.with_suffix('.int8.onnx')


def graph(weights: Weights) -> bytes:
    """The graph of the architecture of `weights`.

    Input ``faces``: uint8 (batch, 48, 48), grey; output ``probabilities``: float32 (batch, 7), calibrated. Its
    initializers are those of `initializers`.

    Raises:
        ImportError: the package has no such graph, and onnx is missing.
        TypeError, ValueError: likewise, and there is no such architecture.
    """
    path = prepared(weights.architecture)
    if path is not None:
        return path.read_bytes()
    from fer_ros.msfernet.export import graph_onnx
    return graph_onnx(weights.architecture)


def initializers(weights: Weights) -> dict[str, np.ndarray]:
    """What the graph takes from `weights`, by name."""
    taken = {f'network.{name}': tensor for name, tensor in weights.tensors.items()
             if name not in _UNUSED and not name.endswith(_COUNTERS)}
    return taken | {'temperature': np.array([weights.temperature], np.float32)}


def _name(architecture: dict[str, Any]) -> str:
    """Name of the file: dropout is not part of the graph, as it is for training only."""
    facts = {key: value for key, value in architecture.items() if key != 'dropout'}
    return f'msfernet-{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]}.onnx'


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    from fer_ros.msfernet.cli import Parser, run
    parser = Parser(prog='prepared_graph', description='Write the ONNX graph of an architecture, without weights.')
    parser.add_argument('--model', type=Path, required=True, help='weights file (.safetensors)')
    parser.add_argument('--out', type=Path, default=Path(FOLDER), help=f'folder, default: {FOLDER}')
    options = parser.parse_args(arguments)
    return run('prepared_graph', lambda: _write(options))


def _write(options: argparse.Namespace) -> None:
    from fer_ros.atomic_files import write_file
    from fer_ros.msfernet.cli import require
    from fer_ros.msfernet.export import graph_onnx
    require('onnx')
    architecture = read_weights(options.model).architecture
    out = options.out / _name(architecture)
    write_file(out, graph_onnx(architecture))
    print(out)


if __name__ == '__main__':
    sys.exit(main())
