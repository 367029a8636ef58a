"""What JPEG compression does to grey faces, on whole batches of tensors: the block transform, coarse, and back.

Of ITU-T T.81 (1992): 8×8 discrete cosine transform and the example luminance table K.1, scaled by quality as libjpeg
does. Entropy coding loses nothing and is left out.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

_LUMINANCE = torch.tensor([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99]], dtype=torch.float32)
_FREQUENCY = torch.arange(8, dtype=torch.float32)[:, None]
_COSINES = torch.cos((2 * torch.arange(8)[None, :] + 1) * _FREQUENCY * math.pi / 16) / 2
_COSINES[0] /= math.sqrt(2)


def jpeg(faces: Tensor, quality: Tensor) -> Tensor:
    """Compress and decompress faces.

    Args:
        faces: (N, 1, H, W) float, whole grey levels of 0 to 255, any size.
        quality: (N,) 1 to 100, as for libjpeg.

    Returns:
        (N, 1, H, W) float, whole grey levels of 0 to 255.
    """
    n, _, height, width = faces.shape
    place = faces.device
    padded = functional.pad(faces, (0, -width % 8, 0, -height % 8), mode='replicate') - 128
    rows, columns = (side // 8 for side in padded.shape[2:])
    blocks = padded.reshape(n, rows, 8, columns, 8).transpose(2, 3)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None]
    steps = ((_LUMINANCE * scale + 50) / 100).floor().clamp(1, 255).to(place)[:, None, None]
    cosines = _COSINES.to(place)
    coarse = (cosines @ blocks @ cosines.T / steps).round() * steps
    out = (cosines.T @ coarse @ cosines).transpose(2, 3).reshape(padded.shape) + 128
    return out[:, :, :height, :width].round().clamp(0, 255)
