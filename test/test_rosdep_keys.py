"""`rosdep install` needs no pip: every key of package.xml is a ROS package or comes from apt."""

import json

import pytest
from rosdep_keys import RELEASES, RESOLVED, ROOT, dependencies, resolve

TABLE = json.loads(RESOLVED.read_text())


@pytest.mark.parametrize('release', RELEASES)
def test_every_key_is_resolved_without_pip(release):
    assert sorted(TABLE[release]) == dependencies(), 'write it anew: python test/rosdep_keys.py <rosdistro>'
    for key, how in TABLE[release].items():
        assert how.get('ros') or (isinstance(how['apt'], list) and how['apt']), f'{key} in {release}: {how}'


def test_where_the_table_comes_from_is_told():
    assert TABLE['source'].startswith('https://github.com/ros/rosdistro ')


@pytest.mark.parametrize(('rule', 'expected'), [
    (['python3-numpy'], ['python3-numpy']),
    ({'pip': {'packages': ['mediapipe']}}, {'pip': {'packages': ['mediapipe']}}),
    ({'*': ['python3-torch'], 'focal': None}, ['python3-torch']),
    ({'*': ['python3-torch'], 'noble': None}, None),
    ({'noble': {'pip': {'packages': ['x']}}}, {'pip': {'packages': ['x']}}),
    (None, None)])
def test_a_rule_of_rosdep_is_read_for_one_system(rule, expected):
    assert resolve(rule, 'noble') == expected


def test_what_only_pip_has_is_not_a_key_and_is_pinned_for_robots():
    pinned = (ROOT / 'requirements' / 'robot.txt').read_text()
    for name in ('torch', 'safetensors', 'mediapipe', 'ai-edge-litert', 'av'):
        assert f'\n{name}==' in pinned
        assert not [key for key in dependencies() if name in key]
