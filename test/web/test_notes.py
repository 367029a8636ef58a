"""Markers and names: bounded, one line each, and no formula for a spreadsheet."""

import csv
import io

import numpy as np
import pytest

from fer_ros.web.notes import LONGEST_NAME, LONGEST_TEXT, MOST_MARKERS, MOST_NAMES, Notes, NotesError, markers_csv


def test_markers_are_in_order_and_keep_their_numbers():
    notes = Notes().marked(2.0, 'b').marked(1.0, 'a').marked(2.0, 'c')
    assert [(marker.number, marker.text) for marker in notes.markers] == [(2, 'a'), (1, 'b'), (3, 'c')]
    notes = notes.unmarked(1).unmarked(99).marked(0.0, 'd')
    assert [(marker.number, marker.text) for marker in notes.markers] == [(4, 'd'), (2, 'a'), (3, 'c')]


def test_texts_and_names_are_one_line_and_bounded():
    marker, = Notes().marked(0.0, 'a\r\nb\u202e\x1b' + 'x' * 1000).markers
    assert marker.text.startswith('a b x') and len(marker.text) <= LONGEST_TEXT
    notes = Notes().named('f1', ' Ada\nLovelace ' + 'x' * 1000)
    assert notes.names['f1'].startswith('Ada Lovelace x') and len(notes.names['f1']) <= LONGEST_NAME
    assert notes.named('f1', ' ').names == {}


def test_numbers_are_bounded():
    notes = Notes()
    for index in range(MOST_MARKERS):
        notes = notes.marked(index, '')
    with pytest.raises(NotesError):
        notes.marked(0.0, '')
    for index in range(MOST_NAMES):
        notes = notes.named(f'f{index}', 'x')
    with pytest.raises(NotesError):
        notes.named('another', 'x')
    assert notes.named('f0', 'y').names['f0'] == 'y'


def test_csv_has_the_frame_that_is_shown_at_the_moment():
    notes = Notes().marked(0.0, '=1+1').marked(0.14, 'a,"b"').marked(9.0, '')
    rows = list(csv.DictReader(io.StringIO(markers_csv(notes, np.array([0.0, 0.1, 0.2])))))
    assert [(row['time_s'], row['frame'], row['text']) for row in rows] == [
        ('0.000', '0', "'=1+1"), ('0.140', '1', 'a,"b"'), ('9.000', '2', '')]
