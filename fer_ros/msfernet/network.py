"""MSFERNet: facial emotion recognition by multi-scale convolutions, residual blocks and CBAM.

After the MSFERNet paper (arXiv:2606.01069), of which the ingredients, the parameter budget of 2.37 M
and the training by supervised contrastive learning are known. Widths, depths, kernels and strides are
ours: the budget is spent where feature maps are small, so that a face costs 0.13 G multiplications.

    face ─── stem ──── stage 1 ── stage 2 ─── stage 3 ── mean ─ embedding ─ linear ─ logits
    1×48×48  32×24×24  64×24×24   128×12×12   240×6×6           240          └────── 7 (raters) and 7 (FER2013)

Two linear classifiers read one embedding, since one set of labels cannot serve both: what ten raters see in a face
(FER+), which is what everything shown to people uses, and FER2013's own labels, for comparison with papers.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fer_ros.emotions import EMOTIONS
from fer_ros.msfernet import side_light
from fer_ros.msfernet.blocks import MultiScaleConv, MultiScaleResidualBlock
from fer_ros.msfernet.weights_file import INPUT_SIZE


class Output(NamedTuple):
    """What the network says of a batch of N faces."""

    logits: Tensor
    """(N, 7) float, in the order of `fer_ros.emotions.EMOTIONS`; softmax makes them the shares of raters. Smaller for
    a face that is lit from one side (`fer_ros.msfernet.side_light`)."""
    fer2013_logits: Tensor
    """(N, 7) float, likewise, of FER2013's own labels."""
    embedding: Tensor
    """(N, D) float, not negative: the pooled features that both classifiers read."""


class MSFERNet(nn.Module):
    """Grey faces in, emotion logits and embeddings out.

    Args:
        stem: channels after the stem; even.
        widths: channels of each stage; even. Every stage but the first halves the resolution.
        depths: residual blocks of each stage.
        wide_dilation: of the wide view; 1 makes a single-scale network of the same cost.
        attention: CBAM in every block.
        dropout: share of embedding values dropped before the classifier while training, 0 to 1.
    """

    def __init__(self, *, stem: int = 32, widths: tuple[int, ...] = (64, 128, 240), depths: tuple[int, ...] = (1, 1, 2),
                 wide_dilation: int = 2, attention: bool = True, dropout: float = 0.2):
        super().__init__()
        if len(widths) != len(depths):
            raise ValueError(f'widths {widths} and depths {depths} must name the same number of stages')
        self.architecture = {'stem': stem, 'widths': list(widths), 'depths': list(depths),
                             'wide_dilation': wide_dilation, 'attention': attention, 'dropout': dropout}
        self.stem = nn.Sequential(
            MultiScaleConv(1, stem, stride=2, wide_dilation=wide_dilation), nn.BatchNorm2d(stem), nn.ReLU(inplace=True))
        stages = []
        channels = stem
        for index, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            blocks = []
            for block in range(depth):
                stride = 2 if index > 0 and block == 0 else 1
                blocks.append(MultiScaleResidualBlock(
                    channels, width, stride=stride, wide_dilation=wide_dilation, attention=attention))
                channels = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, len(EMOTIONS))
        self.fer2013_classifier = nn.Linear(channels, len(EMOTIONS))
        self.embedding_size = channels
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')

    def forward(self, faces: Tensor) -> Output:
        """Classify faces.

        Args:
            faces: (N, 1, 48, 48) float, as `fer_ros.msfernet.preprocessing.network_input` makes them. Other sizes
                of at least 16×16 work too (training uses smaller ones) but are not what the weights expect.
        """
        embedding = self.stages(self.stem(faces)).mean((2, 3))
        features = self.dropout(embedding)
        return Output(self.classifier(features) / side_light.temperature(faces), self.fer2013_classifier(features),
                      embedding)


def on_device(network: MSFERNet, device: str | torch.device) -> MSFERNet:
    """`network` itself, moved to `device`, with weights in the order that convolutions run fastest with."""
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def count_parameters(network: nn.Module) -> int:
    """Number of trained values, BatchNorm statistics not counted."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: nn.Module, *, size: int = INPUT_SIZE) -> int:
    """Multiply-accumulates of convolutions and linear layers for one face of `size` × `size` pixels."""
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d | nn.Linear)
        per_output = module.weight.numel() // module.weight.shape[0]
        total += output.numel() * per_output

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    training = network.training
    try:
        network.eval()
        with torch.no_grad():
            network(torch.zeros(1, 1, size, size, device=next(network.parameters()).device))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return total


def main() -> None:
    """Print the network's size."""
    network = MSFERNet()
    print(f'MSFERNet: {count_parameters(network):,} parameters, {count_macs(network) / 1e9:.3f} GMAC '
          f'per {INPUT_SIZE}×{INPUT_SIZE} face, embedding of {network.embedding_size}')


if __name__ == '__main__':
    main()
