"""The report: one page that says what the summary says, and nothing that a name or a text could make of it."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from fer_ros.drawing.session_report import COLUMNS, Compared, comparison, report
from fer_ros.results.session_summary import ROW, Session, summarise


def session(frames: int = 200, missing: range = range(0)) -> Session:
    rows = np.zeros(frames, ROW)
    rows['frame'] = np.arange(frames)
    rows['valence'] = np.sin(np.arange(frames) / 20)
    rows['group'] = 1 + np.sign(rows['valence']).astype(int)
    rows['quality'] = 0.9
    return Session(np.arange(frames) / 25, {'f1': rows[~np.isin(rows['frame'], missing)]})


def parsed(text: str) -> ET.Element:
    """The body as XML."""
    body = text.partition('<body>')[2]
    return ET.fromstring('<body>' + body.partition('</body>')[0] + '</body>')


def test_line_gaps_markers_and_tables():
    made = session(missing=range(100, 130))
    page = parsed(report('a walk', made, summarise(made), [(1.0, 'a smile'), (7.0, 'the end')], 'it is dark'))
    lines = page.findall('.//polyline')
    assert len(lines) == 2, 'the gap'
    y = [float(point.split(',')[1]) for point in lines[0].get('points').split()]
    assert y[0] > min(y) and len(y) == 100
    text = ' '.join(page.itertext())
    for expected in ('a walk', 'it is dark', 'a smile', 'the end', '0:08.0, 200 frames', '90 %', 'f1'):
        assert expected in text
    assert page.find('.//tbody/tr/td').text == 'f1'


def test_long_lines_are_thinned_to_the_columns():
    made = session(20_000)
    line, = parsed(report('x', made, summarise(made))).findall('.//polyline')
    assert len(line.get('points').split()) <= COLUMNS + 1


def test_texts_stay_texts():
    made = session()
    evil = '<script>alert(1)</script>"&'
    text = report(evil, made, summarise(made, {'f1': evil}), [(0.5, evil)], evil,
                  {'f1': {'light': evil, 'dash': [evil]}}, {'f1': evil})
    assert '<script' not in text and text.count('&lt;script') >= 5
    parsed(text)
    assert "default-src 'none'" in text, 'nothing is fetched'


def test_without_faces_and_frames():
    empty = Session(np.zeros(0), {})
    assert parsed(report('x', empty, summarise(empty))).findall('.//polyline') == []


def test_a_slow_camera_has_a_line_and_not_points():
    made = session(20)
    slow = Session(made.times * 25 * 1.5, made.faces)  # a frame every 1.5 s
    line, = parsed(report('x', slow, summarise(slow))).findall('.//polyline')
    assert len(line.get('points').split()) == 20


def test_two_sessions_are_compared_on_one_time_axis():
    long, short = session(400), session(200)
    short.faces['f1']['valence'] = 0.5
    both = [Compared(title, one, summarise(one), {'f1': {'light': '#0060c0', 'dash': []}})
            for title, one in (('<before>', long), ('after', short))]
    text = comparison(*both)
    page = parsed(text)
    charts = page.findall('.//svg')
    assert len(charts) == 2 and '<before>' not in text
    last = [float(chart.find('.//polyline').get('points').split()[-1].split(',')[0]) for chart in charts]
    assert last[1] - 50 == pytest.approx((last[0] - 50) / 2, rel=0.02)
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in page.findall('.//tbody/tr')}
    assert rows['length'] == ['0:16.0', '0:08.0', '−8.0 s'] and rows['people'] == ['1', '1', '0']
    mean = both[0].summary['all']['mean_valence']
    assert rows['mean valence'][1:] == ['+0.50', f'{0.5 - mean:+.2f}'.replace('-', '−')]
    assert rows['quality'] == ['90 %', '90 %', '0 pp']
    empty = Session(np.zeros(0), {})
    assert '–' in comparison(both[0], Compared('none', empty, summarise(empty), {}))
