import json

import pytest
from msfernet_support import EVALUATION, SHIPPED, constant_network, write_split

from fer_ros.msfernet.evaluate import checksum, evaluate
from fer_ros.msfernet.model_card import figures, fill, main
from fer_ros.msfernet.weights import Model, load_model, save_model

CARD = EVALUATION.with_name('README.md')
EMPTY = '# Card\n\n<!-- figures -->\nold\n<!-- end of figures -->\n\nThe end.\n'


def test_the_card_says_what_the_evaluation_found():
    text = CARD.read_text()
    assert fill(text, 'figures', figures(json.loads(EVALUATION.read_text()))) == text, \
        'run python -m fer_ros.msfernet.model_card'


def test_the_evaluation_is_of_the_shipped_weights():
    report, model = json.loads(EVALUATION.read_text()), load_model(SHIPPED)
    assert report['sha256'] == checksum(SHIPPED), 'measure the weights again with fer_ros.msfernet.evaluate'
    assert report['temperature'] == model.temperature
    assert report['training'] == model.training


@pytest.fixture
def report(tmp_path):
    training = {'epochs': 2, 'recipe': {'epochs': 2, 'sizes': [[0.0, 32], [0.5, 48]]},
                'calibration': {'split': 'validation', 'conditions': True, 'raters': {'faces': 1234},
                                'fer2013': {'faces': 56, 'biases': {'happy': 0.25}}}}
    network = constant_network([2.0, 0, 0, 0, 0, 0, 0])
    save_model(tmp_path / 'm.safetensors', Model(network, 1.5, 0.75, training=training))
    write_split(tmp_path / 'data' / 'validation', 1)
    (tmp_path / 'votes.csv').write_text(
        'picture,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,no_face\n'
        'validation/sad/000.png,2,0,0,0,8,0,0,0,0,0\n')
    return evaluate(tmp_path / 'm.safetensors', str(tmp_path / 'data'), 'validation', votes=tmp_path / 'votes.csv',
                    conditions=True, flip=True, progress=False)


def test_figures_of_a_report(report):
    text = figures(report)
    assert '| accuracy, 7 emotions | 100.00 % | 14.29 % | 100.00 % | 14.29 % |' in text
    assert 'temperature 1.5000, fitted on 1,234 faces of `validation`, clean and degraded' in text
    assert 'temperature 0.7500 and biases happy +0.25, fitted on 56 faces of `validation`' in text
    assert 'disgusted classified as angry 100 %' in text
    assert '| mask | 100.00 % |' in text
    assert '| **neutral** | 1 | 0 | 0 |' in text
    assert '`sizes` 0:32,0.5:48' in text
    assert report['sha256'] in text


def test_the_command_replaces_what_stands_between_the_comments(report, tmp_path):
    card, evaluation = tmp_path / 'card.md', tmp_path / 'evaluation.json'
    evaluation.write_text(json.dumps(report))
    card.write_text(EMPTY)
    for _ in range(2):  # a second time changes nothing
        assert main(['--evaluation', str(evaluation), '--card', str(card)]) == 0
        assert card.read_text() == f'# Card\n\n<!-- figures -->\n\n{figures(report)}\n\n' \
                                   '<!-- end of figures -->\n\nThe end.\n'


@pytest.mark.parametrize('text', ['', '<!-- figures -->', '<!-- end of figures --> <!-- figures -->', 2 * EMPTY])
def test_a_card_without_its_comments_is_left_alone(report, tmp_path, capsys, text):
    card, evaluation = tmp_path / 'card.md', tmp_path / 'evaluation.json'
    evaluation.write_text(json.dumps(report))
    card.write_text(text)
    assert main(['--evaluation', str(evaluation), '--card', str(card)]) == 1
    assert 'card.md: expected one <!-- figures -->' in capsys.readouterr().err
    assert card.read_text() == text
