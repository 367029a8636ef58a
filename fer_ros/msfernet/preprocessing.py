"""From grey pixels to network input: the one function that training, evaluation and the node share."""

import numpy as np
import torch
from torch import Tensor

MEAN = 0.5077
STD = 0.2551
"""Of FER2013's training pixels scaled to [0, 1]."""


def network_input(faces: np.ndarray | Tensor, *, mean: float = MEAN, std: float = STD) -> Tensor:
    """Scale and standardise grey faces.

    Args:
        faces: (N, H, W) uint8.
        mean, std: of the training pixels, in [0, 1]; a weights file brings its own.

    Returns:
        (N, 1, H, W) float32, in memory of its own.

    Raises:
        ValueError: for another shape or dtype.
    """
    faces = torch.as_tensor(faces)
    if faces.ndim != 3 or faces.dtype != torch.uint8:
        raise ValueError(f'faces must be uint8 of shape (N, H, W), got {faces.dtype} {tuple(faces.shape)}')
    return faces.unsqueeze(1).float().mul_(1 / (255 * std)).sub_(mean / std)
