"""The summary of a session against sums by hand, and against the summary of process_video."""

import numpy as np
import pytest

from fer_ros.emotions import EMOTIONS, GROUPS
from fer_ros.recordings.summary import Summary
from fer_ros.results.faces import FaceEmotion, FacesFrame
from fer_ros.results.history import FacesHistory
from fer_ros.results.session_summary import ROW, Session, SessionError, summarise

NEGATIVE, NEUTRAL, POSITIVE = range(3)


def rows(frames, valence, group, quality=1.0) -> np.ndarray:
    """One face in these frames."""
    made = np.zeros(len(frames), ROW)
    made['frame'], made['valence'], made['group'], made['quality'] = frames, valence, group, quality
    made['emotion'] = [EMOTIONS.index(('sad', 'neutral', 'happy')[g]) for g in np.broadcast_to(group, len(frames))]
    return made


def test_every_frame_counts_until_the_next():
    session = Session(np.array([0.0, 1.0, 1.5, 2.0]), {'f1': rows([0, 1, 2], [1.0, 0.0, -1.0], [2, 1, 0], [1, 0, 1])})
    told = summarise(session)
    person, = told['people']
    assert (told['duration_s'], told['frames'], told['without_face_s']) == (2.5, 4, 0.5)
    assert (person['name'], person['ids'], person['first_s'], person['last_s']) == ('f1', ['f1'], 0.0, 1.5)
    assert person['seconds'] == 2.0
    assert person['mean_valence'] == pytest.approx((1.0 * 1 + 0.0 * 0.5 - 1.0 * 0.5) / 2)
    assert person['spread'] == pytest.approx(np.sqrt((0.75 ** 2 + 0.5 * 0.25 ** 2 + 0.5 * 1.25 ** 2) / 2), abs=1e-4)
    assert person['groups'] == {'negative': 0.5, 'neutral': 0.5, 'positive': 1.0}
    assert {name: value for name, value in person['emotions'].items() if value} == {
        'sad': 0.5, 'neutral': 0.5, 'happy': 1.0}
    assert (person['longest_positive'], person['longest_negative']) == ([0.0, 1.0], [1.5, 2.0])
    assert (person['quality'], person['unusable']) == (0.75, 0.25)


def test_a_stretch_ends_with_another_group_or_a_gap_but_not_with_a_missed_frame():
    times = np.arange(40) / 10
    frames = [*range(10), *range(12, 20), *range(30, 40)]  # two frames are missed, then a second
    group = [2] * 26 + [1] + [2]
    person, = summarise(Session(times, {'f1': rows(frames, 0.5, group)}))['people']
    assert person['longest_positive'] == [0.0, 2.0]
    assert person['longest_negative'] is None


def test_faces_of_one_name_are_one_person_unless_they_are_seen_together():
    times = np.arange(40) / 10
    session = Session(times, {'f1': rows(range(10), 1.0, 2), 'f2': rows(range(10, 20), 1.0, 2),
                              'f3': rows(range(5, 15), -1.0, 0), 'f4': rows(range(2), 0.0, 1)})
    told = summarise(session, {'f1': 'Ada', 'f2': 'Ada'})
    ada, other = told['people']
    assert (ada['name'], ada['ids'], ada['seconds'], ada['longest_positive']) == ('Ada', ['f1', 'f2'], 2.0, [0.0, 2.0])
    assert other['name'] == 'f3' and told['faces_seen_shortly'] == 1
    assert [person['name'] for person in summarise(session, {'f1': 'Ada', 'f2': ''})['people']] == ['Ada', 'f2', 'f3']
    with pytest.raises(SessionError, match=r'f1 and f3 are both in the frame at 0\.5 s: they cannot both be Ada'):
        summarise(session, {'f1': 'Ada', 'f3': 'Ada'})


def test_a_session_without_faces_or_frames():
    told = summarise(Session(np.zeros(0), {}))
    assert (told['duration_s'], told['people'], told['all']['mean_valence']) == (0.0, [], None)
    told = summarise(Session(np.arange(3.0), {}))
    assert (told['duration_s'], told['without_face_s'], told['all']['unusable']) == (3.0, 3.0, None)


def test_agrees_with_process_video():
    """Random faces at a varying frame rate."""
    random = np.random.default_rng(7)
    history, expected = FacesHistory(), Summary(0.5)
    stamps = np.cumsum(random.integers(10_000_000, 200_000_000, 300))
    stamps -= stamps[0]
    for stamp in stamps.tolist():
        faces = []
        for face_id in ('f1', 'f2', 'f3'):
            if random.random() < 0.7:
                p = random.dirichlet(np.full(len(EMOTIONS), 0.3))
                best = int(p.argmax())
                faces.append(FaceEmotion(face_id, (0.0, 0.0, 9.0, 9.0), tuple(p), EMOTIONS[best], float(p[best]),
                                         float(random.uniform(-1, 1)), 0.0, float(random.random())))
        history.add(FacesFrame(stamp, '', 9, 9, tuple(faces)))
        expected.add(stamp * 1e-9, faces)
    told, known = summarise(Session.of_history(history)), expected.result()
    assert told['duration_s'] == known['duration_s'] and told['frames'] == known['frames']
    for person in told['people']:
        face = known['faces'][person['name']]
        assert person['mean_valence'] == pytest.approx(face['mean_valence'], abs=2e-4)
        assert person['seconds'] == pytest.approx(face['face_seconds'], abs=2e-3)
        for kind, names in (('emotions', EMOTIONS), ('groups', GROUPS)):
            for name in names:
                assert person[kind][name] / person['seconds'] == pytest.approx(face[kind][name], abs=2e-4)
