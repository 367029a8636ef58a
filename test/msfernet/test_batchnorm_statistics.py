import pytest
import torch
from msfernet_support import noise_faces

from fer_ros.msfernet.batchnorm_statistics import BATCH, renew_statistics
from fer_ros.msfernet.network import MSFERNet
from fer_ros.msfernet.preprocessing import network_input
from fer_ros.msfernet.weights import Model


def test_statistics_are_those_of_the_faces():
    torch.manual_seed(0)
    model = Model(MSFERNet(stem=8, widths=(8, 16), depths=(1, 1)))
    first = model.network.stem[1]
    first.running_mean.fill_(9)
    weights = {name: p.clone() for name, p in model.network.named_parameters()}
    images = noise_faces(2 * BATCH)
    renew_statistics(model, images)
    with torch.no_grad():
        seen = model.network.stem[0](network_input(images))
    torch.testing.assert_close(first.running_mean, seen.mean((0, 2, 3)), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(first.running_var, seen.var((0, 2, 3)), rtol=1e-2, atol=1e-4)
    assert not any(module.training for module in model.network.modules())
    assert first.momentum == 0.1
    assert all(torch.equal(p, weights[name]) for name, p in model.network.named_parameters())


def test_too_few_faces_are_refused():
    with pytest.raises(ValueError, match='5 faces are too few for statistics: give at least 256'):
        renew_statistics(Model(MSFERNet(stem=8, widths=(8, 16), depths=(1, 1))), noise_faces(5))
