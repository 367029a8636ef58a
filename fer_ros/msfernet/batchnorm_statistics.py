"""BatchNorm statistics of unaugmented faces, instead of those the network was trained on.

Training shifts, darkens and covers faces, and its running statistics are of these. Recalibrated on unaugmented faces
with the finished weights, they fit faces as a good camera takes them (Touvron et al., NeurIPS 2019, on the discrepancy;
Wu and Johnson, arXiv:2105.07576, section 3, on the averaging).
"""

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from fer_ros.msfernet.network import on_device
from fer_ros.msfernet.preprocessing import network_input
from fer_ros.msfernet.weights import Model

BATCH = 256
"""Faces whose mean and variance are taken together."""


def renew_statistics(model: Model, images: np.ndarray, *, device: str | torch.device = 'cpu', seed: int = 0,
                     progress: bool = False) -> None:
    """Replace the running statistics of the model's network by the mean over batches of unaugmented faces.

    Args:
        model: its network is moved to `device`, and left in evaluation mode.
        images: (N, 48, 48) uint8, at least `BATCH`; what does not fill a batch is left out.
        seed: of the order; data sets are sorted by emotion.
        progress: show a bar.

    Raises:
        ValueError: there are fewer images than a batch holds.
    """
    if len(images) < BATCH:
        raise ValueError(f'{len(images)} faces are too few for statistics: give at least {BATCH}')
    network = on_device(model.network, device).eval()
    layers = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all batches
        layer.train()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed)).numpy()
    with torch.no_grad():
        for step in tqdm(range(len(images) // BATCH), desc='statistics', unit='batch', disable=not progress):
            faces = network_input(images[order[step * BATCH:(step + 1) * BATCH]])
            network(faces.to(device, memory_format=torch.channels_last))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()
