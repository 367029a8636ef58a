import json

import cv2
import numpy as np
import pytest
import torch
from msfernet_support import EVALUATION, SHIPPED, constant_network, noise_faces, write_pictures

from fer_ros.emotions import EMOTIONS
from fer_ros.msfernet.conditions import CONDITIONS
from fer_ros.msfernet.evaluate import (
    conditions_table,
    evaluate,
    main,
    milliseconds_per_face,
    predict,
    predict_logits,
    table,
)
from fer_ros.msfernet.metrics import score
from fer_ros.msfernet.network import count_macs, count_parameters
from fer_ros.msfernet.preprocessing import network_input
from fer_ros.msfernet.weights import Model, save_model

KEYS = {'accuracy_7', 'accuracy_3', 'macro_f1_7', 'macro_f1_3', 'ece_7', 'neutral_as_negative', 'n_7', 'n_3',
        'confusion_7', 'confusion_3', 'parameters', 'macs', 'milliseconds_per_face'}


def test_logits_are_the_networks_in_every_batch(small_network):
    images = noise_faces(70)
    with torch.no_grad():
        expected = small_network(network_input(images))
        mirrored = small_network(network_input(images).flip(3))
    for said, options in ((expected, {}), (mirrored, {'mirrored': True})):
        found = predict_logits(Model(small_network), images, **options)
        np.testing.assert_allclose(found.raters, said.logits, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(found.fer2013, said.fer2013_logits, rtol=1e-3, atol=1e-4)


def test_timing_restores_the_number_of_threads(small_network):
    assert milliseconds_per_face(small_network, repeats=3) > 0
    assert torch.get_num_threads() == 1


@pytest.fixture
def always_happy(tmp_path):
    """Weights that see 60 % happy and 40 % neutral in every face, at the temperature that they bring."""
    logits = 1.7 * np.log([1e-9, 1e-9, 1e-9, 0.6, 1e-9, 1e-9, 0.4])
    path = tmp_path / 'happy.safetensors'
    save_model(path, Model(constant_network(logits), 1.7, 1.7, training={'epochs': 1}))
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
    model = Model(small_network, fer2013_temperature=0.2)
    save_model(path, model)
    images = write_pictures(tmp_path / 'validation' / 'happy', 12)
    plain = evaluate(path, tmp_path, 'validation', progress=False)
    both = evaluate(path, tmp_path, 'validation', flip=True, progress=False)
    assert {key: both[key] for key in plain if key != 'milliseconds_per_face'} == {
        key: value for key, value in plain.items() if key != 'milliseconds_per_face'}

    mean = (predict(model, images).fer2013 + predict(model, images, mirrored=True).fer2013) / 2
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


VOTES = 'picture,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,no_face\n'


@pytest.fixture
def votes(always_happy, tmp_path):
    """For `always_happy`: one happy of seven raters, two neutral, one seen as sad, and one without a face."""
    path = tmp_path / 'votes.csv'
    path.write_text(VOTES + 'validation/happy/000.png,2,7,0,0,0,0,0,0,1,0\n'
                            'validation/neutral/000.png,10,0,0,0,0,0,0,0,0,0\n'
                            'validation/neutral/001.png,4,0,0,0,0,0,0,0,0,0\n'
                            'validation/surprise/000.png,0,0,0,8,2,0,0,0,0,0\n'
                            'validation/anger/000.png,0,1,0,0,0,0,0,0,0,9\n')
    return path


def test_the_command_measures_against_raters(always_happy, votes, tmp_path, capsys):
    model, folder = always_happy
    out, plots = tmp_path / 'out.json', tmp_path / 'plots'
    assert main(['--model', str(model), '--data', str(folder), '--split', 'PublicTest', '--votes', str(votes),
                 '--json', str(out), '--plots', str(plots), '--device', 'cpu']) == 0
    report = json.loads(out.read_text())
    assert (report['n_7'], report['accuracy_7']) == (10, pytest.approx(0.3)), 'its own labels are measured as ever'
    assert (report['raters_n_7'], report['raters_n_3'], report['valence_n']) == (4, 4, 5)
    assert report['raters_accuracy_7'] == report['raters_accuracy_3'] == pytest.approx(1 / 4)
    assert (report['raters_neutral_as_negative'], report['raters_negative_as_neutral']) == (0, 0)
    # Valence 0.6 is said of all, the raters' are 7/9, 0, 0, −1 and 1.
    assert report['valence_mae'] == pytest.approx((7 / 9 - 0.6 + 0.6 + 0.6 + 1.6 + 0.4) / 5, abs=1e-6)
    assert report['valence_ccc'] == pytest.approx(0, abs=1e-6), 'a constant says nothing'
    assert "| | raters' votes | own labels |" in capsys.readouterr().out.replace('|  |', '| |')
    assert {path.name for path in plots.iterdir()} >= {'raters_confusion_7.png', 'raters_reliability.png'}


def test_the_command_measures_conditions(always_happy, votes, tmp_path, capsys):
    model, folder = always_happy
    report = evaluate(model, folder, 'validation', votes=votes, conditions=True, plots=tmp_path / 'plots',
                      progress=False)
    assert list(report['conditions']) == list(CONDITIONS)
    for figures in report['conditions'].values():  # the network says the same of every face
        assert figures.keys() >= {'accuracy_7', 'accuracy_3', 'neutral_as_negative', 'confidence'}
        assert (figures['accuracy_7'], figures['confidence']) == (pytest.approx(0.25), pytest.approx(0.6))
    assert report['conditions_labels'] == 'raters'
    assert cv2.imread(str(tmp_path / 'plots' / 'conditions.png')).std() > 10
    assert '| noise, sd 20 | 25.00 % |' in conditions_table(report)
    assert evaluate(model, folder, 'validation', conditions=True, progress=False)['conditions_labels'] == 'fer2013'


def test_the_card_gives_the_figures_of_the_shipped_weights(fer2013):
    measured = evaluate(SHIPPED, fer2013, 'validation', progress=False)
    written = json.loads(EVALUATION.read_text())
    for key in ('n_7', 'n_3', 'parameters', 'macs', 'sha256'):
        assert measured[key] == written[key], key
    # Another processor may round a face or two to the other side.
    for key in ('accuracy_7', 'accuracy_3', 'macro_f1_7', 'macro_f1_3', 'ece_7', 'neutral_as_negative'):
        assert measured[key] == pytest.approx(written[key], abs=0.004), key
