import json

import pytest
from golden import GOLDEN, say

REMEDY = 'if the weights were changed on purpose, run PYTHONPATH=. python test/msfernet/golden.py'


@pytest.fixture(scope='module')
def said():
    return say()


@pytest.fixture(scope='module')
def golden():
    return json.loads(GOLDEN.read_text())


def test_they_are_the_weights_that_were_written_down(said, golden):
    assert said['sha256'] == golden['sha256'], REMEDY


def test_the_shipped_weights_say_what_they_said(said, golden):
    assert said['emotions'] == golden['emotions']
    assert said['pictures'].keys() == golden['pictures'].keys()
    for name, expected in golden['pictures'].items():
        actual = said['pictures'][name]
        assert actual['probabilities'] == pytest.approx(expected['probabilities'], abs=1e-3), REMEDY
        assert actual['embedding_length'] == pytest.approx(expected['embedding_length'], rel=1e-3), REMEDY


def test_a_smile_is_happy(said):
    smile = dict(zip(said['emotions'], said['pictures']['astronaut']['probabilities'], strict=True))
    assert max(smile, key=smile.get) == 'happy'
