"""The report: one page that says what the summary says, and nothing that a name or a text could make of it."""

import xml.etree.ElementTree as ET

import numpy as np

from fer_ros.drawing.session_report import COLUMNS, report
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
