import json

import numpy as np
import pytest
import torch
from msfernet_support import SHIPPED, shake_batch_norm

from fer_ros.emotions import EMOTIONS
from fer_ros.msfernet import export, prepared_graph
from fer_ros.msfernet.export import largest_difference, main, onnx_bytes
from fer_ros.msfernet.network import MSFERNet, Output
from fer_ros.msfernet.weights import Model, load_model, save_model
from fer_ros.msfernet.weights_file import read_weights

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    network = MSFERNet()
    shake_batch_norm(network)
    return Model(network.eval(), temperature=1.25, fer2013_temperature=0.75)


@pytest.fixture(scope='module')
def serialised(model):
    return onnx_bytes(model)


def session(content):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=['CPUExecutionProvider'])


@pytest.mark.parametrize('batch', [1, 5])
def test_onnx_runtime_agrees_with_torch(model, serialised, batch):
    faces = torch.randn(batch, 1, 48, 48)
    with torch.no_grad():
        expected = model.network(faces)
    actual = session(serialised).run(list(Output._fields), {'faces': faces.numpy()})
    for one, other in zip(actual, expected, strict=True):
        assert one.shape == tuple(other.shape)
        assert np.abs(one - other.numpy()).max() < 1e-4
    assert largest_difference(model, serialised, batch=batch) < 1e-4


def test_the_shipped_weights_agree_as_well():
    shipped = load_model(SHIPPED)
    content = onnx_bytes(shipped)
    assert max(largest_difference(shipped, content, batch=batch) for batch in (1, 5)) < 1e-4


def test_the_file_says_how_to_use_it(serialised):
    loaded = session(serialised)
    metadata = loaded.get_modelmeta().custom_metadata_map
    assert json.loads(metadata['labels']) == list(EMOTIONS)
    assert {key: float(metadata[key]) for key in ('temperature', 'fer2013_temperature', 'input_size')} == {
        'temperature': 1.25, 'fer2013_temperature': 0.75, 'input_size': 48}
    assert [(i.name, i.shape, i.type) for i in loaded.get_inputs()] == [
        ('faces', ['batch', 1, 48, 48], 'tensor(float)')]
    assert [(o.name, o.shape) for o in loaded.get_outputs()] == [
        ('logits', ['batch', 7]), ('fer2013_logits', ['batch', 7]), ('embedding', ['batch', 240])]


def test_the_command_writes_and_checks(tmp_path, small_network, capsys):
    save_model(tmp_path / 'model.safetensors', Model(small_network))
    out = tmp_path / 'new' / 'model.onnx'
    assert main(['--model', str(tmp_path / 'model.safetensors'), '--out', str(out)]) == 0
    assert 'of torch' in capsys.readouterr().out
    assert session(out.read_bytes()).get_inputs()[0].name == 'faces'
    assert list(out.parent.iterdir()) == [out]


def test_a_graph_that_differs_is_not_written(tmp_path, small_network, capsys, monkeypatch):
    path = tmp_path / 'model.safetensors'
    save_model(path, Model(small_network))
    shake = load_model(path)
    torch.nn.init.ones_(shake.network.classifier.bias)
    other = onnx_bytes(shake)
    monkeypatch.setattr(export, 'onnx_bytes', lambda _: other)
    assert main(['--model', str(path), '--out', str(tmp_path / 'model.onnx')]) == 1
    assert 'differs from torch' in capsys.readouterr().err
    assert not (tmp_path / 'model.onnx').exists()


def test_the_package_has_the_graph_of_its_weights():
    """Programs start seconds faster with it; `python -m fer_ros.msfernet.prepared_graph` writes it."""
    weights = read_weights(SHIPPED)
    path = prepared_graph.prepared(weights.architecture)
    assert path is not None
    initializers = onnx.load(path, load_external_data=False).graph.initializer
    assert {i.name: tuple(i.dims) for i in initializers} == {
        name: tensor.shape for name, tensor in prepared_graph.initializers(weights).items()}
    assert path.stat().st_size < 100_000


def test_the_command_writes_a_graph(tmp_path, capsys):
    assert prepared_graph.main(['--model', str(SHIPPED), '--out', str(tmp_path)]) == 0
    written, = tmp_path.iterdir()
    assert capsys.readouterr().out.strip() == str(written)
    assert written.name == prepared_graph.prepared(read_weights(SHIPPED).architecture).name
    assert prepared_graph.main(['--model', str(tmp_path / 'none'), '--out', str(tmp_path)]) == 1
    assert 'no weights file at' in capsys.readouterr().err
