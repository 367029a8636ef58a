"""What runs the network: PyTorch or ONNX Runtime, behind one interface."""

from typing import Protocol

import numpy as np

from fer_ros.perception import PipelineError


class RuntimeFailure(PipelineError):
    """A runtime is not installed, or cannot load or run the network; the text says why and what to do."""


class Runtime(Protocol):
    """The network with its weights, ready to run: its first batch is not slower than the others."""

    name: str
    """'torch' or 'onnxruntime'."""
    device: str
    """Where it runs: 'cpu' or 'cuda:N'."""

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """Classify faces of uint8 (N, 48, 48), N at least 1: float32 (N, 7), calibrated, rows summing to 1.

        Raises:
            RuntimeFailure: the device fails, for example for want of memory.
        """


def first_line(error: Exception) -> str:
    """The first line of an error's text, or its type where there is none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
