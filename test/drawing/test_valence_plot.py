"""The valence picture, judged by its pixels: lines where the values put them, gaps where there was none."""

from itertools import pairwise

import numpy as np
import pytest

from fer_ros.drawing.colours import FaceColours, dash_of
from fer_ros.drawing.valence_plot import NEUTRAL_BAND, ValencePlot
from fer_ros.results.faces import FaceEmotion, FacesFrame
from fer_ros.results.history import FacesHistory

RATE = 30
T0 = 1_700_000_000


def face(face_id, valence, raw=None, emotion='happy'):
    return FaceEmotion(face_id, (0, 0, 10, 10), (0, 0, 0, 1, 0, 0, 0), emotion, 0.9, valence,
                       valence if raw is None else raw)


def history_of(faces_at, seconds=10.0, rate=RATE, received=lambda t: True):
    """`faces_at(t)` lists the faces at t seconds after the first frame."""
    history = FacesHistory()
    for i in range(round(seconds * rate) + 1):
        t = i / rate
        if received(t):
            history.add(FacesFrame(round((T0 + t) * 1e9), 'camera', 640, 480, tuple(faces_at(t))))
    return history


def now(history):
    return history.last.stamp_ns


def colour(*ids):
    return FaceColours()(ids)


def rows_of(picture, column, colour, within=40):
    """Rows of the pixels near `colour` in a column."""
    difference = np.abs(picture[:, round(column)].astype(int) - colour).sum(axis=1)
    return np.flatnonzero(difference < within)


def rows_of_dashed(picture, column, colour):
    """Those in the first of a few columns that is not in a gap between two dashes."""
    return next((rows for x in range(10) if len(rows := rows_of(picture, column + x, colour))), np.array([]))


@pytest.mark.parametrize('size', [(960, 400), (320, 200), (1920, 1080)])
def test_line_is_where_the_values_put_it(size):
    def value(t):
        return -0.8 + 0.16 * t
    plot = ValencePlot(*size)
    history = history_of(lambda t: [face('fa', value(t))])
    picture = plot.rolling(history, now(history), 10)
    assert picture.shape == (size[1], size[0], 3)
    for t in (0.5, 2, 5, 8, 9.5):
        rows = rows_of(picture, plot.area.x(t, 10), colour('fa')['fa'])
        assert rows.mean() == pytest.approx(plot.area.y(value(t)), abs=2)
        assert len(rows) <= size[1] / 28


def test_later_now_moves_the_line_to_the_left():
    plot = ValencePlot()
    history = history_of(lambda t: [face('fa', 0.5 if t < 5 else -0.5)])
    for delay in (0, 0.3, 2):
        picture = plot.rolling(history, now(history) + round(delay * 1e9), 10)
        step = plot.area.x(5 - delay, 10)
        for column, value in [(step - 4, 0.5), (step + 4, -0.5)]:
            assert rows_of(picture, column, colour('fa')['fa']).mean() == pytest.approx(plot.area.y(value), abs=2)


def test_gap_where_the_face_was_not_seen():
    plot = ValencePlot()
    history = history_of(lambda t: [] if 4 < t < 6 else [face('fa', 0.6)])
    picture = plot.rolling(history, now(history), 10)
    there = [len(rows_of(picture, plot.area.x(t, 10), colour('fa')['fa'])) > 0 for t in (3.8, 4.3, 5, 5.7, 6.2)]
    assert there == [True, False, False, False, True]


def test_gap_where_nothing_was_received():
    plot = ValencePlot()
    history = history_of(lambda t: [face('fa', 0.6)], received=lambda t: not 4 < t < 6)
    picture = plot.rolling(history, now(history), 10)
    there = [len(rows_of(picture, plot.area.x(t, 10), colour('fa')['fa'])) > 0 for t in (3.8, 5, 6.2)]
    assert there == [True, False, True]


def test_one_missing_frame_shows_as_a_gap_when_there_is_room_for_it():
    plot = ValencePlot()
    history = history_of(lambda t: [] if round(t * RATE) == 30 else [face('fa', 0.6)], seconds=2)
    picture = plot.rolling(history, now(history), 2)
    assert len(rows_of(picture, plot.area.x(1.0, 2), colour('fa')['fa'])) == 0


def test_frames_at_two_hertz_are_one_line():
    plot = ValencePlot()
    history = history_of(lambda t: [face('fa', 0.6)], rate=2)
    picture = plot.rolling(history, now(history), 10)
    assert all(len(rows_of(picture, plot.area.x(t, 10), colour('fa')['fa'])) for t in np.arange(0.1, 9.9, 0.2))


def test_frames_between_gaps_are_dots():
    plot = ValencePlot()
    history = history_of(lambda t: [face('fa', 0.6)] if round(t * RATE) % 30 == 15 else [])
    picture = plot.rolling(history, now(history), 10)
    seen = [len(rows_of(picture, plot.area.x(t, 10), colour('fa')['fa'])) > 0 for t in (4.5, 5, 5.5, 6)]
    assert seen == [True, False, True, False]


def test_silence_moves_the_line_on_and_is_marked():
    plot = ValencePlot()
    history = history_of(lambda t: [face('fa', 0.6)])
    running = plot.rolling(history, now(history), 10)
    silent = plot.rolling(history, now(history) + 4_000_000_000, 10)
    assert len(rows_of(silent, plot.area.x(5.5, 10), colour('fa')['fa'])) > 0
    assert len(rows_of(silent, plot.area.x(6.5, 10), colour('fa')['fa'])) == 0
    y = round(plot.area.y(-0.8))
    assert (silent[y, round(plot.area.x(8, 10)) + 3] < running[y, round(plot.area.x(8, 10)) + 3]).all()
    beyond = plot.rolling(history, now(history) + 60_000_000_000, 10)
    inside = beyond[plot.area.top + 30:plot.area.top + plot.area.height, plot.area.left:]  # below the note
    assert not (np.abs(inside.astype(int) - colour('fa')['fa']).sum(axis=2) < 40).any()


def test_raw_line_is_thin_pale_and_under_the_smoothed_one():
    plot = ValencePlot()
    history = history_of(lambda t: [face('fa', 0.2, raw=-0.6)])
    picture = plot.rolling(history, now(history), 10)
    full = np.array(colour('fa')['fa'])
    pale = 255 + 0.45 * (full - 255)
    column = plot.area.x(5, 10) + 3
    assert rows_of(picture, column, full).mean() == pytest.approx(plot.area.y(0.2), abs=2)
    assert rows_of(picture, column, pale, 30).mean() == pytest.approx(plot.area.y(-0.6), abs=2)
    assert len(rows_of(picture, column, pale, 30)) < len(rows_of(picture, column, full, 100))
    crossing = history_of(lambda t: [face('fa', 0.2, raw=0.2)])
    assert len(rows_of(plot.rolling(crossing, now(crossing), 10), column, full)) > 0


def test_each_face_has_its_colour():
    plot = ValencePlot()
    history = history_of(lambda t: [face('fa', 0.6), face('fb', -0.6, emotion='sad')])
    picture = plot.rolling(history, now(history), 10)
    colours = colour('fa', 'fb')
    assert colours['fa'] != colours['fb']
    for face_id, value in (('fa', 0.6), ('fb', -0.6)):
        rows = rows_of_dashed(picture, plot.area.x(5, 10), colours[face_id])
        assert rows.mean() == pytest.approx(plot.area.y(value), abs=2)


def test_short_lived_faces_are_left_out_and_min_life_decides():
    history = history_of(lambda t: [face('fa', 0.6)] + ([face('fb', -0.6)] if 5 < t < 5.4 else []))
    for min_life, shown in ((0.5, False), (0.2, True)):
        picture = ValencePlot(min_life=min_life).rolling(history, now(history), 10)
        plot = ValencePlot()
        wanted = colour('fa', 'fb')['fb']
        assert (len(rows_of_dashed(picture, plot.area.x(5.2, 10), wanted)) > 0) == shown


def test_each_face_has_the_dashes_that_it_has_on_the_page():
    names = [f'f{number}' for number in range(8)]
    values = dict(zip(names, np.linspace(-0.9, 0.9, 8), strict=True))
    history = history_of(lambda t: [face(name, values[name]) for name in names])
    plot = ValencePlot()
    pictures = [plot.rolling(history, now(history), 10), plot.whole(history)]
    for name, of_face in colour(*names).items():
        dash = dash_of(of_face)
        row = round(plot.area.y(values[name]))
        for picture in pictures:
            line = picture[row - 2:row + 3, plot.area.left + 20:plot.area.left + plot.area.width - 20].astype(int)
            drawn = (np.abs(line - of_face).sum(axis=2) < 150).any(axis=0)
            changes = np.flatnonzero(np.diff(drawn))
            if not dash:
                assert drawn.all()
                continue
            wanted = len(drawn) / (1.5 * sum(dash)) * len(dash)  # for lines of 3 px
            assert len(changes) == pytest.approx(wanted, rel=0.05, abs=3), f'{of_face} in dashes of {dash}'


def test_dashes_move_with_the_line():
    history = history_of(lambda t: [face('fb', 0.5)])
    plot = ValencePlot()
    step = 10 / plot.area.width  # s for a pixel
    one, other = (plot.rolling(history, now(history) + round(20 * shift * step * 1e9), 10)[
        plot.area.top:plot.area.top + plot.area.height, plot.area.left:plot.area.left + plot.area.width]
        for shift in (0, 1))
    line = slice(*(round(plot.area.y(0.5) - plot.area.top) + edge for edge in (-3, 4)))
    assert len(np.unique(one[line].reshape(-1, 3), axis=0)) > 2
    difference = np.abs(one[line, 100:500].astype(int) - other[line, 80:480])
    assert difference.mean() < 12


def test_emotion_of_a_living_face_is_named_at_the_end_of_its_line():
    plot = ValencePlot()
    right = plot.area.left + plot.area.width + 4

    def named(history, delay=0.0):
        picture = plot.rolling(history, now(history) + round(delay * 1e9), 10)
        near = np.abs(picture[:, right:].astype(int) - colour('fa')['fa']).sum(axis=2) < 60
        return np.flatnonzero(near[plot.area.top:].any(axis=1)) + plot.area.top

    happy = history_of(lambda t: [face('fa', 0.6)])
    assert named(happy).mean() == pytest.approx(plot.area.y(0.6), abs=6)
    assert len(named(happy, delay=3)) == 0
    assert len(named(history_of(lambda t: [face('fa', 0.6)] if t < 8 else []))) == 0
    pictures = [plot.rolling(h, now(h), 10)[:, right:] for h in
                (happy, history_of(lambda t: [face('fa', 0.6, emotion='neutral')]))]
    assert not np.array_equal(*pictures)


def test_names_of_faces_with_equal_valence_do_not_cover_each_other():
    plot = ValencePlot()
    for value in (0.0, 1.0, -1.0):
        history = history_of(lambda t, v=value: [face('fa', v), face('fb', v), face('fc', v)])
        picture = plot.rolling(history, now(history), 10)
        right = picture[:, plot.area.left + plot.area.width + 4:].astype(int)
        spans = []
        for wanted in colour('fa', 'fb', 'fc').values():
            rows = np.flatnonzero((np.abs(right - wanted).sum(axis=2) < 60)[plot.area.top - 10:].any(axis=1))
            spans.append((rows.min(), rows.max()))
        spans.sort()
        assert all(a[1] < b[0] for a, b in pairwise(spans))


def test_bands_zero_line_and_axis():
    plot = ValencePlot()
    picture = plot.rolling(FacesHistory(), T0 * 1_000_000_000, 30)
    column = round(plot.area.x(7.3, 30))
    zero = picture[round(plot.area.y(0)), column]
    assert (zero < 130).all()
    positive, neutral, negative = (picture[round(plot.area.y(v)), column].astype(int) for v in (0.7, 0.2, -0.7))
    assert positive[0] > positive[2] + 5  # blueish
    assert negative[2] > negative[0] + 5  # reddish
    assert abs(neutral[0] - neutral[2]) < 5
    edge = plot.area.y(NEUTRAL_BAND)
    assert tuple(picture[round(edge) - 2, column]) == tuple(positive)
    assert tuple(picture[round(edge) + 2, column]) == tuple(neutral)
    assert picture[plot.area.top + plot.area.height + 2:, plot.area.left:].min() < 120  # times under the axis


def test_longer_axis_is_drawn_anew():
    plot = ValencePlot()
    history = history_of(lambda t: [face('fa', 0.6)])
    short, long = plot.rolling(history, now(history), 10), plot.rolling(history, now(history), 60)
    assert len(rows_of(short, plot.area.x(1, 10), colour('fa')['fa'])) > 0
    assert len(rows_of(long[plot.area.top:], plot.area.x(1, 10), colour('fa')['fa'])) == 0
    assert not np.array_equal(short[-40:], long[-40:])


def test_long_history_keeps_its_extremes_when_columns_hold_many_samples():
    plot = ValencePlot()
    history = history_of(lambda t: [face('fa', 0.9 if round(t * RATE) == 9000 else -0.2)], seconds=600)
    picture = plot.rolling(history, now(history), 600)
    columns = range(round(plot.area.x(300, 600)) - 2, round(plot.area.x(300, 600)) + 3)
    tops = [rows_of(picture, c, colour('fa')['fa']).min() for c in columns]
    assert min(tops) == pytest.approx(plot.area.y(0.9), abs=3)
    gap = history_of(lambda t: [] if 200 < t < 260 else [face('fa', 0.5)], seconds=600)
    picture = plot.rolling(gap, now(gap), 600)
    there = [len(rows_of(picture, plot.area.x(t, 600), colour('fa')['fa'])) > 0 for t in (190, 230, 270)]
    assert there == [True, False, True]


def test_whole_recording_counts_from_its_first_frame():
    plot = ValencePlot()
    history = history_of(lambda t: [face('fa', -0.8 + 0.08 * t)] if t < 15 else [], seconds=20)
    picture = plot.whole(history)
    for t in (1, 10, 14):
        rows = rows_of(picture, plot.area.x(t, 20), colour('fa')['fa'])
        assert rows.mean() == pytest.approx(plot.area.y(-0.8 + 0.08 * t), abs=2)
    assert len(rows_of(picture, plot.area.x(17, 20), colour('fa')['fa'])) == 0


@pytest.mark.parametrize('frames', [0, 1, 2])
def test_hardly_any_data_is_drawn_too(frames):
    history = FacesHistory()
    for i in range(frames):
        history.add(FacesFrame((T0 + i) * 1_000_000_000, 'camera', 640, 480, (face('fa', 0.6),)))
    plot = ValencePlot(min_life=0)
    assert plot.whole(history).shape == plot.rolling(history, T0 * 1_000_000_000, 30).shape == (400, 960, 3)


def test_many_faces_and_long_ids_stay_inside():
    history = history_of(lambda t: [face(f'f{i:02d}' + 'x' * 40, i / 10 - 1) for i in range(20)], seconds=2)
    picture = ValencePlot(320, 200).rolling(history, now(history), 2)
    assert picture.shape == (200, 320, 3)


def test_too_small_a_picture_is_refused():
    with pytest.raises(ValueError, match='100×50'):
        ValencePlot(100, 50)
