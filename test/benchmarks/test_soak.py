"""The verdict of the soak on records whose outcome is known."""

import argparse
import json

import pytest

from benchmarks.soak import PROGRAMS, draw, text, verdict, write


def record(minutes=10, growth=0.0, thread_at=None, **fields):
    """Flat but for what is given: memory of fer_node grows by `growth` in all, and a thread more from a second on."""
    seconds = list(range(1, 60 * minutes + 1))
    processes = {name: {'memory_mb': [100.0] * len(seconds), 'threads': [10] * len(seconds),
                        'descriptors': [20] * len(seconds)} for name in PROGRAMS}
    node = processes['fer_node']
    node['memory_mb'] = [100 * (1 + growth * second / seconds[-1]) for second in seconds]
    node['threads'] = [10 + (thread_at is not None and second >= thread_at) for second in seconds]
    return {'minutes': minutes, 'rate': 30.0, 'ended_early': '', 'dropped': 7, 'seconds': seconds,
            'latency_p50_ms': [5.0] * len(seconds), 'frames_per_s': [30.0] * len(seconds), 'processes': processes,
            'machine': {'cpu': 'A', 'cores': 2, 'cores_used': 2, 'memory_gb': 8, 'system': 'B', 'python': '3',
                        'packages': {'numpy': '1'}}, **fields}


def test_what_does_not_change_stays():
    judged = verdict(record())
    assert judged['good'] is True
    assert judged['processes']['fer_node']['growth'] == 0
    assert '**Stable.**' in text(record())


@pytest.mark.parametrize(('changes', 'good'), [
    ({'growth': 0.02}, True),  # of which some comes in the first minute
    ({'growth': 0.03}, False), ({'growth': -0.5}, True), ({'thread_at': 30}, True), ({'thread_at': 400}, False),
    ({'ended_early': 'interrupted'}, True), ({'ended_early': 'fer_node has ended: killed'}, False)])
def test_verdict(changes, good):
    assert verdict(record(**changes))['good'] is good


def test_a_short_run_has_no_verdict():
    assert verdict(record(minutes=1))['good'] is None
    assert 'No verdict' in text(record(minutes=1))


def test_a_second_without_frames_is_shown(tmp_path):
    given = record(minutes=2)
    given['latency_p50_ms'][50] = None
    draw(given, tmp_path / 'soak.png')
    assert (tmp_path / 'soak.png').stat().st_size > 10_000
    assert '5.0 ms' in text(given)


def test_everything_is_written(tmp_path):
    docs = tmp_path / 'soak.md'
    docs.write_text('before <!-- soak -->\n<!-- end of soak --> after')
    write(record(), argparse.Namespace(json=tmp_path / 'a.json', picture=tmp_path / 'a.png', docs=docs))
    assert '**Stable.**' in docs.read_text() and docs.read_text().startswith('before')
    assert json.loads((tmp_path / 'a.json').read_text())['verdict']['good'] is True
