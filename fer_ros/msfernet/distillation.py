"""Softer own labels: what earlier networks say of the training faces, mixed into labels that are often wrong.

After Hinton et al., arXiv:1503.02531; a mixture of labels and predictions as in Reed et al., arXiv:1412.6596.
"""

from collections.abc import Sequence

import numpy as np
import torch

from fer_ros.msfernet.evaluate import predict
from fer_ros.msfernet.weights import Model


def soft_labels(teachers: Sequence[Model], images: np.ndarray, *, device: str | torch.device = 'cpu',
                progress: bool = False) -> np.ndarray:
    """Mean of the teachers' calibrated probabilities of the own labels, of each face and its mirror image.

    Args:
        teachers: at least one.
        images: (N, 48, 48) uint8.
        device: where they run.
        progress: show a bar per teacher and side.

    Returns:
        (N, 7) float32, rows summing to 1.
    """
    said = [predict(teacher, images, device=device, mirrored=mirrored, progress=progress).fer2013
            for teacher in teachers for mirrored in (False, True)]
    return np.mean(said, axis=0).astype(np.float32)
