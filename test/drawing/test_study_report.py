"""The page of a study: what it says of sessions and groups, and that names stay names."""

import sys
from pathlib import Path

import numpy as np
import pytest

from fer_ros.drawing.study_report import study_report
from fer_ros.results.session_line import mean_line
from fer_ros.results.session_summary import ROW, Session, summarise
from fer_ros.results.study import Study, StudySession

sys.path.insert(0, str(Path(__file__).resolve().parent))
from test_session_report import parsed


def member(name: str, valence: float | None, **more) -> StudySession:
    """Four seconds with a face of this valence in the first two, then a gap, or without a face."""
    rows = np.zeros(60, ROW)
    rows['frame'] = [*range(50), *range(90, 100)]
    rows['valence'], rows['quality'], rows['group'], rows['emotion'] = valence or 0.0, 1.0, 2, 3
    session = Session(np.arange(100) / 25, {} if valence is None else {'f1': rows})
    return StudySession(name, summarise(session), mean_line(session, 100), 4.0, **more)


def study(first=(0.0, 0.1, 0.2), second=(0.5, 0.6, 0.7), **more) -> tuple[Study, dict[str, str]]:
    sessions = [member(f's{number}', valence) for number, valence in enumerate((*first, *second))]
    return Study(sessions, **more), {s.name: 'lab' if i < len(first) else 'call' for i, s in enumerate(sessions)}


def text_of(page: str) -> str:
    return ' '.join(' '.join(parsed(page).itertext()).split())


def test_every_session_has_its_row_and_line():
    made, _ = study()
    page = parsed(study_report('Study', made))
    tables = page.findall('.//table')
    assert len(tables) == 3
    rows = tables[0].findall('.//tbody/tr')
    assert [row.find('td').text for row in rows] == [f's{i}' for i in range(6)]
    assert [''.join(cell.itertext()) for cell in rows[5]][1:5] == ['0:04.0', '60 %', '+0.70 ± 0.00', '100 %']
    assert len(rows[5].findall('.//polyline')) == 2, 'the gap'
    for point in rows[5].find('.//polyline').get('points').split():
        assert float(point.split(',')[1]) == pytest.approx(3 + 0.3 / 2 * 54, abs=0.1)
    assert [cell.text for cell in tables[1].findall('.//tbody/tr')[0][2:]] == ['0 %'] * 3 + ['100 %'] + ['0 %'] * 3
    assert 'compared' not in text_of(study_report('Study', made))


def test_groups_are_compared_in_plain_words():
    text = text_of(study_report('Study', *study()))
    assert 'lab and call compared' in text
    assert 'sessions of call is 0.50 more positive than that of lab ( +0.50' in text.replace('(', '( ')
    assert '95 % confidence interval +0.' in text
    assert 'The interval does not include 0' in text and 'by convention large' in text
    assert 'Few sessions: 3 and 3' in text
    text = text_of(study_report('Study', *study((0.0, 0.5, 0.3), (0.1, 0.6, 0.2))))
    assert 'The interval includes 0' in text and 'no evidence that they are alike' in text


def test_too_few_sessions_and_none_with_a_face():
    text = text_of(study_report('Study', *study((0.0,), (0.5, 0.6))))
    assert 'Too few sessions: 1 and 2' in text and 'interval ' not in text.partition('Sessions')[0]
    text = text_of(study_report('Study', *study((None,), (0.5, None))))
    assert 'no session of lab has a face' in text and '2 sessions without a face' in text


def test_what_is_left_out_is_told():
    made, _ = study(unfinished=['u1'], foreign=['x.csv'], damaged=[f'd{i}.csv: row 3' for i in range(15)])
    made.sessions.append(member('photos', 0.5, photos=4, warning='2 frames could not be processed'))
    text = text_of(study_report('Study', made))
    for told in ('not finished: u1', 'of other programs: x.csv', 'd9.csv: row 3 and 5 more', '4 photos',
                 'photos: 2 frames could not be processed'):
        assert told in text


def test_names_stay_names():
    evil = '<script>alert(1)</script>"&\u202e'
    made, groups = study(unfinished=[evil], foreign=[evil], damaged=[evil])
    made.sessions.append(member(evil, 0.1, warning=evil))
    groups = {name: f'{evil}{group}' for name, group in groups.items()} | {evil: f'{evil}lab'}
    page = study_report(evil, made, groups)
    assert '<script' not in page and '\u202e' not in page and page.count('&lt;script') >= 10
    assert "default-src 'none'" in page
    parsed(page)
