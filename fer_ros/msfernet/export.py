"""Write the network as ONNX.

    python -m fer_ros.msfernet.export --model models/msfernet.safetensors --out msfernet.onnx

The graph holds the network alone, as `fer_ros.msfernet.network` defines it:

* input ``faces``: float32 (batch, 1, 48, 48), grey, standardised as `fer_ros.msfernet.preprocessing` does;
* output ``logits``: float32 (batch, 7); ``softmax(logits / temperature)`` are the calibrated shares of raters;
* output ``fer2013_logits``: float32 (batch, 7), likewise with ``fer2013_temperature``, of FER2013's own labels;
* output ``embedding``: float32 (batch, 240) with the shipped weights.

Metadata of the file, as in the weights: ``labels`` (a JSON list), ``input_size``, ``temperature``,
``fer2013_temperature``.
"""

import argparse
import io
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fer_ros.atomic_files import write_file
from fer_ros.emotions import EMOTIONS
from fer_ros.msfernet.cli import Parser, require, run
from fer_ros.msfernet.network import MSFERNet, Output
from fer_ros.msfernet.preprocessing import standardised
from fer_ros.msfernet.weights import Model, load_model
from fer_ros.msfernet.weights_file import INPUT_SIZE

OPSET = 17
TOLERANCE = 1e-4


def onnx_bytes(model: Model) -> bytes:
    """The network as a serialised ONNX model with a free batch size.

    BatchNorm is left to the runtime: folding it into the convolutions by hand measured no faster in ONNX Runtime.

    Raises:
        ImportError: the package onnx is missing.
    """
    import onnx

    faces = torch.zeros(2, 1, INPUT_SIZE, INPUT_SIZE)
    graph = onnx.load_from_string(_export_module(model.network.cpu(), faces, list(Output._fields)))
    onnx.helper.set_model_props(graph, {
        'labels': json.dumps(EMOTIONS), 'input_size': str(INPUT_SIZE), 'temperature': str(model.temperature),
        'fer2013_temperature': str(model.fer2013_temperature)})
    graph.doc_string = 'MSFERNet: standardised faces in; softmax(logits / temperature) are probabilities'
    onnx.checker.check_model(graph, full_check=True)
    return graph.SerializeToString()


def graph_onnx(architecture: dict[str, Any]) -> bytes:
    """The graph of `fer_ros.msfernet.prepared_graph`, serialised: all that the recogniser does, without weights.

    Args:
        architecture: arguments of `fer_ros.msfernet.network.MSFERNet`.

    Raises:
        ImportError: the package onnx is missing.
        TypeError, ValueError: there is no such architecture.
    """
    import onnx

    with torch.random.fork_rng(devices=[]):
        module = _Probabilities(MSFERNet(**architecture))
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                torch.nn.init.uniform_(tensor)  # all different: the exporter would keep equal ones only once
    example = torch.zeros(2, INPUT_SIZE, INPUT_SIZE, dtype=torch.uint8)
    # Without folding of constants, so that the initializers are the tensors of the weights file.
    graph = onnx.load_from_string(_export_module(module, example, ['probabilities'], folded=False))
    for tensor in graph.graph.initializer:
        tensor.ClearField('raw_data')
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key='location', value='the weights file')
    return graph.SerializeToString()


def probabilities_onnx(model: Model) -> bytes:
    """The same with its weights, BatchNorm folded into the convolutions.

    Raises:
        ImportError: the package onnx is missing.
    """
    import onnx  # noqa: F401  torch's own error would not be an ImportError

    example = torch.zeros(2, INPUT_SIZE, INPUT_SIZE, dtype=torch.uint8)
    return _export_module(_Probabilities(model.network.cpu(), model.temperature), example, ['probabilities'])


class _Probabilities(nn.Module):
    def __init__(self, network: MSFERNet, temperature: float = 1.0):
        super().__init__()
        self.network = network
        self.register_buffer('temperature', torch.tensor([temperature]))

    def forward(self, faces: Tensor) -> Tensor:
        return (self.network(standardised(faces.unsqueeze(1).float())).logits / self.temperature).softmax(1)


def _export_module(module: nn.Module, example: Tensor, outputs: list[str], *, folded: bool = True) -> bytes:
    buffer: Any = io.BytesIO()  # which the older exporter takes, and its types do not name
    with torch.no_grad(), warnings.catch_warnings():
        # The newer exporter (dynamo=True) needs onnxscript, which wants a newer onnx than MediaPipe's protobuf allows.
        warnings.simplefilter('ignore', DeprecationWarning)
        torch.onnx.export(
            module.eval(), (example,), buffer, dynamo=False, opset_version=OPSET, input_names=['faces'],
            output_names=outputs, dynamic_axes={name: {0: 'batch'} for name in ('faces', *outputs)},
            do_constant_folding=folded,
            training=torch.onnx.TrainingMode.EVAL if folded else torch.onnx.TrainingMode.PRESERVE)
    return buffer.getvalue()


def largest_difference(model: Model, serialised: bytes, *, batch: int = 5) -> float:
    """Largest absolute difference of torch and ONNX Runtime over all outputs for `batch` random faces.

    Raises:
        ImportError: the package onnxruntime is missing.
    """
    import onnxruntime

    faces = torch.randn(batch, 1, INPUT_SIZE, INPUT_SIZE, generator=torch.Generator().manual_seed(0))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(serialised, options, providers=['CPUExecutionProvider'])
    with torch.inference_mode():
        expected = model.network.cpu().eval()(faces)
    actual = session.run(list(Output._fields), {'faces': faces.numpy()})
    return max(float((torch.from_numpy(a) - e).abs().max()) for a, e in zip(actual, expected, strict=True))


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = Parser(prog='export', description='Write MSFERNet weights as ONNX and compare it with torch.')
    parser.add_argument('--model', type=Path, required=True, help='weights file (.safetensors)')
    parser.add_argument('--out', type=Path, required=True, help='ONNX file to write')
    options = parser.parse_args(arguments)
    return run('export', lambda: _export(options))


def _export(options: argparse.Namespace) -> None:
    require('onnx', 'onnxruntime')
    model = load_model(options.model)
    serialised = onnx_bytes(model)
    difference = max(largest_difference(model, serialised, batch=batch) for batch in (1, 5))
    if not difference <= TOLERANCE:
        raise ValueError(f'ONNX Runtime differs from torch by {difference:.2g}, more than {TOLERANCE:g}: '
                         'nothing was written')
    write_file(options.out, serialised)
    print(f'{options.out}: {len(serialised) / 1e6:.1f} MB, within {difference:.1g} of torch')


if __name__ == '__main__':
    sys.exit(main())
