import numpy as np
import pytest
from msfernet_support import SHIPPED, write_split

from fer_ros.msfernet import quantise
from fer_ros.msfernet.prepared_graph import quantised_path
from fer_ros.msfernet.quantise import calibration_faces, main
from fer_ros.msfernet.weights import load_model, save_model
from fer_ros.perception.recognition import EmotionRecognizer

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')


def test_half_of_the_calibration_faces_are_degraded(monkeypatch):
    monkeypatch.setattr(quantise, 'FACES', 80)
    faces = np.random.default_rng(0).integers(0, 256, (200, 48, 48), np.uint8)
    chosen = calibration_faces(faces)
    assert chosen.shape == (80, 48, 48) and chosen.dtype == np.uint8
    known = {face.tobytes() for face in faces}
    same = [face.tobytes() in known for face in chosen]
    assert all(same[::2]) and sum(same[1::2]) < 8  # the clean condition is among the others


def test_the_command_writes_what_the_recogniser_takes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quantise, 'FACES', 64)
    path = tmp_path / 'own.safetensors'
    save_model(path, load_model(SHIPPED))
    write_split(tmp_path / 'faces' / 'train', 3)
    assert main(['--model', str(path), '--data', str(tmp_path / 'faces')]) == 0
    assert str(quantised_path(path)) in capsys.readouterr().out
    exact, quantised = (EmotionRecognizer(path, 'cpu', precision=precision) for precision in ('float32', 'int8'))
    faces = np.random.default_rng(0).integers(0, 256, (8, 48, 48), np.uint8)
    assert np.abs(exact.probabilities(faces) - quantised.probabilities(faces)).max() < 0.5
    assert main(['--model', str(tmp_path / 'none.safetensors'), '--data', str(tmp_path)]) == 1
    assert 'no weights file at' in capsys.readouterr().err
