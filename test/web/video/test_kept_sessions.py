"""Sessions that are kept, in memory and in a folder."""

import json
import os

import numpy as np
import pytest

from fer_ros.results.session_summary import ROW, Session
from fer_ros.web.notes import Marker, Notes
from fer_ros.web.video import kept_sessions
from fer_ros.web.video.kept_sessions import KeptError, KeptSession, KeptSessions, decode, encode


def session(title: str = 'a walk') -> KeptSession:
    rows = np.zeros(50, ROW)
    rows['frame'] = np.arange(10, 60)
    rows['valence'], rows['quality'], rows['emotion'], rows['group'] = np.linspace(-1, 1, 50), 0.9, 3, 2
    return KeptSession(title, '2026-01-02 03:04:05', Session(np.arange(100) / 25, {'fa': rows}),
                       {'fa': {'light': '#0060c0', 'dash': (10, 4)}},
                       Notes((Marker(1, 0.5, 'a smile'),), {'fa': 'Ada'}), 'it is dark')


def test_without_a_folder_each_owner_has_its_own(tmp_path):
    kept = KeptSessions()
    name = kept.keep('one', session())
    assert kept.of('one')[name].title == 'a walk' and kept.of('other') == {}
    kept.forget('other', name)
    assert name in kept.of('one')
    kept.forget('one', name)
    assert kept.of('one') == {}


def test_in_a_folder_they_outlive_the_program_and_are_everybodys(tmp_path):
    folder = tmp_path / 'sessions'
    name = KeptSessions(folder).keep('one', session())
    assert os.stat(folder).st_mode & 0o777 == 0o700
    (folder / f'{"0" * 32}.json').write_text('{"version": 1}')
    (folder / 'notes.json').write_text('mine')
    again = KeptSessions(folder)
    assert list(again.of('other')) == [name]
    found, given = again.of('other')[name], session()
    for name in ('title', 'when', 'warning', 'notes'):
        assert getattr(found, name) == getattr(given, name)
    assert found.session.times.tolist() == given.session.times.tolist()
    assert np.abs(found.session.faces['fa']['valence'] - given.session.faces['fa']['valence']).max() < 1e-4
    again.forget('other', next(iter(again.of('other'))))
    assert sorted(os.listdir(folder)) == [f'{"0" * 32}.json', 'notes.json'], 'files of others stay'
    assert KeptSessions(folder).of('one') == {}


def test_there_is_a_limit(monkeypatch):
    kept = KeptSessions()
    monkeypatch.setattr(kept_sessions, 'MOST', 2)
    for title in 'ab':
        kept.keep('one', session(title))
    with pytest.raises(KeptError):
        kept.keep('other', session())
    monkeypatch.setattr(kept_sessions, 'MOST', 50)
    monkeypatch.setattr(kept_sessions, 'LARGEST', 100)
    with pytest.raises(KeptError):
        kept.keep('other', session())


@pytest.mark.parametrize('change', [
    {'version': 2}, {'title': 'a\nb'}, {'title': 7}, {'times': [1, 0]}, {'times': [[0]]}, {'times': ['x']},
    {'times': [0, float('nan')]}, {'faces': {'=1': {}}}, {'faces': {'fb': {}}}, {'faces': []}, {'styles': {}},
    {'styles': {'fa': {'light': 'url(x)', 'dash': []}}}, {'styles': {'fa': {'light': '#0060c0', 'dash': ['"']}}},
    {'markers': [[1]]}, {'markers': [['x', 'y']]}, {'names': {'fa': 'x' * 1000}}, {'when': None}])
def test_a_damaged_file_is_refused(change):
    data = json.loads(encode(session()))
    decode(json.dumps(data))
    with pytest.raises(ValueError):
        decode(json.dumps(data | change))


@pytest.mark.parametrize(('name', 'values'), [
    ('frame', [99999] * 50), ('frame', [3] * 50), ('frame', []), ('emotion', [7] * 50), ('group', [-1] * 50),
    ('valence', [2.0] * 50), ('quality', [0.5]), ('valence', [None] * 50)])
def test_numbers_out_of_range_are_refused(name, values):
    data = json.loads(encode(session()))
    data['faces']['fa'][name] = values
    with pytest.raises(ValueError):
        decode(json.dumps(data))


@pytest.mark.parametrize('text', ['', '[]', 'null', '[' * 100_000, '{}', '7'])
def test_what_is_no_session_is_refused(text):
    with pytest.raises(ValueError):
        decode(text)
