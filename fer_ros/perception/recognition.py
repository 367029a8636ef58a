"""From cropped faces to the probabilities of the seven emotions, on the CPU or a GPU.

torch takes seconds and 200 MB to load, so that it is imported only where it runs the network or finds the GPU.
"""

import ctypes
import logging
import os
import re
from pathlib import Path

import numpy as np

from fer_ros.emotions import EMOTIONS
from fer_ros.msfernet.weights_file import INPUT_SIZE, Weights, WeightsError, read_weights
from fer_ros.package_files import shared_file
from fer_ros.parameters import FER_NODE, by_name
from fer_ros.perception import PipelineError, onnx_runtime
from fer_ros.perception.onnx_runtime import OnnxRuntime
from fer_ros.perception.runtime import Runtime, RuntimeFailure
from fer_ros.perception.settings import PipelineSettings

log = logging.getLogger(__name__)

SHIPPED_MODEL = 'models/msfernet.safetensors'
RUNTIMES = by_name(FER_NODE)['runtime'].choices
PRECISIONS = by_name(FER_NODE)['precision'].choices


class RecognizerError(PipelineError):
    """The network cannot be loaded or run; the message names the remedy."""


class EmotionRecognizer:
    """MSFERNet with its weights, ready to run: the first frame is not slower than later ones.

    Args:
        model_path: weights file (.safetensors); empty: the weights included in the package.
        device: 'auto' (a working GPU, or else the CPU, with a log message), 'cpu', 'cuda' or 'cuda:N'.
        threads: maximum number of CPU threads, limited to the processors available to this process. For torch this
            is a setting of the whole process: the last recogniser created determines it.
        runtime: 'auto' (on a CPU ONNX Runtime if it is installed, or else torch with a log message; torch on a GPU),
            'torch', or 'onnxruntime' (on the CPU only).
        precision: 'float32', 'int8' (in ONNX Runtime only), or 'auto' (the faster of both there).

    Raises:
        RecognizerError: the weights file is missing, truncated or not of MSFERNet, the device is not available, or
            the runtime is not installed or does not work.
    """

    def __init__(self, model_path: str | Path = '', device: str = 'auto', threads: int = 1, runtime: str = 'auto',
                 precision: str = 'float32'):
        try:
            path = Path(model_path) if model_path else shared_file(SHIPPED_MODEL)
            weights = read_weights(path)
        except (WeightsError, FileNotFoundError) as error:
            raise RecognizerError(str(error)) from error
        if threads < 1:
            raise RecognizerError(f'threads must be at least 1, got {threads}')
        if runtime not in RUNTIMES:
            raise RecognizerError(f'unknown runtime {runtime!r}: choose one of {", ".join(RUNTIMES)}')
        if precision not in PRECISIONS:
            raise RecognizerError(f'unknown precision {precision!r}: choose one of {", ".join(PRECISIONS)}')
        if precision == 'int8' and (runtime == 'torch' or device.startswith('cuda')):
            raise RecognizerError('precision int8 is for ONNX Runtime on a CPU: set precision to auto, or runtime to '
                                  'onnxruntime and device to cpu')
        threads = min(threads, len(os.sched_getaffinity(0)))  # more threads would only wait for each other
        try:
            self._runtime = _start(weights, device, threads, runtime, precision)
        except (RuntimeFailure, WeightsError) as error:
            raise RecognizerError(str(error)) from error
        self.model_name = path.name

    @property
    def device(self) -> str:
        """Device that the network actually runs on: 'cpu' or 'cuda:N'."""
        return self._runtime.device

    @property
    def runtime(self) -> str:
        """Runtime that is actually used: 'torch' or 'onnxruntime'."""
        return self._runtime.name

    @property
    def precision(self) -> str:
        """Precision that is actually used: 'float32' or 'int8'."""
        return self._runtime.precision

    def probabilities(self, crops: np.ndarray) -> np.ndarray:
        """Classify all faces of a frame in one batch.

        Args:
            crops: (N, 48, 48) uint8 grey, as `fer_ros.perception.cropping.crop_faces` makes them; N may be 0.

        Returns:
            float32 (N, 7), rows summing to 1, in the order of `fer_ros.emotions.EMOTIONS`.

        Raises:
            ValueError: another shape or dtype.
            RecognizerError: the device fails, for example because it is out of memory.
        """
        if crops.ndim != 3 or crops.shape[1:] != (INPUT_SIZE, INPUT_SIZE) or crops.dtype != np.uint8:
            raise ValueError(f'crops must be uint8 of shape (N, {INPUT_SIZE}, {INPUT_SIZE}), '
                             f'got {crops.dtype} {crops.shape}')
        if not len(crops):
            return np.zeros((0, len(EMOTIONS)), np.float32)
        try:
            return self._runtime.probabilities(crops)
        except RuntimeFailure as error:
            raise RecognizerError(str(error)) from error


def create_recognizer(settings: PipelineSettings) -> EmotionRecognizer:
    """The recogniser of a pipeline: model, device, threads, runtime and precision are used. Raises RecognizerError."""
    return EmotionRecognizer(settings.model, settings.device, settings.threads, settings.runtime, settings.precision)


def _start(weights: Weights, device: str, threads: int, runtime: str, precision: str) -> Runtime:
    place = _choose_device(device, cpu_only=runtime == 'onnxruntime' or precision == 'int8')
    if place != 'cpu':
        try:
            return _torch_runtime(weights, place, threads)
        except RuntimeFailure as error:
            if device != 'auto':
                raise
            log.warning('%s; falling back to the CPU', error)
    if runtime == 'torch':
        return _torch_runtime(weights, 'cpu', threads)
    try:
        return OnnxRuntime(weights, threads, precision)
    except RuntimeFailure as error:
        fallback = _torch_runtime(weights, 'cpu', threads)  # raises WeightsError if it is the weights that do not fit
        if runtime == 'onnxruntime' or precision == 'int8':
            raise
        # Not installing it is a valid choice; an installation that fails deserves a warning.
        log.log(logging.INFO if onnx_runtime.missing(weights) else logging.WARNING,
                'Using PyTorch, which is slower than ONNX Runtime on a CPU: %s', error)
        return fallback


def _torch_runtime(weights: Weights, place: str, threads: int) -> Runtime:
    import torch

    from fer_ros.msfernet.weights import build
    from fer_ros.perception.torch_runtime import TorchRuntime
    torch.set_num_threads(threads)
    return TorchRuntime(build(weights), torch.device(place))


def gpu_possible() -> bool:
    """Whether a driver that torch could use is there: NVIDIA's library, or the device of AMD's driver."""
    try:
        ctypes.CDLL('libcuda.so.1')
    except OSError:
        return os.path.exists('/dev/kfd')
    return True


def _choose_device(device: str, cpu_only: bool = False) -> str:
    """'cpu' or 'cuda:N'."""
    if device not in ('auto', 'cpu') and not re.fullmatch(r'cuda(:\d+)?', device):
        raise RecognizerError(f'unknown device {device!r}: choose auto, cpu, cuda or cuda:N')
    if cpu_only and device.startswith('cuda'):
        raise RecognizerError(f'the runtime onnxruntime runs on the CPU only, not on {device}: set runtime to torch or '
                              'auto, or device to cpu')
    if device == 'cpu' or cpu_only:
        return 'cpu'
    count = _count_gpus() if device != 'auto' or gpu_possible() else 0
    number = int(device.partition(':')[2] or 0)
    if number < count:
        return f'cuda:{number}'
    if device == 'auto':
        log.info('No CUDA device found: the network runs on the CPU.')
        return 'cpu'
    there = f'only cuda:0 to cuda:{count - 1} are present' if count else 'torch finds no CUDA device'
    raise RecognizerError(f'device {device} is not available: {there}; set device to auto or cpu')


def _count_gpus() -> int:
    import torch
    return torch.cuda.device_count() if torch.cuda.is_available() else 0
