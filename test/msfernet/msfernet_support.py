"""Small networks and data sets that the tests of fer_ros.msfernet share."""

from pathlib import Path

import cv2
import numpy as np
import torch

from fer_ros.emotions import EMOTIONS
from fer_ros.msfernet.data import FaceSet
from fer_ros.msfernet.network import MSFERNet

SHIPPED = Path(__file__).parents[2] / 'models' / 'msfernet.safetensors'
EVALUATION = SHIPPED.with_name('evaluation.json')


def shake_batch_norm(network):
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor, low, high in ((module.running_mean, -0.3, 0.3), (module.running_var, 0.5, 2.0),
                                      (module.weight.data, 0.5, 1.5), (module.bias.data, -0.3, 0.3)):
                tensor.copy_(low + (high - low) * torch.rand(tensor.shape, generator=generator))


def constant_network(logits):
    """A miniature network that says `logits` of every face."""
    network = MSFERNet(stem=8, widths=(8, 16), depths=(1, 1))
    with torch.no_grad():
        for classifier in (network.classifier, network.fer2013_classifier):
            classifier.weight.zero_()
            classifier.bias.copy_(torch.tensor(logits))
    return network.eval()


def noise_faces(count, seed=0):
    """(count, 48, 48) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (count, 48, 48), np.uint8)


def face_set(count, seed=0):
    """Noise with the seven labels in turn."""
    targets = np.eye(len(EMOTIONS), dtype=np.float32)[np.arange(count) % len(EMOTIONS)]
    return FaceSet(noise_faces(count, seed), targets, [str(i) for i in range(count)])


def write_pictures(folder, count, seed=0):
    """Write noise as lossless pictures, named so that their order is that of their making."""
    folder.mkdir(parents=True, exist_ok=True)
    images = noise_faces(count, seed)
    for index, image in enumerate(images):
        cv2.imwrite(str(folder / f'{index:03}.png'), image)
    return images


def write_split(folder, per_class, seed=0):
    """Image folders of all seven emotions under FER2013's names."""
    for index, name in enumerate(('angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral')):
        write_pictures(folder / name, per_class, seed + index)
