import numpy as np
import pytest
import torch
from msfernet_support import write_split

from fer_ros.msfernet.refit_classifier import main, refit
from fer_ros.msfernet.weights import Model, load_model, save_model

SEPARABLE = np.repeat(np.eye(3), 20, axis=0) + np.random.default_rng(0).normal(0, 0.1, (60, 3))
TARGETS = np.repeat(np.eye(3), 20, axis=0)


def test_it_learns_what_it_is_not_held_back_from():
    weight, bias = refit(SEPARABLE, TARGETS, np.zeros((3, 3)), np.zeros(3), 1e-4)
    assert ((SEPARABLE @ weight.T + bias).argmax(1) == TARGETS.argmax(1)).all()


def test_it_stays_what_it_was_if_it_is_held_fast_or_right():
    before = np.arange(9.0).reshape(3, 3) / 10
    weight, bias = refit(SEPARABLE, TARGETS, before, np.ones(3), 1e6)
    assert weight == pytest.approx(before, abs=1e-4) and bias == pytest.approx(np.ones(3), abs=1e-4)
    logits = SEPARABLE @ before.T
    said = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert refit(SEPARABLE, said, before, np.zeros(3), 0.0)[0] == pytest.approx(before, abs=1e-3)


def test_the_command_changes_the_own_labels_alone(tmp_path, small_network, capsys):
    write_split(tmp_path / 'train', 3)
    save_model(tmp_path / 'before.safetensors', Model(small_network, fer2013_temperature=0.7))
    assert main(['--data', str(tmp_path), '--model', str(tmp_path / 'before.safetensors'), '--out',
                 str(tmp_path / 'after.safetensors')]) == 0
    before, after = (load_model(tmp_path / f'{name}.safetensors') for name in ('before', 'after'))
    changed = {name for name, tensor in after.network.state_dict().items()
               if not torch.equal(tensor, before.network.state_dict()[name])}
    assert changed == {'fer2013_classifier.weight', 'fer2013_classifier.bias'}
    assert after.training['refitted'] == {'faces': 21, 'labels': 0.5, 'pull': 3e-4}
    assert main(['--data', str(tmp_path), '--model', str(tmp_path / 'before.safetensors'), '--labels', '2', '--out',
                 str(tmp_path / 'x')]) == 1
    assert '--labels must be 0 to 1' in capsys.readouterr().err
