"""The network in PyTorch, on the CPU or a GPU."""

import io
import warnings

import numpy as np
import torch
from torch import Tensor, nn

from fer_ros.msfernet.preprocessing import network_input
from fer_ros.msfernet.weights import Model
from fer_ros.msfernet.weights_file import INPUT_SIZE
from fer_ros.perception.runtime import RuntimeFailure, first_line

PRECISIONS = {'float32': torch.float32, 'float16': torch.float16, 'bfloat16': torch.bfloat16}


class TorchRuntime:
    """A `fer_ros.perception.runtime.Runtime`.

    Args:
        model: the network; it is moved to `device`.
        device: device to run on.
        precision: data type of weights and features: 'float32', 'float16' or 'bfloat16'. The probabilities are float32.

    Raises:
        RuntimeFailure: the network does not run there.
    """

    name = 'torch'

    def __init__(self, model: Model, device: torch.device, precision: str = 'float32'):
        self.device = str(device)
        self.precision = precision
        self._device = device
        self._dtype = PRECISIONS[precision]
        try:
            self._network = self._prepare(_Probabilities(model))
            for count in (1, 1, 2):  # the first runs include optimisation
                self.probabilities(np.zeros((count, INPUT_SIZE, INPUT_SIZE), np.uint8))
        except RuntimeError as error:
            raise RuntimeFailure(f'the network does not run on {device}: {first_line(error)}') from error

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """Classify faces of uint8 (N, 48, 48). Raises RuntimeFailure."""
        try:
            with torch.inference_mode():
                batch = network_input(torch.as_tensor(faces).to(self._device))
                batch = batch.to(self._dtype).contiguous(memory_format=torch.channels_last)
                return self._network(batch).cpu().numpy()
        except RuntimeError as error:
            raise RuntimeFailure(f'the network failed on {self._device}: {first_line(error)}') from error

    def _prepare(self, module: '_Probabilities') -> nn.Module:
        """Trace and freeze the module: a quarter faster on a CPU than running module by module."""
        # torch's types leave out memory_format.
        module = module.eval().to(self._device, self._dtype,
                                  memory_format=torch.channels_last)  # type: ignore[call-overload]
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter('ignore', DeprecationWarning)  # of torch.jit; its successor needs a C++ compiler
            traced = torch.jit.load(io.BytesIO(self._traced(module)), map_location=self._device)
            traced.load_state_dict(module.state_dict())
            return torch.jit.freeze(traced.eval())

    def _traced(self, module: '_Probabilities') -> bytes:
        """The module as a TorchScript file, created once for each structure.

        torch never releases traced modules (33 MB for each recogniser), but it does release loaded ones.
        """
        key = repr(module), str(self._device), self._dtype
        if key not in _traces:
            example = torch.zeros(2, 1, INPUT_SIZE, INPUT_SIZE, device=self._device, dtype=self._dtype)
            file = io.BytesIO()
            # Its check would run the module four times more and import half of torch; tests compare what comes out.
            torch.jit.save(torch.jit.trace(module, example.contiguous(memory_format=torch.channels_last),
                                           check_trace=False), file)
            _traces[key] = file.getvalue()
        return _traces[key]


_traces: dict[tuple[str, str, torch.dtype], bytes] = {}


class _Probabilities(nn.Module):
    def __init__(self, model: Model):
        super().__init__()
        self.network = model.network
        self.register_buffer('temperature', torch.tensor(float(model.temperature)))

    def forward(self, faces: Tensor) -> Tensor:
        return (self.network(faces).logits.float() / self.temperature.float()).softmax(1)
