"""Random changes of training faces: what a detector, a room and a camera do to a face, on whole batches of tensors.

In the order in which they happen: something in front of the face, the crop's tilt, scale, shift and mirror image, the
light, and then the camera: few pixels, defocus and motion blur, noise, rounding, JPEG, and the enlargement to the size
that the network sees.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from fer_ros.msfernet.jpeg import jpeg

SIDES = (12, 16, 20, 24, 28, 32, 36, 40)
"""Sides in pixels of faces that are taken small."""
ENLARGEMENTS = ('bilinear', 'bicubic', 'area', 'nearest')


@dataclass(frozen=True)
class Augmentation:
    """Strengths and frequencies of the random changes.

    Angles in degrees, scale and shift as shares of the picture's side, grey levels of 0 to 255.
    """

    flip: float = 0.5
    """Share of mirrored faces."""
    rotation: float = 15.0
    steep: float = 0.15
    """Share of faces tilted by up to `steep_rotation` instead of `rotation`."""
    steep_rotation: float = 45.0
    scale: float = 0.18
    shift: float = 0.08
    erase: float = 0.35
    """Share of faces with one rectangle of 2 to 20 % of the area painted over (Zhong et al., AAAI 2020)."""
    cover: float = 0.12
    """Share of faces with dark glasses, a mask or something like a hand in front."""
    exposure: float = 0.3
    """Every face: largest relative change of contrast, and of brightness as a share of 128 grey levels."""
    unspoilt: float = 0.35
    """Share of faces that see nothing of what follows."""
    gain: float = 0.3
    """Share of faces at `lowest_gain` to 1.3 times the light."""
    lowest_gain: float = 0.08
    contrast: float = 0.2
    """Share of faces with contrast down to a fifth."""
    side_light: float = 0.2
    """Share of faces lit from one side, from below or above, or from behind."""
    small: float = 0.35
    """Share of faces taken with one of `SIDES` pixels."""
    blur: float = 0.45
    """Share of faces out of focus or moving."""
    noise: float = 0.3
    """Share of faces with noise of 2 to `most_noise` grey levels, less where there is little light."""
    most_noise: float = 36.0
    compress: float = 0.3
    """Share of faces compressed as JPEG does, at qualities of 8 to 70."""

    def __call__(self, faces: Tensor, generator: Generator, *, size: int | None = None) -> Tensor:
        """Change each face on its own.

        Args:
            faces: (N, 1, H, W) float grey levels, 0 to 255.
            generator: the only source of randomness, on the CPU.
            size: side of the result in pixels; the input's height by default.

        Returns:
            (N, 1, size, size) float, whole grey levels of 0 to 255.
        """
        size = size or faces.shape[2]
        faces = self._cover(faces, generator)
        faces = self._move(faces, generator, size)
        faces = self._erase(faces, generator)
        spoilt = _chosen(len(faces), 1 - self.unspoilt, generator)
        faces, gain = self._light(faces, spoilt, generator)
        return self._camera(faces, gain, spoilt, generator)

    def _move(self, faces: Tensor, generator: Generator, size: int) -> Tensor:
        n = len(faces)
        limit = torch.where(_chosen(n, self.steep, generator), self.steep_rotation, self.rotation)
        angle = torch.deg2rad(_symmetric((n,), 1.0, generator) * limit)
        zoom = 1 + _symmetric((n,), self.scale, generator)
        # The sampling grid spans 2 units, so a shift by a share of the side is twice that.
        shift = 2 * _symmetric((n, 2), self.shift, generator)
        mirror = 1 - 2 * _chosen(n, self.flip, generator).float()
        cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
        theta = torch.stack((torch.stack((cos * mirror, -sin, shift[:, 0]), 1),
                             torch.stack((sin * mirror, cos, shift[:, 1]), 1)), 1).to(faces.device)
        grid = functional.affine_grid(theta, [n, 1, size, size], align_corners=False)
        return functional.grid_sample(faces, grid, padding_mode='reflection', align_corners=False)

    def _cover(self, faces: Tensor, generator: Generator) -> Tensor:
        """Dark glasses, a mask or a hand; places are those of eyes and mouth in FER2013's frame."""
        n = len(faces)
        kind = torch.randint(3, (n,), generator=generator)
        jitter = _symmetric((n, 2), 0.04, generator)
        shade = torch.rand(n, generator=generator)
        angle, place = _symmetric((n,), 1.2, generator), torch.rand((n, 2), generator=generator)
        chosen = _chosen(n, self.cover, generator).nonzero().flatten()
        if not len(chosen):
            return faces
        y, x = torch.meshgrid(*((torch.arange(side) + 0.5) / side for side in faces.shape[2:]), indexing='ij')
        faces = faces.clone()
        for i in chosen.tolist():
            dx, dy = jitter[i]
            if kind[i] == 0:
                lens = [((x - at - dx) / 0.14) ** 2 + ((y - 0.39 - dy) / 0.11) ** 2 < 1 for at in (0.31, 0.69)]
                bridge = ((y - 0.37 - dy).abs() < 0.025) & (x > 0.02) & (x < 0.98)
                covered, grey = lens[0] | lens[1] | bridge, 60 * shade[i]
            elif kind[i] == 1:
                covered, grey = y > 0.57 + dy + 0.25 * (x - 0.5 - dx) ** 2 / 0.25, 60 + 190 * shade[i]
            else:
                along = (x - place[i, 0]) * torch.cos(angle[i]) + (y - 0.4 - 0.5 * place[i, 1]) * torch.sin(angle[i])
                across = (y - 0.4 - 0.5 * place[i, 1]) * torch.cos(angle[i]) - (x - place[i, 0]) * torch.sin(angle[i])
                covered, grey = (along / 0.3) ** 2 + (across / 0.13) ** 2 < 1, 50 + 150 * shade[i]
            faces[i, 0] = faces[i, 0].masked_fill(covered.to(faces.device), float(grey))
        return faces

    def _erase(self, faces: Tensor, generator: Generator) -> Tensor:
        n, _, height, width = faces.shape
        area = 0.02 + 0.18 * torch.rand(n, generator=generator)
        ratio = torch.exp(_symmetric((n,), 1.0, generator))
        half_height = ((area * ratio).sqrt() / 2).clamp(max=0.5)
        half_width = ((area / ratio).sqrt() / 2).clamp(max=0.5)
        centre = torch.rand(2, n, generator=generator)
        grey = 255 * torch.rand((n, 1, 1, 1), generator=generator).to(faces.device)
        chosen = _chosen(n, self.erase, generator)
        rows = (torch.arange(height) + 0.5) / height
        columns = (torch.arange(width) + 0.5) / width
        inside = ((rows[None, :] - centre[0][:, None]).abs() < half_height[:, None])[:, :, None] \
            & ((columns[None, :] - centre[1][:, None]).abs() < half_width[:, None])[:, None, :]
        return torch.where((inside & chosen[:, None, None])[:, None].to(faces.device), grey, faces)

    def _light(self, faces: Tensor, spoilt: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        n = len(faces)
        contrast = 1 + _symmetric((n, 1, 1, 1), self.exposure, generator)
        weak = _log_uniform((n, 1, 1, 1), 0.2, 1.0, generator)
        contrast = torch.where(_each(spoilt & _chosen(n, self.contrast, generator)), weak, contrast)
        brightness = 128 * _symmetric((n, 1, 1, 1), self.exposure, generator)
        gain = _log_uniform((n, 1, 1, 1), self.lowest_gain, 1.3, generator)
        gain = torch.where(_each(spoilt & _chosen(n, self.gain, generator)), gain, torch.ones(()))
        place = faces.device
        mean = faces.mean((2, 3), keepdim=True)
        faces = (faces - mean) * contrast.to(place) + mean + (brightness * contrast.clamp(max=1)).to(place)
        faces = faces * self._shadow(n, faces.shape[2], spoilt, generator).to(place)
        return (faces.clamp(0, 255) * gain.to(place)).clamp(0, 255), gain

    def _shadow(self, n: int, size: int, spoilt: Tensor, generator: Generator) -> Tensor:
        """(N, 1, size, size) factor: light that falls off to one side, or a bright border round a dark face."""
        line = (torch.arange(size) + 0.5) / size * 2 - 1
        direction = 2 * torch.pi * torch.rand((n, 1, 1), generator=generator)
        across = line[None, None, :] * torch.cos(direction) + line[None, :, None] * torch.sin(direction)
        depth = 0.35 + 0.55 * torch.rand((n, 1, 1), generator=generator)
        sharpness = _log_uniform((n, 1, 1), 1.0, 8.0, generator)
        side = 1 - depth * torch.sigmoid(sharpness * (across + _symmetric((n, 1, 1), 0.4, generator)))
        radius = (line[None, None, :] ** 2 + line[None, :, None] ** 2).sqrt()
        behind = (1 - depth) + 1.6 * depth * torch.sigmoid(8 * (radius - 1.0))
        factor = torch.where(_chosen(n, 0.3, generator)[:, None, None], behind, side)
        lit = spoilt & _chosen(n, self.side_light, generator)
        return torch.where(lit[:, None, None], factor, torch.ones(()))[:, None]

    def _camera(self, faces: Tensor, gain: Tensor, spoilt: Tensor, generator: Generator) -> Tensor:
        n, size = len(faces), faces.shape[2]
        small = spoilt & _chosen(n, self.small, generator)
        side = torch.where(small, torch.tensor(SIDES)[torch.randint(len(SIDES), (n,), generator=generator)], size)
        side = torch.minimum(side, torch.tensor(size))
        enlargement = torch.randint(len(ENLARGEMENTS), (n,), generator=generator)
        blurred, noisy, compressed = (spoilt & _chosen(n, share, generator)
                                      for share in (self.blur, self.noise, self.compress))
        kernels = _blur_kernels(int(blurred.sum()), generator)
        sd = _log_uniform((n, 1, 1, 1), 2.0, self.most_noise, generator) * gain.clamp(0.2, 1)
        # Noise that has been through a resized image or a denoiser is no longer independent from pixel to pixel.
        coarse = _chosen(n, 0.35, generator)
        noise = torch.randn((n, 1, size, size), generator=generator)
        quality = 8 + 62 * torch.rand(n, generator=generator)
        place = faces.device
        out = faces.clone()
        if blurred.any():
            out[blurred] = _blur(out[blurred], kernels.to(place))
        for s in side.unique().tolist():
            members = (side == s).nonzero().flatten()
            taken = out[members]
            if s < size:
                taken = functional.interpolate(taken, size=(s, s), mode='area')
            grain = noise[members, :, :s, :s]
            soft = functional.avg_pool2d(grain, 3, 1, 1, count_include_pad=False) * 2
            grain = torch.where(_each(coarse[members]), soft, grain) * sd[members] * _each(noisy[members])
            taken = (taken + grain.to(place)).clamp(0, 255).round()
            pressed = compressed[members]
            if pressed.any():
                taken[pressed] = jpeg(taken[pressed], quality[members][pressed])
            if s < size:
                for mode in enlargement[members].unique().tolist():
                    these = members[enlargement[members] == mode]
                    out[these] = _enlarge(taken[enlargement[members] == mode], size, ENLARGEMENTS[mode])
            else:
                out[members] = taken
        return out.clamp(0, 255).round()


def _enlarge(faces: Tensor, size: int, mode: str) -> Tensor:
    if mode in ('bilinear', 'bicubic'):
        return functional.interpolate(faces, size=(size, size), mode=mode, align_corners=False)
    return functional.interpolate(faces, size=(size, size), mode=mode)


def _blur_kernels(n: int, generator: Generator, *, side: int = 11) -> Tensor:
    """(N, side, side): three of ten Gaussian (defocus), the others a line (motion), each summing to 1."""
    line = torch.arange(side) - (side - 1) / 2
    sigma = _log_uniform((n, 1, 1), 0.4, 2.2, generator)
    radius = line[None, :, None] ** 2 + line[None, None, :] ** 2
    defocus = torch.exp(-radius / (2 * sigma ** 2))
    angle = torch.pi * torch.rand((n, 1, 1), generator=generator)
    length = 2 + 9 * torch.rand((n, 1, 1), generator=generator)
    along = line[None, None, :] * torch.cos(angle) + line[None, :, None] * torch.sin(angle)
    across = line[None, :, None] * torch.cos(angle) - line[None, None, :] * torch.sin(angle)
    motion = (1 - across.abs()).clamp(min=0) * (length / 2 + 0.5 - along.abs()).clamp(0, 1)
    kernels = torch.where(_chosen(n, 0.3, generator)[:, None, None], defocus, motion)
    return kernels / kernels.sum((1, 2), keepdim=True)


def _blur(faces: Tensor, kernels: Tensor) -> Tensor:
    n, half = len(faces), kernels.shape[1] // 2
    padded = functional.pad(faces.transpose(0, 1), (half,) * 4, mode='reflect')
    return functional.conv2d(padded, kernels[:, None], groups=n).transpose(0, 1)


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _chosen(n: int, share: float, generator: Generator) -> Tensor:
    return torch.rand(n, generator=generator) < share


def _symmetric(shape: tuple[int, ...], limit: float, generator: Generator) -> Tensor:
    """Uniform in [−limit, limit]."""
    return (2 * torch.rand(shape, generator=generator) - 1) * limit


def _log_uniform(shape: tuple[int, ...], low: float, high: float, generator: Generator) -> Tensor:
    return low * (high / low) ** torch.rand(shape, generator=generator)
