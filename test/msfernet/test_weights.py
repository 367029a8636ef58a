import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

from fer_ros.msfernet.weights import Model, WeightsError, load_model, read_tensors, save_model, write_tensors


@pytest.fixture
def saved(tmp_path, small_network):
    path = tmp_path / 'model.safetensors'
    save_model(path, Model(small_network, temperature=1.3, fer2013_temperature=0.8, training={'epochs': 3}))
    return path


def rewrite(path, tensors=None, **changes):
    """The file with other tensors or metadata; a value of None drops the key."""
    there, metadata = read_tensors(path)
    metadata = {key: value for key, value in (metadata | changes).items() if value is not None}
    write_tensors(path, tensors or there, metadata)


def test_what_is_saved_is_loaded(saved, small_network):
    model = load_model(saved)
    assert (model.temperature, model.fer2013_temperature, model.training) == (1.3, 0.8, {'epochs': 3})
    assert not model.network.training
    faces = torch.randn(2, 1, 48, 48)
    with torch.no_grad():
        assert torch.equal(model.network(faces).logits, small_network(faces).logits)


def test_the_metadata_tells_people_what_the_file_is(saved):
    _, metadata = read_tensors(saved)
    assert json.loads(metadata['labels']) == ['angry', 'disgusted', 'scared', 'happy', 'sad', 'surprised', 'neutral']
    assert metadata['input_size'] == '48'


def test_a_missing_file(tmp_path):
    with pytest.raises(WeightsError, match=r'no weights file at .*none\.safetensors'):
        load_model(tmp_path / 'none.safetensors')
    with pytest.raises(WeightsError, match='no weights file at'):
        load_model(tmp_path)


@pytest.mark.parametrize('share', [0.0, 0.0001, 0.5, 0.999])
def test_a_truncated_file(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[:int(share * len(content))])
    with pytest.raises(WeightsError, match='not a complete safetensors file'):
        load_model(saved)


def test_foreign_safetensors(tmp_path):
    path = tmp_path / 'other.safetensors'
    save_file({'weight': torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match='not an MSFERNet weights file'):
        load_model(path)


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickled_file_is_refused_and_not_run(tmp_path):
    torch.save({'network': Payload(tmp_path / 'harm')}, tmp_path / 'model.safetensors')
    with pytest.raises(WeightsError, match='never use pickled'):
        load_model(tmp_path / 'model.safetensors')
    assert not (tmp_path / 'harm').exists()


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_values_that_are_not_finite(saved, value):
    tensors = load_file(saved)
    tensors['classifier.bias'][2] = value
    rewrite(saved, tensors)
    with pytest.raises(WeightsError, match='not finite'):
        load_model(saved)


@pytest.mark.parametrize(('changes', 'message'), [
    ({'temperature': 'nan'}, 'not finite'), ({'temperature': 'inf'}, 'not finite'),
    ({'fer2013_temperature': 'nan'}, 'not finite'),
    ({'temperature': '0'}, 'must be above 0'), ({'fer2013_temperature': '-1'}, 'must be above 0'),
    ({'temperature': 'warm'}, 'does not fit'), ({'temperature': None}, 'does not fit'),
    ({'labels': '["happy"]'}, 'does not fit'), ({'input_size': '64'}, 'does not fit'),
    ({'architecture': '{"colour": 1}'}, 'does not fit'), ({'architecture': '{"widths": [64, 64, 64]}'}, 'does not fit'),
    ({'architecture': 'no json'}, 'does not fit'), ({'format': 'other'}, 'not an MSFERNet weights file'),
    ({'format': 'fer_ros/msfernet/1'}, "expected 'fer_ros/msfernet/2'")])
def test_metadata_that_do_not_fit(saved, changes, message):
    rewrite(saved, **changes)
    with pytest.raises(WeightsError, match=message) as caught:
        load_model(saved)
    assert '\n' not in str(caught.value)
    assert str(saved) in str(caught.value)


def test_tensors_that_do_not_fit(saved):
    tensors = load_file(saved)
    del tensors['classifier.bias']
    rewrite(saved, tensors)
    with pytest.raises(WeightsError, match='does not fit'):
        load_model(saved)
