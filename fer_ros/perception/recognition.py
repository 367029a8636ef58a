"""Cropped faces to probabilities of the seven emotions, on the CPU or a GPU."""

import io
import logging
import re
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fer_ros.emotions import EMOTIONS
from fer_ros.msfernet.network import INPUT_SIZE, MSFERNet
from fer_ros.msfernet.preprocessing import network_input
from fer_ros.msfernet.weights import WeightsError, load_model
from fer_ros.perception import PipelineError
from fer_ros.resources import shared_file

log = logging.getLogger(__name__)

SHIPPED_MODEL = 'models/msfernet.safetensors'


class RecognizerError(PipelineError):
    """The network cannot be loaded or run as asked; the text names the remedy."""


class EmotionRecognizer:
    """MSFERNet with its weights, ready to run: the first frame is not slower than the others.

    Args:
        model_path: weights file (.safetensors); empty: the one that comes with the package.
        device: 'auto' (a GPU if there is a working one, else the CPU, with a log line), 'cpu', 'cuda' or 'cuda:N'.
        threads: CPU threads. This is torch's setting for the whole process: the last recogniser made decides.

    Raises:
        RecognizerError: the weights file is missing, truncated or not MSFERNet's, or the device is not there.
    """

    def __init__(self, model_path: str | Path = '', device: str = 'auto', threads: int = 1):
        try:
            path = Path(model_path) if model_path else shared_file(SHIPPED_MODEL)
            model = load_model(path)
        except (WeightsError, FileNotFoundError) as error:
            raise RecognizerError(str(error)) from error
        if threads < 1:
            raise RecognizerError(f'threads must be at least 1, got {threads}')
        torch.set_num_threads(threads)
        self._mean, self._std = model.mean, model.std
        self._device = _choose_device(device)
        try:
            self._network = self._prepare(model.network, model.temperature)
        except RuntimeError as error:
            if device != 'auto' or self._device.type == 'cpu':
                raise RecognizerError(f'the network does not run on {self._device}: {_first_line(error)}') from error
            log.warning('The network does not run on %s, so it runs on the CPU: %s', self._device, _first_line(error))
            self._device = torch.device('cpu')
            self._network = self._prepare(model.network, model.temperature)
        self.model_name = path.name

    @property
    def device(self) -> str:
        """Where the network really runs: 'cpu' or 'cuda:N'."""
        return str(self._device)

    def probabilities(self, crops: np.ndarray) -> np.ndarray:
        """Classify all faces of a frame in one batch.

        Args:
            crops: (N, 48, 48) uint8 grey, as `fer_ros.perception.cropping.crop_faces` makes them; N may be 0.

        Returns:
            float32 (N, 7), rows summing to 1, in the order of `fer_ros.emotions.EMOTIONS`.

        Raises:
            ValueError: another shape or dtype.
            RecognizerError: the device fails, for example for want of memory.
        """
        if crops.ndim != 3 or crops.shape[1:] != (INPUT_SIZE, INPUT_SIZE) or crops.dtype != np.uint8:
            raise ValueError(f'crops must be uint8 of shape (N, {INPUT_SIZE}, {INPUT_SIZE}), '
                             f'got {crops.dtype} {crops.shape}')
        if not len(crops):
            return np.zeros((0, len(EMOTIONS)), np.float32)
        try:
            return self._run(network_input(crops, mean=self._mean, std=self._std))
        except RuntimeError as error:
            raise RecognizerError(f'the network failed on {self._device}: {_first_line(error)}') from error

    def _run(self, faces: Tensor) -> np.ndarray:
        with torch.inference_mode():
            faces = faces.to(self._device).contiguous(memory_format=torch.channels_last)
            return self._network(faces).cpu().numpy()

    def _prepare(self, network: MSFERNet, temperature: float) -> nn.Module:
        """Trace, freeze and warm up: a quarter faster on a CPU than the modules run one by one."""
        module = _Probabilities(network, temperature).eval().to(self._device, memory_format=torch.channels_last)
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter('ignore', DeprecationWarning)  # of torch.jit; its successor needs a C++ compiler
            traced = torch.jit.load(io.BytesIO(_traced(module, self._device)), map_location=self._device)
            traced.load_state_dict(module.state_dict())
            self._network = torch.jit.freeze(traced.eval())
        for count in (1, 1, 2):  # the first runs optimise
            self._run(torch.zeros(count, 1, INPUT_SIZE, INPUT_SIZE))
        return self._network


class _Probabilities(nn.Module):
    def __init__(self, network: MSFERNet, temperature: float):
        super().__init__()
        self.network = network
        self.register_buffer('temperature', torch.tensor(float(temperature)))

    def forward(self, faces: Tensor) -> Tensor:
        return (self.network(faces).logits / self.temperature).softmax(1)


_traces: dict[tuple[str, str], bytes] = {}


def _traced(module: _Probabilities, device: torch.device) -> bytes:
    """The module as a TorchScript file, made once for each structure.

    torch keeps what it has traced for good (33 MB for each recogniser made), but not what it has loaded.
    """
    key = repr(module), str(device)
    if key not in _traces:
        example = torch.zeros(2, 1, INPUT_SIZE, INPUT_SIZE, device=device)
        file = io.BytesIO()
        torch.jit.save(torch.jit.trace(module, example.contiguous(memory_format=torch.channels_last)), file)
        _traces[key] = file.getvalue()
    return _traces[key]


def _choose_device(device: str) -> torch.device:
    if device not in ('auto', 'cpu') and not re.fullmatch(r'cuda(:\d+)?', device):
        raise RecognizerError(f'unknown device {device!r}: choose auto, cpu, cuda or cuda:N')
    if device == 'cpu':
        return torch.device('cpu')
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    number = int(device.partition(':')[2] or 0)
    if number < count:
        return torch.device('cuda', number)
    if device == 'auto':
        log.info('No CUDA device found: the network runs on the CPU.')
        return torch.device('cpu')
    there = f'only cuda:0 to cuda:{count - 1} are there' if count else 'torch finds no CUDA device'
    raise RecognizerError(f'device {device} is not available: {there}; set device to auto or cpu')


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
