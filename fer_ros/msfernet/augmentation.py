"""Random changes of training faces, on whole batches of tensors.

They stand for what a detector and a room do to a face: tilt, scale and shift of the box, the mirror
image, exposure, and something in front of it.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Augmentation:
    """Strengths of the random changes; angles in degrees, scale and shift as shares of the picture's side."""

    rotation: float = 15.0
    scale: float = 0.15
    shift: float = 0.07
    flip: float = 0.5
    light: float = 0.3
    erase: float = 0.5

    def __call__(self, faces: Tensor, generator: Generator, *, size: int | None = None) -> Tensor:
        """Change each face on its own.

        Args:
            faces: (N, 1, H, W) float, standardised.
            generator: the only source of randomness, on the CPU.
            size: side of the result in pixels; the input's height by default.

        Returns:
            (N, 1, size, size) float.
        """
        faces = self._move(faces, generator, size or faces.shape[2])
        return self._erase(self._light(faces, generator), generator)

    def _move(self, faces: Tensor, generator: Generator, size: int) -> Tensor:
        n = len(faces)
        angle = torch.deg2rad(_symmetric((n,), self.rotation, generator))
        zoom = 1 + _symmetric((n,), self.scale, generator)
        # The sampling grid spans 2 units, so a shift by a share of the side is twice that.
        shift = 2 * _symmetric((n, 2), self.shift, generator)
        mirror = 1 - 2 * (torch.rand(n, generator=generator) < self.flip).float()
        cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
        theta = torch.stack((torch.stack((cos * mirror, -sin, shift[:, 0]), 1),
                             torch.stack((sin * mirror, cos, shift[:, 1]), 1)), 1).to(faces.device)
        grid = functional.affine_grid(theta, [n, 1, size, size], align_corners=False)
        return functional.grid_sample(faces, grid, padding_mode='reflection', align_corners=False)

    def _light(self, faces: Tensor, generator: Generator) -> Tensor:
        contrast = 1 + _symmetric((len(faces), 1, 1, 1), self.light, generator).to(faces.device)
        brightness = _symmetric((len(faces), 1, 1, 1), self.light, generator).to(faces.device)
        return faces * contrast + brightness

    def _erase(self, faces: Tensor, generator: Generator) -> Tensor:
        """Grey out one rectangle of 2 to 25 % of the area in a share `erase` of the faces (Zhong et al., AAAI 2020)."""
        n, _, height, width = faces.shape
        area = 0.02 + 0.23 * torch.rand(n, generator=generator)
        ratio = torch.exp(_symmetric((n,), 1.0, generator))
        half_height = ((area * ratio).sqrt() / 2).clamp(max=0.5)
        half_width = ((area / ratio).sqrt() / 2).clamp(max=0.5)
        centre = torch.rand(2, n, generator=generator)
        chosen = torch.rand(n, generator=generator) < self.erase
        rows = (torch.arange(height) + 0.5) / height
        columns = (torch.arange(width) + 0.5) / width
        inside = ((rows[None, :] - centre[0][:, None]).abs() < half_height[:, None])[:, :, None] \
            & ((columns[None, :] - centre[1][:, None]).abs() < half_width[:, None])[:, None, :]
        erased = (inside & chosen[:, None, None])[:, None].to(faces.device)
        return faces.masked_fill(erased, 0.0)


def _symmetric(shape: tuple[int, ...], limit: float, generator: Generator) -> Tensor:
    """Uniform in [−limit, limit]."""
    return (2 * torch.rand(shape, generator=generator) - 1) * limit
