"""From grey pixels to network input: the one function that training, evaluation and the node share.

Each face is standardised by its own light: brightness and contrast say how a camera was exposed and not what a face
shows. Statistics are those of the face's middle, so that a bright window behind a person does not count.
"""

import numpy as np
import torch
from torch import Tensor

MARGIN = 8
"""One part in so many of the side is left out of the statistics at each border."""
LEAST_DEVIATION = 3.0
"""Grey levels. A flatter face holds little but noise and rounding, which must not be raised to full contrast."""


def network_input(faces: np.ndarray | Tensor) -> Tensor:
    """Standardise grey faces.

    Args:
        faces: (N, H, W) uint8.

    Returns:
        (N, 1, H, W) float32, in memory of its own: mean 0 and standard deviation 1 (less in a face flatter than
        `LEAST_DEVIATION`) over its middle.

    Raises:
        ValueError: for another shape or dtype.
    """
    faces = torch.as_tensor(faces)
    if faces.ndim != 3 or faces.dtype != torch.uint8:
        raise ValueError(f'faces must be uint8 of shape (N, H, W), got {faces.dtype} {tuple(faces.shape)}')
    return standardised(faces.unsqueeze(1).float())


def standardised(faces: Tensor) -> Tensor:
    """The same of (N, 1, H, W) float grey levels, 0 to 255."""
    seen = middle(faces)
    mean = seen.mean((2, 3), keepdim=True)
    deviation = ((seen - mean) ** 2).mean((2, 3), keepdim=True).sqrt()
    return (faces - mean) / deviation.clamp(min=LEAST_DEVIATION)


def middle(faces: Tensor) -> Tensor:
    """The part of (N, 1, H, W) pictures that shows the face rather than what is beside it."""
    top, left = (side // MARGIN for side in faces.shape[2:])
    return faces[:, :, top:faces.shape[2] - top, left:faces.shape[3] - left]
