"""Dashed lines."""

import numpy as np
import pytest

from fer_ros.drawing.dashes import dashed


def spans(parts, column=0):
    """Begin and end of the dashes, adjacent parts taken together."""
    found = []
    for part in parts:
        begin, end = sorted(part[:, column])
        if found and abs(found[-1][1] - begin) < 1e-6:
            found[-1][1] = end
        else:
            found.append([begin, end])
    return np.round(found, 3).tolist()


@pytest.mark.parametrize(('start', 'width', 'wanted'), [
    (0, 0, [[0, 10], [14, 24], [28, 30]]), (12, 0, [[2, 12], [16, 26]]), (28, 0, [[0, 10], [14, 24], [28, 30]]),
    (0, 2, [[1, 9], [15, 23], [29, 30]]), (0, 40, [[4.95, 5.05], [18.95, 19.05]])])
def test_dashes_and_gaps_take_turns_from_the_start_on(start, width, wanted):
    line = np.array([[0.0, 5.0], [7.0, 5.0], [30.0, 5.0]])
    assert spans(dashed(line, (10, 4), start, width)) == wanted


def test_lengths_are_those_along_the_line_or_across():
    line = np.array([[0.0, 0.0], [30.0, 40.0]])
    assert spans(dashed(line, (10, 10)))[:2] == [[0, 6], [12, 18]]
    assert spans(dashed(line, (10, 10), across=True)) == [[0, 10], [20, 30]]


@pytest.mark.parametrize('line', [np.zeros((1, 2)), np.ones((3, 2)), np.array([[0.0, 0.0], [9.0, 0.0]])])
def test_a_point_and_a_solid_line_stay_whole(line):
    dash = () if len(line) == 2 else (2, 2)
    assert [part.tolist() for part in dashed(line, dash)] == [line.tolist()]
