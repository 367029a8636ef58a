import json

import cv2
import numpy as np
import pytest
import torch
from msfernet_support import EVALUATION, SHIPPED, constant_network, face_set, noise_faces, write_pictures

from fer_ros.emotions import EMOTIONS
from fer_ros.msfernet.evaluate import (
    confusion_matrix,
    evaluate,
    macro_f1,
    main,
    milliseconds_per_face,
    predict_logits,
    reliability,
    score,
    table,
)
from fer_ros.msfernet.network import count_macs, count_parameters
from fer_ros.msfernet.preprocessing import network_input
from fer_ros.msfernet.weights import Model, save_model

KEYS = {'accuracy_7', 'accuracy_3', 'macro_f1_7', 'macro_f1_3', 'ece_7', 'neutral_as_negative', 'n_7', 'n_3',
        'confusion_7', 'confusion_3', 'parameters', 'macs', 'milliseconds_per_face'}


def rows(*faces):
    """(N, 7) from dictionaries of emotion and probability."""
    return np.array([[face.get(emotion, 0.0) for emotion in EMOTIONS] for face in faces])


SIX = rows({'angry': 0.6, 'happy': 0.4},
           {'neutral': 0.4, 'sad': 0.3, 'angry': 0.3},
           {'neutral': 0.9, 'happy': 0.1},
           {'neutral': 0.34, 'angry': 0.33, 'scared': 0.33},
           {'surprised': 0.7, 'happy': 0.2, 'neutral': 0.1},
           {'surprised': 0.95, 'happy': 0.05})
SIX_LABELS = np.array([EMOTIONS.index(e) for e in ('angry', 'sad', 'neutral', 'neutral', 'happy', 'surprised')])


def test_six_faces_counted_by_hand():
    report = score(SIX, SIX_LABELS)
    assert (report['n_7'], report['n_3']) == (6, 5)
    # Seven emotions: sad is read as neutral and happy as surprised.
    assert report['accuracy_7'] == pytest.approx(4 / 6)
    assert report['macro_f1_7'] == pytest.approx((1 + 0 + 4 / 5 + 0 + 2 / 3) / 5)
    assert report['recall_7'] == {'angry': 1, 'disgusted': None, 'scared': None, 'happy': 0, 'sad': 0, 'surprised': 1,
                                  'neutral': 1}
    # Groups: sad is negative after all, and happy positive once surprise is left out; one neutral is read as negative.
    assert report['confusion_3'] == [[2, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert report['accuracy_3'] == pytest.approx(4 / 5)
    assert report['macro_f1_3'] == pytest.approx((4 / 5 + 2 / 3 + 1) / 3)
    assert report['neutral_as_negative'] == pytest.approx(1 / 2)
    # Bins: (0.4 wrong, 0.34 right) share one, the others have one each.
    assert report['ece_7'] == pytest.approx((2 * abs(0.37 - 0.5) + 0.4 + 0.1 + 0.7 + 0.05) / 6)


def test_rows_are_labels_and_columns_predictions():
    confusion = confusion_matrix(np.array([0, 0, 2]), np.array([0, 1, 1]), 3)
    assert confusion.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]


def test_classes_that_occur_nowhere_do_not_count_in_macro_f1():
    assert macro_f1(np.array([[2, 0, 0], [0, 3, 0], [0, 0, 0]])) == 1


def test_shares_of_nothing_are_none():
    report = score(rows({'surprised': 1.0}), np.array([EMOTIONS.index('surprised')]))
    assert report['accuracy_7'] == 1
    assert report['accuracy_3'] is report['macro_f1_3'] is report['neutral_as_negative'] is None
    assert '–' in table(report)


def test_bins_hold_their_upper_edge():
    bins = reliability(np.array([[0.5, 0.5], [0.51, 0.49], [1.0, 0.0]]), np.array([0, 1, 0]), bins=2)
    assert bins.count.tolist() == [1, 2]
    assert bins.accuracy.tolist() == [1, 0.5]
    assert bins.confidence.tolist() == pytest.approx([0.5, 0.755])
    assert bins.error == pytest.approx((0.5 + 2 * 0.255) / 3)


def test_faces_as_sure_as_right_have_no_calibration_error():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(7), 100_000)
    labels = (probabilities.cumsum(1) > generator.random((100_000, 1))).argmax(1)
    assert reliability(probabilities, labels).error < 0.01


def test_logits_are_the_networks_in_every_batch(small_network):
    model = Model(small_network, mean=0.4, std=0.2)
    images = noise_faces(70)
    with torch.no_grad():
        expected = small_network(network_input(images, mean=0.4, std=0.2)).logits
        mirrored = small_network(network_input(images, mean=0.4, std=0.2).flip(3)).logits
    np.testing.assert_allclose(predict_logits(model, images), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(predict_logits(model, images, mirrored=True), mirrored, rtol=1e-3, atol=1e-4)


def test_timing_restores_the_number_of_threads(small_network):
    assert milliseconds_per_face(small_network, repeats=3) > 0
    assert torch.get_num_threads() == 1


@pytest.fixture
def always_happy(tmp_path):
    """Weights that see 60 % happy and 40 % neutral in every face, at the temperature that they bring."""
    logits = 1.7 * np.log([1e-9, 1e-9, 1e-9, 0.6, 1e-9, 1e-9, 0.4])
    path = tmp_path / 'happy.safetensors'
    save_model(path, Model(constant_network(logits), temperature=1.7, training={'epochs': 1}))
    for name, count in (('happy', 3), ('neutral', 4), ('surprise', 2), ('anger', 1)):
        write_pictures(tmp_path / 'data' / 'validation' / name, count)
    (tmp_path / 'data' / 'validation' / 'happy' / 'broken.png').write_text('no picture')
    return path, tmp_path / 'data'


def test_the_command_measures_a_tiny_set(always_happy, tmp_path, capsys):
    model, folder = always_happy
    out, plots = tmp_path / 'reports' / 'out.json', tmp_path / 'plots'
    assert main(['--model', str(model), '--data', str(folder), '--split', 'PublicTest', '--json', str(out),
                 '--plots', str(plots), '--device', 'cpu']) == 0
    report = json.loads(out.read_text())
    assert report.keys() >= KEYS
    assert 'flip' not in report
    assert (report['n_7'], report['n_3'], report['skipped']) == (10, 8, 1)
    assert report['accuracy_7'] == pytest.approx(0.3)
    assert report['accuracy_3'] == pytest.approx(3 / 8)
    assert report['neutral_as_negative'] == 0
    assert report['macro_f1_7'] == pytest.approx((6 / 13) / 4)
    assert report['ece_7'] == pytest.approx(0.3, abs=1e-6)
    assert report['confusion_3'] == [[0, 0, 1], [0, 0, 4], [0, 0, 3]]
    assert report['confusion_7'][EMOTIONS.index('neutral')] == [0, 0, 0, 4, 0, 0, 0]
    network = constant_network([0.0] * 7)
    assert (report['parameters'], report['macs']) == (count_parameters(network), count_macs(network))
    assert str(tmp_path) not in out.read_text()
    printed = capsys.readouterr().out
    assert '| accuracy, 7 emotions | 30.00 % |' in printed
    assert f'{report["parameters"]:,} parameters' in printed
    assert {path.name for path in plots.iterdir()} == {
        'confusion_7.png', 'confusion_3.png', 'reliability.png', 'mistakes.png'}
    for path in plots.iterdir():
        assert cv2.imread(str(path)).std() > 10, f'{path.name} is blank'


def test_the_mirror_image_is_measured_beside(tmp_path, small_network):
    path = tmp_path / 'model.safetensors'
    model = Model(small_network, temperature=0.2)
    save_model(path, model)
    images = write_pictures(tmp_path / 'validation' / 'happy', 12)
    plain = evaluate(path, tmp_path, 'validation', progress=False)
    both = evaluate(path, tmp_path, 'validation', flip=True, progress=False)
    assert {key: both[key] for key in plain if key != 'milliseconds_per_face'} == {
        key: value for key, value in plain.items() if key != 'milliseconds_per_face'}

    def softmax(logits):
        return torch.from_numpy(logits / model.temperature).double().softmax(1).numpy()

    mean = (softmax(predict_logits(model, images)) + softmax(predict_logits(model, images, mirrored=True))) / 2
    labels = np.full(12, EMOTIONS.index('happy'))
    assert both['flip']['ece_7'] == pytest.approx(score(mean, labels)['ece_7'], abs=1e-5)
    assert both['flip']['ece_7'] != pytest.approx(both['ece_7'], abs=1e-5)
    assert 'mean with the mirror image' in table(both)


def test_without_mistakes_the_sheet_is_empty(tmp_path):
    path = tmp_path / 'model.safetensors'
    save_model(path, Model(constant_network([9.0, 0, 0, 0, 0, 0, 0])))
    write_pictures(tmp_path / 'validation' / 'angry', 2)
    report = evaluate(path, tmp_path, 'validation', plots=tmp_path / 'plots', progress=False)
    assert report['accuracy_7'] == 1
    assert (tmp_path / 'plots' / 'mistakes.png').is_file()


def test_soft_labels_count_as_their_likeliest_emotion():
    faces = face_set(2)
    faces.targets[0] = [0.2, 0, 0, 0.5, 0, 0, 0.3]
    assert faces.labels[0] == EMOTIONS.index('happy')


def test_the_card_gives_the_figures_of_the_shipped_weights(fer2013):
    measured = evaluate(SHIPPED, fer2013, 'validation', progress=False)
    written = json.loads(EVALUATION.read_text())
    for key in ('n_7', 'n_3', 'parameters', 'macs', 'sha256'):
        assert measured[key] == written[key], key
    # Another processor may round a face or two to the other side.
    for key in ('accuracy_7', 'accuracy_3', 'macro_f1_7', 'macro_f1_3', 'ece_7', 'neutral_as_negative'):
        assert measured[key] == pytest.approx(written[key], abs=0.004), key
