"""The network in ONNX Runtime on the CPU, about twice as fast there as PyTorch for a single face.

The graph takes its weights from the weights file in memory, so there is only one model file to exchange.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np

from fer_ros.msfernet import prepared_graph
from fer_ros.msfernet.weights_file import INPUT_SIZE, Weights
from fer_ros.perception.runtime import RuntimeFailure, first_line

# A newer onnx needs a newer protobuf than MediaPipe allows, which later Pythons do without.
INSTALL = f'pip install onnx=={"1.17.0" if sys.version_info < (3, 13) else "1.23.2"} onnxruntime'


def missing(weights: Weights) -> str:
    """The missing dependencies of `OnnxRuntime`, with the remedy; empty if there are none."""
    needed = ['onnxruntime'] if prepared_graph.prepared(weights.architecture) else ['onnx', 'onnxruntime']
    names = [name for name in needed if find_spec(name) is None]
    return f'{" and ".join(names)} not installed: {INSTALL}' if names else ''


class OnnxRuntime:
    """A `fer_ros.perception.runtime.Runtime`.

    Args:
        weights: of the network.
        threads: number of threads that share the faces of a batch. A single face is classified by one thread: its
            convolutions are so small that sharing them costs much processor time for little gain.

    Raises:
        RuntimeFailure: what `missing` names is missing, or does not work, or the weights do not fit.
    """

    name = 'onnxruntime'
    device = 'cpu'

    def __init__(self, weights: Weights, threads: int = 1):
        if told := missing(weights):
            raise RuntimeFailure(told)
        try:
            import onnxruntime
            options = onnxruntime.SessionOptions()
            # No internal threads, which would keep their cores busy while they wait.
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            # Python exceptions report errors; by default they are also written to stderr.
            options.log_severity_level = 4
            tensors = prepared_graph.initializers(weights)
            options.add_external_initializers(
                list(tensors), [onnxruntime.OrtValue.ortvalue_from_numpy(tensor) for tensor in tensors.values()])
            self._session = onnxruntime.InferenceSession(prepared_graph.graph(weights), options,
                                                         providers=['CPUExecutionProvider'])
            self._threads = threads
            self._pool = ThreadPoolExecutor(threads - 1, 'onnx_runtime') if threads > 1 else None
            # The first run allocates memory.
            self.probabilities(np.zeros((2 * threads, INPUT_SIZE, INPUT_SIZE), np.uint8))
        except Exception as error:  # its exceptions have no common base, and a broken installation can raise any
            raise RuntimeFailure(f'ONNX Runtime cannot run the network ({type(error).__name__}: {first_line(error)}): '
                                 f'set runtime to torch, or {INSTALL}') from error

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """Classify faces of uint8 (N, 48, 48). Raises RuntimeFailure."""
        parts = np.array_split(faces, min(self._threads, len(faces)))
        try:
            others = [self._pool.submit(self._run, part) for part in parts[1:]] if self._pool else []
            return np.concatenate([self._run(parts[0]), *(other.result() for other in others)])
        except Exception as error:
            raise RuntimeFailure(f'the network failed in ONNX Runtime: {first_line(error)}') from error

    def _run(self, faces: np.ndarray) -> np.ndarray:
        return self._session.run(None, {'faces': faces})[0]
