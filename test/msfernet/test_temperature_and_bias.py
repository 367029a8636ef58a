import math

import numpy as np
import pytest
import torch
from msfernet_support import constant_network, write_pictures, write_split
from scipy.special import softmax

from fer_ros.emotions import EMOTIONS
from fer_ros.msfernet.conditions import CONDITIONS
from fer_ros.msfernet.data import load
from fer_ros.msfernet.evaluate import predict
from fer_ros.msfernet.metrics import reliability, score
from fer_ros.msfernet.temperature_and_bias import (
    fit,
    fit_biases,
    fit_temperature,
    main,
    negative_log_likelihood,
    neutral_bias,
)
from fer_ros.msfernet.weights import Model, load_model, save_model


@pytest.mark.parametrize('temperature', [0.3, 1.0, 4.0])
def test_it_finds_the_temperature_behind_soft_labels(temperature):
    logits = np.random.default_rng(0).normal(0, 2, (500, 7)).astype(np.float32)
    targets = softmax(logits.astype(np.float64) / temperature, axis=1)
    assert fit_temperature(logits, targets) == pytest.approx(temperature, rel=1e-4)


def test_it_makes_confidence_honest():
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 4, (20_000, 7))
    true = softmax(logits / 2.5, axis=1)
    labels = (true.cumsum(1) > generator.random((len(logits), 1))).argmax(1)
    temperature = fit_temperature(logits, np.eye(7)[labels])
    assert temperature == pytest.approx(2.5, rel=0.05)
    before, after = (reliability(softmax(logits / t, axis=1), labels).error for t in (1.0, temperature))
    assert before > 0.1
    assert after < 0.015


def test_likelihood_by_hand():
    logits = np.log([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
    targets = np.array([[1.0, 0, 0], [0, 0.5, 0.5]])
    expected = -(math.log(0.5) + 0.5 * math.log(0.1) + 0.5 * math.log(0.8)) / 2
    assert negative_log_likelihood(logits, targets, 1.0) == pytest.approx(expected)


@pytest.mark.parametrize('right', [True, False])
def test_a_temperature_without_end_is_an_error(right):
    logits = 3.0 * np.eye(7)
    targets = np.eye(7) if right else np.roll(np.eye(7), 1, axis=1)
    with pytest.raises(ValueError, match='the temperature runs to'):
        fit_temperature(logits, targets)


def test_it_finds_the_biases_behind_soft_labels():
    generator = np.random.default_rng(0)
    logits, biases = generator.normal(0, 2, (500, 7)), np.array([0.5, -1, 0.2, 0, 0.6, -0.5, 0.2])
    found = fit_biases(logits, softmax(logits + biases, axis=1))
    np.testing.assert_allclose(found, biases, atol=0.05)
    assert found.sum() == pytest.approx(0)


def test_an_emotion_that_no_face_shows_keeps_a_finite_bias():
    assert np.abs(fit_biases(np.zeros((5, 7)), np.eye(7)[[0, 1, 2, 3, 4]])).max() < 10


def test_the_command_adds_biases_to_the_last_layer(tmp_path, capsys):
    source, out = tmp_path / 'in.safetensors', tmp_path / 'out.safetensors'
    save_model(source, Model(constant_network([0.0, 0, 0, 2, 0, 0, 0])))
    shares = [4, 1, 1, 2, 1, 1, 1]
    for emotion, count in zip(EMOTIONS, shares, strict=True):
        write_pictures(tmp_path / 'validation' / emotion, count)
    assert main(['--model', str(source), '--data', str(tmp_path), '--out', str(out), '--device', 'cpu',
                 '--biases']) == 0
    model = load_model(out)
    logits = model.network(torch.zeros(1, 1, 48, 48)).logits.detach().numpy() / model.temperature
    np.testing.assert_allclose(softmax(logits, axis=1)[0], np.array(shares) / 11, atol=0.01)
    for facts in (model.training['calibration'][name] for name in ('raters', 'fer2013')):
        assert list(facts['biases']) == list(EMOTIONS)
        assert facts['nll_after'] < facts['nll_before']


@pytest.mark.parametrize('most', [0.0, 0.25, 0.6])
def test_neutral_is_favoured_no_more_than_it_takes(most):
    generator = np.random.default_rng(1)
    logits, labels = generator.normal(0, 1.5, (400, 7)), generator.integers(0, 7, 400)

    def share(shift):
        moved = logits + shift * (np.arange(7) == EMOTIONS.index('neutral'))
        return score(softmax(moved, axis=1), labels)['neutral_as_negative']
    found = neutral_bias(logits, labels, most)
    assert share(0) > 0.6 and found > 0
    assert share(found) <= most < share(found - 2e-4) + 1e-9


def test_neutral_is_not_favoured_without_need():
    logits = np.zeros((3, 7))
    logits[:, EMOTIONS.index('neutral')] = 5
    assert neutral_bias(logits, np.full(3, EMOTIONS.index('neutral')), 0.0) == 0


@pytest.mark.parametrize(('label', 'most', 'message'), [('happy', 0.2, 'no face is labelled neutral'),
                                                        ('neutral', 1.2, r'0 to 1, got 1\.2')])
def test_favouring_neutral_needs_neutral_faces_and_a_share(label, most, message):
    with pytest.raises(ValueError, match=message):
        neutral_bias(np.zeros((3, 7)), np.full(3, EMOTIONS.index(label)), most)


def test_the_command_favours_neutral_and_renews_statistics(tmp_path, capsys):
    source, out = tmp_path / 'in.safetensors', tmp_path / 'out.safetensors'
    save_model(source, Model(constant_network([2.0, 0, 0, 0, 0, 0, 0])))
    write_split(tmp_path / 'validation', 1)
    for emotion in ('angry', 'neutral'):
        write_pictures(tmp_path / 'validation' / emotion, 12)
    write_split(tmp_path / 'train', 40, seed=50)
    assert main(['--model', str(source), '--data', str(tmp_path), '--out', str(out), '--device', 'cpu',
                 '--neutral-as-negative', '0.3', '--statistics', 'train']) == 0
    model, faces = load_model(out), load(tmp_path, 'validation')
    assert score(predict(model, faces.images).raters, faces.labels)['neutral_as_negative'] <= 0.3
    facts = model.training['calibration']
    assert facts['raters']['biases']['neutral'] > 0 == facts['raters']['biases']['happy']
    assert (facts['raters']['neutral_as_negative'], facts['statistics']) == (0.3, 'train')
    assert 'biases' not in facts['fer2013'], "FER2013's own labels are compared with papers, not shown to people"
    assert not torch.equal(model.network.stem[1].running_mean, load_model(source).network.stem[1].running_mean)


def test_the_command_keeps_weights_and_facts(tmp_path, capsys):
    # Happy has logit 2 and the six others 0; half of the faces are happy: e^(2/T) / (e^(2/T) + 6) = 1/2.
    source, out = tmp_path / 'in.safetensors', tmp_path / 'models' / 'out.safetensors'
    model = Model(constant_network([0.0, 0, 0, 2, 0, 0, 0]), training={'epochs': 5})
    save_model(source, model)
    write_pictures(tmp_path / 'validation' / 'happy', 3)
    write_pictures(tmp_path / 'validation' / 'sad', 3)
    assert main(['--model', str(source), '--data', str(tmp_path), '--out', str(out), '--device', 'cpu']) == 0
    calibrated = load_model(out)
    assert calibrated.temperature == calibrated.fer2013_temperature == pytest.approx(2 / math.log(6), rel=1e-4)
    assert calibrated.training['epochs'] == 5
    facts = calibrated.training['calibration']
    assert facts['split'] == 'validation'
    for fitted in (facts['raters'], facts['fer2013']):
        assert fitted['faces'] == 6
        assert fitted['nll_after'] < fitted['nll_before']
        assert fitted['ece_after'] == pytest.approx(0, abs=1e-4)
    for name, tensor in model.network.state_dict().items():
        assert (calibrated.network.state_dict()[name] == tensor).all()
    assert 'temperature 1.1' in capsys.readouterr().out
    assert load_model(source).temperature == 1


def test_the_command_fits_raters_in_every_condition(tmp_path, capsys):
    source, out, votes = (tmp_path / name for name in ('in.safetensors', 'out.safetensors', 'votes.csv'))
    save_model(source, Model(constant_network([0.0, 0, 0, 2, 0, 0, 0])))
    write_pictures(tmp_path / 'validation' / 'sad', 4)
    write_pictures(tmp_path / 'validation' / 'happy', 1)
    rows = ('2,8,0,0,0,0,0,0,0,0', '1,6,0,3,0,0,0,0,0,0', '6,4,0,0,0,0,0,0,0,0', '0,0,0,1,0,0,0,0,9,0')
    votes.write_text('picture,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,no_face\n'
                     + ''.join(f'validation/sad/{i:03}.png,{row}\n' for i, row in enumerate(rows)))
    arguments = ['--model', str(source), '--data', str(tmp_path), '--votes', str(votes), '--out', str(out)]
    assert main([*arguments, '--conditions', '--biases', '--device', 'cpu']) == 0
    facts = load_model(out).training['calibration']
    # Three pictures have a plurality among the seven; the data set calls four sad and one happy.
    assert (facts['conditions'], facts['raters']['faces'], facts['fer2013']['faces']) == (True, 3 * len(CONDITIONS), 5)
    biases = facts['raters']['biases']
    assert biases['neutral'] > biases['sad'], 'raters saw neutral and happy faces'
    assert facts['fer2013']['biases']['sad'] > facts['fer2013']['biases']['neutral']


def test_votes_for_other_things_alone_are_an_error(tmp_path, capsys):
    source, votes = tmp_path / 'in.safetensors', tmp_path / 'votes.csv'
    save_model(source, Model(constant_network([0.0, 0, 0, 2, 0, 0, 0])))
    write_pictures(tmp_path / 'validation' / 'sad', 1)
    votes.write_text('picture,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,no_face\n'
                     'validation/sad/000.png,0,0,0,0,0,0,0,0,0,10\n')
    assert main(['--model', str(source), '--data', str(tmp_path), '--votes', str(votes), '--out', str(source)]) == 1
    assert 'no picture of validation has a plurality' in capsys.readouterr().err


def test_clean_faces_have_a_quarter_of_the_weight():
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 3, (4000, 7))

    def drawn(temperature):
        shares = softmax(logits / temperature, axis=1)
        return (shares.cumsum(1) > generator.random((len(logits), 1))).argmax(1)
    clean, degraded = drawn(1.0), [drawn(3.0) for _ in range(6)]
    alone = fit(logits, clean).temperature
    together = fit(np.tile(logits, (7, 1)), np.concatenate([clean, *degraded]), clean=len(logits)).temperature
    quarter = fit(np.tile(logits, (4, 1)), np.concatenate([clean, *degraded[:3]])).temperature
    assert alone == pytest.approx(1.0, rel=0.05)
    assert together == pytest.approx(quarter, rel=0.03)
