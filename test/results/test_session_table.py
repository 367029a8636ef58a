"""Sessions from the rows of tables: the frames without a face come back, and what is not ours is refused."""

import io

import numpy as np
import pytest

from fer_ros.emotions import EMOTIONS
from fer_ros.recordings.summary import Summary
from fer_ros.results.faces import FaceEmotion
from fer_ros.results.faces_csv import COLUMNS, FacesCsv
from fer_ros.results.session_summary import summarise
from fer_ros.results.session_table import TableError, session_of


def face(face_id, probabilities, quality=1.0) -> FaceEmotion:
    best = int(np.argmax(probabilities))
    return FaceEmotion(face_id, (0.0, 0.0, 9.0, 9.0), tuple(map(float, probabilities)), EMOTIONS[best],
                       float(probabilities[best]), float(probabilities[3] - probabilities[0]), 0.0, quality)


def table(frames, every=1, rate=25.0):
    """Columns as texts and the summary of frames, each a list of faces."""
    file, summary = io.StringIO(), Summary(0.5)
    writer = FacesCsv(file)
    for number, faces in enumerate(frames):
        time_ns = round(number * every * 1e9 / rate)
        summary.add(time_ns * 1e-9, faces)
        for one in faces:
            writer.write(time_ns, number * every, one)
    rows = [line.split(',') for line in file.getvalue().splitlines()[1:]]
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    return dict(zip(COLUMNS, columns, strict=True)), summary.result()


@pytest.mark.parametrize('every', [1, 3])
def test_the_summary_of_a_table_is_that_of_the_recording(every):
    random = np.random.default_rng(5)
    frames = [[face(i, random.dirichlet(np.ones(7)), float(random.random() > 0.3)) for i in ('f1', 'f2')
               if random.random() < 0.6] for _ in range(300)]
    frames[:20], frames[-30:] = [[]] * 20, [[]] * 30  # nobody at the beginning and at the end
    columns, known = table(frames, every)
    session = session_of(columns, known['frames'], known['duration_s'], every)
    told = summarise(session)
    np.testing.assert_allclose(session.times, np.arange(300) * every / 25, atol=1e-5)
    assert (told['frames'], told['duration_s']) == (300, pytest.approx(known['duration_s'], abs=1e-3))
    without = (1 - known['frames_with_face'] / 300) * known['duration_s']
    assert told['without_face_s'] == pytest.approx(without, abs=1e-3)
    everyone = told['all']
    assert everyone['seconds'] == pytest.approx(known['face_seconds'], abs=2e-3)
    for name, value in (('mean_valence', known['mean_valence']), ('spread', known['spread']),
                        ('unusable', 1 - known['usable'])):
        assert everyone[name] == pytest.approx(value, abs=2e-4), name
    for kind in ('emotions', 'groups'):
        for name, share in known[kind].items():
            assert everyone[kind][name] / everyone['seconds'] == pytest.approx(share, abs=2e-4)


def test_without_a_summary_it_ends_with_the_last_face_and_the_step_is_guessed():
    someone = [face('f1', np.eye(7)[3])]
    columns, _ = table([[], someone, [], someone, []], every=2, rate=10.0)
    session = session_of(columns)
    np.testing.assert_allclose(session.times, [0.0, 0.2, 0.4, 0.6])
    assert session.faces['f1']['frame'].tolist() == [1, 3]


def test_without_faces_and_without_frames():
    columns, known = table([[]] * 10)
    told = summarise(session_of(columns, known['frames'], known['duration_s'], 1))
    assert (told['frames'], told['all']['mean_valence']) == (10, None)
    assert told['without_face_s'] == pytest.approx(0.4)
    assert summarise(session_of(table([])[0]))['frames'] == 0


def test_each_photo_counts_the_same():
    columns, _ = table([[face('f1', np.eye(7)[3])], [], [face('f2', np.eye(7)[0]), face('f3', np.eye(7)[0])]])
    told = summarise(session_of({**columns, 'time_s': ['0'] * 3}, 3, photos=True))['all']
    assert told['mean_valence'] == pytest.approx(-1 / 3, abs=1e-4)
    assert (told['seconds'], told['emotions']['angry']) == (3.0, 2.0)


@pytest.mark.parametrize(('name', 'row', 'value', 'said'), [
    ('valence', 1, 'x', "row 2: valence 'x' is not a number"),
    ('valence', 0, '1.5', "row 1: valence 1.5 is not a number from -1 to 1"),
    ('quality', 2, 'nan', "row 3: quality nan is not a number from 0 to 1"),
    ('happy', 0, '', "row 1: happy '' is not a number"),
    ('frame', 2, '1e15', "row 3: frame 1e+15 is not"),
    ('frame', 2, '0', 'row 3: frame is less than in the row before'),
    ('frame', 1, '0', 'row 2: f1 is twice in a frame'),
    ('time_s', 2, '0.0', 'row 3: time_s is less than'),
    ('emotion', 1, '<b>', "row 2: emotion '<b>' is unknown"),
    ('face_id', 1, '../x', "row 2: face_id '../x' is not a letter")])
def test_what_process_video_does_not_write_is_refused(name, row, value, said):
    columns, _ = table([[face('f1', np.eye(7)[3])]] * 3)
    changed = list(columns[name])
    changed[row] = value
    with pytest.raises(TableError) as error:
        session_of({**columns, name: changed})
    assert said in str(error.value)
