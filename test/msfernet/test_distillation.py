import numpy as np
import pytest
from msfernet_support import face_set, noise_faces
from test_train import TINY, dataset, replace, trainer  # noqa: F401

from fer_ros.msfernet.distillation import soft_labels
from fer_ros.msfernet.network import MSFERNet
from fer_ros.msfernet.train import Trainer, main
from fer_ros.msfernet.weights import Model, save_model


@pytest.fixture
def teachers():
    return [Model(MSFERNet(stem=4, widths=(8, 8), depths=(1, 1)).eval()) for _ in range(2)]


def test_mean_of_teachers_and_of_mirror_images(teachers):
    faces = noise_faces(5)
    both = soft_labels(teachers, faces)
    assert both.shape == (5, 7)
    assert both.dtype == np.float32
    np.testing.assert_allclose(both.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(both, np.mean([soft_labels([t], faces) for t in teachers], axis=0), atol=1e-6)
    np.testing.assert_allclose(both, soft_labels(teachers, np.ascontiguousarray(faces[:, :, ::-1])), atol=1e-5)


def test_labels_are_mixed_with_what_the_teachers_say(tmp_path, teachers):
    faces = face_set(21)
    network = MSFERNet(stem=4, widths=(8, 8), depths=(1, 1))
    mixed = Trainer(network, faces, face_set(9, seed=1), replace(TINY, distillation=0.25), tmp_path, teachers=teachers)
    expected = 0.75 * faces.targets + 0.25 * soft_labels(teachers, faces.images)
    np.testing.assert_allclose(mixed._labels.numpy(), expected, atol=1e-6)


def test_teachers_without_a_share_and_a_share_without_teachers_are_refused(tmp_path, teachers):
    with pytest.raises(ValueError, match=r'distillation 0.5 with 0 teachers: give both'):
        trainer(tmp_path, replace(TINY, distillation=0.5))
    with pytest.raises(ValueError, match=r'distillation 0.0 with 2 teachers'):
        Trainer(MSFERNet(stem=4, widths=(8, 8), depths=(1, 1)), face_set(21), face_set(9), TINY, tmp_path,
                teachers=teachers)


def test_the_command_takes_teachers(dataset, tmp_path, teachers, capsys):  # noqa: F811
    path = tmp_path / 'teacher.safetensors'
    save_model(path, teachers[0])
    arguments = ['--data', str(dataset), '--epochs', '1', '--batch-size', '8', '--weights', str(path),
                 '--teachers', str(path), '--out', str(tmp_path / 'out')]
    assert main([*arguments, '--distillation', '0.3']) == 0
    assert main(arguments) == 1
    assert 'give both --teachers and a --distillation' in capsys.readouterr().err
