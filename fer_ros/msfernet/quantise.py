"""Write the network with 8-bit convolutions, about twice as fast on processors with dot products of bytes.

    python -m fer_ros.msfernet.quantise --model models/msfernet.safetensors --data DIR

writes models/msfernet.int8.onnx, which is used where it lies beside the weights that it was made of (parameter
`precision`). The ranges of the features are calibrated on training faces, clean and degraded (static quantisation, one
scale for each channel of the weights; Jacob et al., CVPR 2018). The stem and the attention stay float32: they are a
small part of the time, and cost most of the agreement.
"""

import argparse
import hashlib
import json
import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fer_ros.atomic_files import write_file
from fer_ros.msfernet import conditions, data
from fer_ros.msfernet.cli import Parser, require, run
from fer_ros.msfernet.export import probabilities_onnx
from fer_ros.msfernet.prepared_graph import QUANTISED_OF, quantised_path
from fer_ros.msfernet.weights import load_model

FACES = 1024
"""Training faces for the calibration, half of them degraded."""
BATCH = 32
PERCENTILE = 99.999
"""Of the features, that are represented; what is beyond is clipped."""
FLOAT = ('/stem/', '/attention')
"""Parts of the names of convolutions that stay float32."""


def calibration_faces(images: np.ndarray) -> np.ndarray:
    """Evenly taken faces (N, 48, 48) uint8 of `images`, every second one degraded."""
    chosen = images[np.linspace(0, len(images) - 1, min(FACES, len(images))).astype(int)].copy()
    names = list(conditions.CONDITIONS)
    for number, name in enumerate(names):
        part = slice(1 + 2 * number, None, 2 * len(names))
        chosen[part] = conditions.apply(name, chosen[part])
    return chosen


def quantise(weights: Path, faces: np.ndarray) -> bytes:
    """The quantised network as a serialised ONNX model, with input and output of `fer_ros.msfernet.prepared_graph`.

    Args:
        weights: weights file.
        faces: (N, 48, 48) uint8, for the calibration.

    Raises:
        ImportError: onnx or onnxruntime is missing.
        WeightsError: the file cannot be used.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quant_pre_process,
        quantize_static,
    )

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._parts = iter(tqdm(np.array_split(faces, -(-len(faces) // BATCH)), desc='calibrating', unit='batch'))

        def get_next(self) -> dict | None:
            part = next(self._parts, None)
            return None if part is None else {'faces': part}

    model = load_model(weights)
    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, out = (str(Path(folder, f'{name}.onnx')) for name in ('plain', 'prepared', 'int8'))
        Path(plain).write_bytes(probabilities_onnx(model))
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        kept = [node.name for node in onnx.load(prepared).graph.node
                if node.op_type == 'Conv' and any(part in node.name for part in FLOAT)]
        quantize_static(prepared, out, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, op_types_to_quantize=['Conv'],
                        nodes_to_exclude=kept, calibrate_method=CalibrationMethod.Percentile,
                        extra_options={'CalibPercentile': PERCENTILE})
        graph = onnx.load(out)
    onnx.helper.set_model_props(graph, {QUANTISED_OF: hashlib.sha256(weights.read_bytes()).hexdigest(),
                                        'calibration_faces': json.dumps(len(faces))})
    return graph.SerializeToString()


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = Parser(prog='quantise', description='Write MSFERNet with 8-bit convolutions.')
    parser.add_argument('--model', type=Path, required=True, help='weights file (.safetensors)')
    parser.add_argument('--data', required=True, help='image folder, CK+48 folder or Kaggle CSV with training faces')
    parser.add_argument('--split', default='train', help='faces for the calibration; default: %(default)s')
    options = parser.parse_args(arguments)
    return run('quantise', lambda: _quantise(options))


def _quantise(options: argparse.Namespace) -> None:
    require('onnx', 'onnxruntime')
    load_model(options.model)
    faces = calibration_faces(data.load(options.data, options.split, progress=True).images)
    logging.disable(logging.WARNING)  # onnxruntime recommends what was done already
    try:
        serialised = quantise(options.model, faces)
    finally:
        logging.disable(logging.NOTSET)
    out = quantised_path(options.model)
    write_file(out, serialised)
    print(f'{out}: {len(serialised) / 1e6:.1f} MB')


if __name__ == '__main__':
    sys.exit(main())
