"""The network in ONNX Runtime on the CPU, about twice as fast there as PyTorch for a single face.

The graph takes its weights from the weights file in memory. A second file beside that may hold the same network with
8-bit convolutions, which `python -m fer_ros.msfernet.quantise` writes.
"""

import hashlib
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import numpy as np

from fer_ros.msfernet import prepared_graph
from fer_ros.msfernet.prepared_graph import QUANTISED_OF, quantised_path
from fer_ros.msfernet.weights_file import INPUT_SIZE, Weights
from fer_ros.perception.runtime import RuntimeFailure, first_line

# A newer onnx needs a newer protobuf than MediaPipe allows, which later Pythons do without.
INSTALL = f'pip install onnx=={"1.17.0" if sys.version_info < (3, 13) else "1.23.2"} onnxruntime'


def missing(weights: Weights) -> str:
    """The missing dependencies of `OnnxRuntime`, with the remedy; empty if there are none."""
    needed = ['onnxruntime'] if prepared_graph.prepared(weights.architecture) else ['onnx', 'onnxruntime']
    names = [name for name in needed if find_spec(name) is None]
    return f'{" and ".join(names)} not installed: {INSTALL}' if names else ''


MUCH_FASTER = 0.9
"""Share of the time in float32 below which 8 bits are worth their small loss of accuracy."""
_RUNS = 15
"""Number of faces that are timed in each precision."""


class OnnxRuntime:
    """A `fer_ros.perception.runtime.Runtime`.

    Args:
        weights: of the network.
        threads: number of threads that share the faces of a batch. A single face is classified by one thread: its
            convolutions are so small that sharing them costs much processor time for little gain.
        precision: 'float32', 'int8', or 'auto': int8 where there is such a file and it is much faster here, which is
            measured once per process.

    Raises:
        RuntimeFailure: what `missing` names is missing, or does not work, or the weights do not fit; or int8 is asked
            for and its file is missing or of other weights.
    """

    name = 'onnxruntime'
    device = 'cpu'

    def __init__(self, weights: Weights, threads: int = 1, precision: str = 'float32'):
        if told := missing(weights):
            raise RuntimeFailure(told)
        try:
            self._session, self.precision = _choose(weights, precision)
            self._threads = threads
            self._pool = ThreadPoolExecutor(threads - 1, 'onnx_runtime') if threads > 1 else None
            # The first run allocates memory.
            self.probabilities(np.zeros((2 * threads, INPUT_SIZE, INPUT_SIZE), np.uint8))
        except RuntimeFailure:
            raise
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


def _choose(weights: Weights, precision: str) -> tuple[Any, str]:
    """The session to use, and its precision."""
    if precision == 'int8':
        return _int8(weights), 'int8'
    session = _float32(weights)
    if precision == 'float32':
        return session, 'float32'
    try:
        quantised = _int8(weights)
    except RuntimeFailure:
        return session, 'float32'
    key = quantised.get_modelmeta().custom_metadata_map[QUANTISED_OF]
    if key not in _faster:
        _faster[key] = _time(quantised, session) < MUCH_FASTER
    return (quantised, 'int8') if _faster[key] else (session, 'float32')


_faster: dict[str, bool] = {}
"""Whether int8 is much faster, by weights: all recognisers of a process must agree, however busy the machine is."""


def _time(one: Any, other: Any) -> float:
    """Time of a face in one session relative to that in another.

    Of processor time of this thread, in which sessions run: libraries that are being imported beside it, and other
    programs, would let both seem equally slow.
    """
    face = np.random.default_rng(0).integers(0, 256, (1, INPUT_SIZE, INPUT_SIZE), np.uint8)
    ratios = []
    for run in range(_RUNS):
        seconds = []
        for session in (one, other):
            started = time.thread_time()
            session.run(None, {'faces': face})
            seconds.append(time.thread_time() - started)
        if run:  # the first allocates memory
            ratios.append(seconds[0] / seconds[1])
    return statistics.median(ratios)


def _float32(weights: Weights) -> Any:
    import onnxruntime
    options = _options()
    tensors = prepared_graph.initializers(weights)
    options.add_external_initializers(
        list(tensors), [onnxruntime.OrtValue.ortvalue_from_numpy(tensor) for tensor in tensors.values()])
    return onnxruntime.InferenceSession(prepared_graph.graph(weights), options, providers=['CPUExecutionProvider'])


def _int8(weights: Weights) -> Any:
    """Raises RuntimeFailure if there is no quantised network of these weights."""
    import onnxruntime
    path = quantised_path(weights.path)
    remedy = f'run python -m fer_ros.msfernet.quantise --model {weights.path}, or set precision to float32'
    if not path.is_file():
        raise RuntimeFailure(f'there is no quantised network {path}: {remedy}')
    session = onnxruntime.InferenceSession(path.read_bytes(), _options(), providers=['CPUExecutionProvider'])
    made_of = session.get_modelmeta().custom_metadata_map.get(QUANTISED_OF)
    if made_of != hashlib.sha256(weights.path.read_bytes()).hexdigest():
        raise RuntimeFailure(f'{path} is not of the weights {weights.path}: {remedy}')
    return session


def _options() -> Any:
    import onnxruntime
    options = onnxruntime.SessionOptions()
    # No internal threads, which would keep their cores busy while they wait.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Python exceptions report errors; by default they are also written to stderr.
    options.log_severity_level = 4
    return options
