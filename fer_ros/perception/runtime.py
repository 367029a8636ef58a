"""The interface of the inference runtimes PyTorch and ONNX Runtime."""

from typing import Protocol

import numpy as np

from fer_ros.perception import PipelineError


class RuntimeFailure(PipelineError):
    """A runtime is not installed, or cannot load or run the network; the message says why and what to do."""


class Runtime(Protocol):
    """The network with its weights, ready to run: the first batch is not slower than later ones."""

    name: str
    """'torch' or 'onnxruntime'."""
    device: str
    """Device it runs on: 'cpu' or 'cuda:N'."""
    precision: str
    """Data type of weights and features."""

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """Compute the probabilities of faces.

        Args:
            faces: uint8 (N, 48, 48), N at least 1.

        Returns:
            float32 (N, 7), after temperature scaling, rows summing to 1.

        Raises:
            RuntimeFailure: the device fails, for example because it is out of memory.
        """


def first_line(error: Exception) -> str:
    """The first line of the message of an error, or its type if there is none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
