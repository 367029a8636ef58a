import pytest
import torch
from msfernet_support import shake_batch_norm
from torch import nn

from fer_ros.msfernet import network as network_module
from fer_ros.msfernet.blocks import CBAM, MultiScaleConv, MultiScaleResidualBlock
from fer_ros.msfernet.network import MSFERNet, count_macs, count_parameters


def test_a_batch_of_faces_gives_logits_and_embeddings():
    network = MSFERNet().eval()
    with torch.no_grad():
        logits, fer2013_logits, embedding = network(torch.randn(3, 1, 48, 48))
    assert logits.shape == fer2013_logits.shape == (3, 7)
    assert embedding.shape == (3, network.embedding_size)
    assert (embedding >= 0).all()


def test_budget():
    network = MSFERNet()
    assert count_parameters(network) <= 2_370_000
    assert count_macs(network) <= 0.2e9


def test_the_command_prints_the_budget(capsys):
    network_module.main()
    printed = capsys.readouterr().out
    network = MSFERNet()
    assert f'{count_parameters(network):,} parameters' in printed
    assert f'{count_macs(network) / 1e9:.3f} GMAC' in printed


def test_single_scale_costs_the_same():
    multi, single = MSFERNet(), MSFERNet(wide_dilation=1)
    assert count_parameters(multi) == count_parameters(single)
    assert count_macs(multi) == count_macs(single)


def test_multiplications_are_counted_per_output():
    class Layers(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.Flatten(), nn.Linear(4 * 8 * 8, 5))

    assert count_macs(Layers(), size=16) == 4 * 8 * 8 * 9 + 256 * 5


def test_counting_leaves_the_mode_alone():
    network = MSFERNet(stem=8, widths=(8,), depths=(1,)).train()
    count_macs(network)
    assert network.training


@pytest.mark.parametrize('attention', [True, False])
def test_the_gradient_reaches_every_parameter(attention):
    torch.manual_seed(0)
    network = MSFERNet(stem=8, widths=(16, 16, 24), depths=(1, 1, 2), attention=attention).train()
    logits, fer2013_logits, _ = network(torch.randn(16, 1, 48, 48))
    labels = torch.arange(16) % 7
    (nn.functional.cross_entropy(logits, labels) + nn.functional.cross_entropy(fer2013_logits, labels)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_in_evaluation_a_face_does_not_depend_on_its_batch(small_network):
    faces = torch.randn(6, 1, 48, 48)
    with torch.no_grad():
        together = small_network(faces)
        alone = [small_network(face[None]) for face in faces]
        among_others = small_network(torch.cat((faces[:1], 50 * torch.randn(3, 1, 48, 48))))
    torch.testing.assert_close(together.logits, torch.cat([a.logits for a in alone]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.logits[:1], among_others.logits[:1], rtol=1e-4, atol=1e-5)


def test_dropout_acts_in_training_only(small_network):
    faces = torch.randn(2, 1, 48, 48)
    with torch.no_grad():
        assert torch.equal(small_network(faces).logits, small_network(faces).logits)
        small_network.train()
        assert not torch.equal(small_network(faces).logits, small_network(faces).logits)


def test_an_architecture_rebuilds_the_network():
    network = MSFERNet(stem=8, widths=(8, 12), depths=(2, 1), wide_dilation=3, attention=False, dropout=0.5)
    again = MSFERNet(**network.architecture)
    again.load_state_dict(network.state_dict())
    assert again.architecture == network.architecture


def test_depths_and_widths_must_agree():
    with pytest.raises(ValueError, match='same number of stages'):
        MSFERNet(widths=(64, 128), depths=(1,))


def test_the_two_views_see_near_and_far():
    convolution = MultiScaleConv(1, 2, wide_dilation=2)
    nn.init.ones_(convolution.zoom.weight)
    nn.init.ones_(convolution.wide.weight)
    dot = torch.zeros(1, 1, 7, 7)
    dot[0, 0, 3, 3] = 1
    near, far = convolution(dot)[0]
    assert sorted(map(tuple, near.nonzero().tolist())) == [(r, c) for r in (2, 3, 4) for c in (2, 3, 4)]
    assert sorted(map(tuple, far.nonzero().tolist())) == [(r, c) for r in (1, 3, 5) for c in (1, 3, 5)]


def test_two_views_need_an_even_number_of_channels():
    with pytest.raises(ValueError, match='must be even'):
        MultiScaleConv(4, 5)


def test_attention_only_scales_down():
    torch.manual_seed(0)
    x = torch.randn(2, 16, 6, 6)
    y = CBAM(16)(x)
    assert y.shape == x.shape
    assert ((y / x > 0) & (y / x < 1)).all()


def test_attention_follows_cbam_term_by_term():
    torch.manual_seed(0)
    cbam = CBAM(8).eval()
    x = torch.randn(1, 8, 5, 5)
    first, _, second = cbam[0].mlp

    def perceptron(v):
        return second.weight @ torch.relu(first.weight @ v + first.bias) + second.bias

    channels = torch.sigmoid(perceptron(x[0].mean((1, 2))) + perceptron(x[0].amax((1, 2))))
    scaled = x * channels.view(1, 8, 1, 1)
    maps = torch.stack((scaled[0].mean(0), scaled[0].amax(0)))[None]
    expected = scaled * torch.sigmoid(nn.functional.conv2d(maps, cbam[1].conv.weight, padding=3))
    torch.testing.assert_close(cbam(x), expected)


@pytest.mark.parametrize(('in_channels', 'stride', 'identity'), [(8, 1, True), (4, 1, False), (8, 2, False)])
def test_a_block_keeps_or_halves_the_resolution(in_channels, stride, identity):
    block = MultiScaleResidualBlock(in_channels, 8, stride=stride)
    assert isinstance(block.shortcut, nn.Identity) == identity
    assert block(torch.randn(2, in_channels, 12, 12)).shape == (2, 8, 12 // stride, 12 // stride)


def test_a_block_whose_branch_is_silent_is_its_shortcut():
    block = MultiScaleResidualBlock(8, 8).eval()
    shake_batch_norm(block)
    nn.init.zeros_(block.bn2.weight)
    nn.init.zeros_(block.bn2.bias)
    x = torch.randn(1, 8, 6, 6)
    torch.testing.assert_close(block(x), torch.relu(x))
