import dataclasses
from pathlib import Path

import pytest
import yaml as pyyaml

from fer_ros.nodes.diagnostics import Thresholds
from fer_ros.parameters import DASHBOARD, FER_NODE, NODES, Parameter, by_name, document, limits, problem, when, yaml
from fer_ros.perception.settings import PipelineSettings
from fer_ros.recordings.processing import Settings
from fer_ros.web.server.settings import WebSettings

ROOT = Path(__file__).resolve().parent.parent
EVERY = [pytest.param(parameter, id=f'{node}.{parameter.name}') for node, table in NODES.items() for parameter in table]


@pytest.mark.parametrize('parameter', EVERY)
def test_default_is_allowed_and_everything_is_described(parameter):
    assert problem(parameter, parameter.default) is None
    assert parameter.description.endswith('.')
    assert not (parameter.range and parameter.choices)
    assert not (parameter.read_only and parameter.at_configure)
    if isinstance(parameter.default, int | float) and not isinstance(parameter.default, bool):
        assert parameter.range or parameter.choices, 'every number has a range or choices'


@pytest.mark.parametrize('parameter', EVERY)
def test_names_are_unique(parameter):
    for table in NODES.values():
        assert [p.name for p in table].count(parameter.name) <= 1


@pytest.mark.parametrize(('value', 'told'), [
    (-0.1, 'half_life must be 0 to 10 s, got -0.1'), (10.1, '0 to 10 s'), (float('nan'), 'got nan'),
    (float('inf'), 'got inf'), (0.0, None), (10.0, None)])
def test_out_of_range_is_named_with_range_and_unit(value, told):
    parameter = Parameter('half_life', 0.3, 'Text.', 's', (0.0, 10.0))
    assert (told is None and problem(parameter, value) is None) or told in problem(parameter, value)


def test_not_among_the_choices_is_named_with_the_choices():
    parameter = Parameter('detector', 'short', 'Text.', choices=('short', 'full'))
    assert problem(parameter, 'long') == "detector must be one of short, full, got 'long'"
    assert limits(parameter) == 'short, full'


@pytest.mark.parametrize('rotate', [45, -90, 360])
def test_numbers_can_be_choices_too(rotate):
    parameter = by_name(FER_NODE)['rotate']
    assert problem(parameter, rotate) == f'rotate must be one of 0, 90, 180, 270, got {rotate}'
    assert problem(parameter, 270) is None


def test_when_a_parameter_can_be_set():
    parameter = Parameter('x', 1.0, 'Text.')
    assert [when(dataclasses.replace(parameter, **change)) for change in
            ({}, {'at_configure': True}, {'read_only': True})] == ['any', 'configure', 'start']


@pytest.mark.parametrize(('settings', 'table', 'others'), [
    (PipelineSettings, FER_NODE, {'deterministic_ids'}), (Thresholds, FER_NODE, set()),
    (WebSettings, DASHBOARD, set())])
def test_defaults_are_those_of_the_node(settings, table, others):
    defaults, known = settings(), by_name(table)
    names = {field.name for field in dataclasses.fields(settings)} - others
    assert names <= known.keys()
    assert {name: getattr(defaults, name) for name in names} == {name: known[name].default for name in names}


def test_a_run_over_recordings_has_the_defaults_of_the_node():
    defaults, known = Settings(), by_name(FER_NODE)
    for name in ('model', 'device', 'runtime', 'detector', 'max_faces', 'rotate'):
        assert getattr(defaults, name) == known[name].default


def test_parameter_file_is_that_of_the_code():
    text = (ROOT / 'config' / 'fer.yaml').read_text(encoding='utf-8')
    assert text == yaml(NODES), 'write it again: python -m fer_ros.parameters yaml > config/fer.yaml'
    data = pyyaml.safe_load(text)
    for node, table in NODES.items():
        values = data[f'/**/{node}']['ros__parameters']
        assert values == {p.name: p.default for p in table}
        assert all(type(values[p.name]) is type(p.default) for p in table)


def test_documented_tables_are_those_of_the_code():
    text = (ROOT / 'docs' / 'parameters.md').read_text(encoding='utf-8')
    assert text == document(NODES), 'write it again: python -m fer_ros.parameters > docs/parameters.md'
