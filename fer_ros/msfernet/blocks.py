"""The parts of MSFERNet: multi-scale convolution, CBAM attention and the residual block made of them."""

import torch
from torch import Tensor, nn


class MultiScaleConv(nn.Module):
    """A zoomed and a wide view of the same features, side by side.

    Half of the output channels see a 3×3 neighbourhood, the other half a 3×3 kernel spread over a
    larger one by dilation. Parameters and multiplications are those of one plain 3×3 convolution,
    so a single-scale network of equal cost is this one with ``wide_dilation=1``.

    Args:
        in_channels, out_channels: ``out_channels`` must be even.
        stride: of both views.
        wide_dilation: spacing of the wide kernel's taps; its field is ``2 * wide_dilation + 1`` pixels.

    Shape: (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, wide_dilation: int = 2):
        super().__init__()
        if out_channels % 2:
            raise ValueError(f'out_channels must be even to be split into two views, got {out_channels}')
        half = out_channels // 2
        self.zoom = nn.Conv2d(in_channels, half, 3, stride, padding=1, bias=False)
        self.wide = nn.Conv2d(in_channels, half, 3, stride, padding=wide_dilation, dilation=wide_dilation, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.zoom(x), self.wide(x)), dim=1)


class ChannelAttention(nn.Module):
    """CBAM's first half: which feature maps matter (Woo et al., ECCV 2018, section 3).

    Average and maximum over space go through one shared two-layer perceptron; the sigmoid of the sum
    scales each channel. Shape is kept.
    """

    def __init__(self, channels: int, *, reduction: int = 16):
        super().__init__()
        hidden = max(channels // reduction, 4)
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels))

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.sigmoid(self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3))))
        return x * weights[:, :, None, None]


class SpatialAttention(nn.Module):
    """CBAM's second half: where to look (Woo et al., ECCV 2018, section 3).

    Mean and maximum over channels, a 7×7 convolution, a sigmoid that scales each position. Shape is kept.
    """

    def __init__(self, *, kernel_size: int = 7):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        maps = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), dim=1)
        return x * torch.sigmoid(self.conv(maps))


class CBAM(nn.Sequential):
    """Convolutional block attention module: channel, then spatial attention. Shape is kept."""

    def __init__(self, channels: int):
        super().__init__(ChannelAttention(channels), SpatialAttention())


class MultiScaleResidualBlock(nn.Module):
    """Two multi-scale convolutions, CBAM and a shortcut (He et al., CVPR 2016, figure 2).

    The shortcut is the identity where shapes agree, else a 2×2 mean (for stride 2) and a 1×1
    convolution: a strided 1×1 alone would ignore three of four positions.

    Shape: (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, wide_dilation: int = 2,
                 attention: bool = True):
        super().__init__()
        self.conv1 = MultiScaleConv(in_channels, out_channels, stride=stride, wide_dilation=wide_dilation)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = MultiScaleConv(out_channels, out_channels, wide_dilation=wide_dilation)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.attention = CBAM(out_channels) if attention else nn.Identity()
        self.shortcut: nn.Module
        if stride == 1 and in_channels == out_channels:
            self.shortcut = nn.Identity()
        else:
            pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
            self.shortcut = nn.Sequential(
                pool, nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.attention(self.bn2(self.conv2(y)))
        return torch.relu(y + self.shortcut(x))
