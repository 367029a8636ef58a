import pytest
import torch
from msfernet_support import shake_batch_norm

from fer_ros.msfernet.mean_weights import main
from fer_ros.msfernet.network import MSFERNet
from fer_ros.msfernet.weights import Model, load_model, save_model


@pytest.fixture
def models(tmp_path):
    """Two files of one small architecture."""
    paths = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = MSFERNet(stem=8, widths=(8, 8), depths=(1, 1))
        shake_batch_norm(network)
        paths.append(tmp_path / f'{seed}.safetensors')
        save_model(paths[-1], Model(network.eval(), training={'epochs': seed + 1}))
    return paths


def test_every_weight_is_the_mean(models, tmp_path):
    out = tmp_path / 'mean.safetensors'
    assert main(['--models', *map(str, models), '--shares', '0.25', '0.75', '--out', str(out)]) == 0
    one, other, mean = (load_model(path) for path in (*models, out))
    for name, tensor in mean.network.state_dict().items():
        a, b = one.network.state_dict()[name], other.network.state_dict()[name]
        assert torch.allclose(tensor, 0.25 * a + 0.75 * b, atol=1e-6) if tensor.is_floating_point() else tensor == b
    assert [(part['share'], part['epochs']) for part in mean.training['mean']] == [(0.25, 1), (0.75, 2)]


@pytest.mark.parametrize('shares', [['1'], ['0.5', '0.6'], ['1.5', '-0.5']])
def test_shares_that_do_not_add_up(models, tmp_path, capsys, shares):
    out = tmp_path / 'mean.safetensors'
    assert main(['--models', *map(str, models), '--shares', *shares, '--out', str(out)]) == 1
    assert 'add up to 1' in capsys.readouterr().err
    assert not out.exists()


def test_other_architectures(models, tmp_path, capsys):
    save_model(tmp_path / 'wide.safetensors', Model(MSFERNet(stem=8, widths=(16, 16), depths=(1, 1)).eval()))
    assert main(['--models', str(models[0]), str(tmp_path / 'wide.safetensors'), '--shares', '0.5', '0.5', '--out',
                 str(tmp_path / 'mean.safetensors')]) == 1
    assert 'different architectures' in capsys.readouterr().err
