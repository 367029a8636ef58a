"""Faces that take turns at the network (`max_faces_per_frame`)."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.frames import frames
from fer_ros.perception.face_states import FaceStates
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings
from fer_ros.perception.turns import TurnTaking

CROPS = np.zeros((5, 48, 48), np.uint8)
IDS = ('a', 'b', 'c', 'd', 'e')


class Network:
    """Says of each face the number of the batch it was in."""

    def __init__(self):
        self.batches = []

    def probabilities(self, crops):
        self.batches.append(len(crops))
        return np.full((len(crops), 7), len(self.batches), np.float32)


def turns(taking, ids=IDS, living=IDS):
    """Ids of the faces whose turn it is in the next frame."""
    return ''.join(face_id for face_id, turn in zip(ids, taking.probabilities(ids, CROPS[:len(ids)], living)[1],
                                                    strict=True) if turn)


@pytest.mark.parametrize(('most', 'expected'), [
    (0, ['abcde'] * 4), (1, ['abcde', 'a', 'b', 'c', 'd', 'e', 'a']), (2, ['abcde', 'ab', 'ac', 'ad', 'ae', 'ab']),
    (3, ['abcde', 'abc', 'ade', 'abc']), (4, ['abcde', 'abcd', 'abce', 'abcd']), (5, ['abcde'] * 3)])
def test_the_largest_has_every_turn_and_the_others_share_the_rest(most, expected):
    taking = TurnTaking(Network(), most)
    assert [turns(taking) for _ in expected] == expected


def test_a_new_face_is_classified_at_once_and_one_that_left_is_new():
    taking = TurnTaking(Network(), 2)
    assert turns(taking, 'ab') == 'ab'
    assert turns(taking, 'abc') == 'ac'
    assert turns(taking, 'ab') == 'ab'
    turns(taking, 'a', living='a')
    assert turns(taking, 'abc') == 'bc'


def test_a_face_keeps_what_was_said_of_it_last():
    network = Network()
    taking = TurnTaking(network, 1)
    taking.probabilities(IDS[:3], CROPS[:3], IDS)
    said, classified = taking.probabilities(IDS[:3], CROPS[:3], IDS)
    assert said[:, 0].tolist() == [2, 1, 1] and classified == [True, False, False]
    assert network.batches == [3, 1]


def test_the_time_until_the_next_turn_is_smoothed_over_as_between_two_frames():
    happy, sad = np.eye(7)[[3]], np.eye(7)[[4]]
    every, third = FaceStates(0.3), FaceStates(0.3)
    for states in (every, third):
        states.update(['a'], [(0, 0, 9, 9)], happy, [1.0], {'a'}, 0.0, [True])
    waiting = [third.update(['a'], [(i, 0, 9, 9)], happy, [0.5], {'a'}, 0.1 * i, [False])[0] for i in (1, 2)]
    assert [face.valence for face in waiting] == [1.0, 1.0]
    assert [(face.box[0], face.quality) for face in waiting] == [(1, 0.5), (2, 0.5)]
    last = third.update(['a'], [(3, 0, 9, 9)], sad, [1.0], {'a'}, 0.3, [True])[0]
    assert last == every.update(['a'], [(3, 0, 9, 9)], sad, [1.0], {'a'}, 0.3, [True])[0]


@pytest.fixture(scope='module')
def pipeline():
    settings = PipelineSettings(detector='short', half_life=0.0, still_period=0.0, precision='float32')
    with FacePipeline(settings) as pipeline:
        yield pipeline


def test_of_eight_faces_two_are_classified_in_a_frame_and_all_in_turn(pipeline):
    pictures = frames(640, 480, 8)
    every = [pipeline.process(picture, i / 30) for i, picture in enumerate(pictures)]
    pipeline.reset()
    pipeline.apply(replace(pipeline.settings, max_faces_per_frame=2))
    some = [pipeline.process(picture, i / 30) for i, picture in enumerate(pictures)]
    assert len(some[0].faces) == 8 and some[0].faces[0].valence == pytest.approx(every[0].faces[0].valence, abs=1e-5)
    last = {face.face_id: face.probabilities for face in some[0].faces}
    changed = dict.fromkeys(last, 0)
    for result in some[1:]:
        assert [face.box for face in result.faces] == [
            face.box for face in every[some.index(result)].faces], 'boxes are those of each frame'
        new = [face.face_id for face in result.faces if face.probabilities != last[face.face_id]]
        assert len(new) <= 2
        last |= {face.face_id: face.probabilities for face in result.faces}
        for face_id in new:
            changed[face_id] += 1
    assert min(changed.values()) >= len(some[1:]) // 7 - 1
