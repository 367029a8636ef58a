"""Where edited video changes to another shot, and what a camera does within one."""

import csv
import itertools

import cv2
import numpy as np
import pytest
import skimage.data
from videos import write_video

from fer_ros.media.built_in_clip import BuiltInClip, portraits
from fer_ros.perception.pipeline import FacePipeline, PipelineSettings
from fer_ros.recordings.cuts import CutDetector
from fer_ros.recordings.inputs import find_inputs
from fer_ros.recordings.processing import Settings, process

PHOTOGRAPHS = ('astronaut', 'coffee', 'chelsea', 'rocket', 'camera')


@pytest.fixture(scope='module')
def photographs():
    """Wide BGR pictures to look at through a window of 640×480."""
    wide = []
    for name in PHOTOGRAPHS:
        image = getattr(skimage.data, name)()
        image = np.dstack([image] * 3) if image.ndim == 2 else image[..., ::-1]
        wide.append(cv2.resize(image, (1280, 960)))
    return wide


def view(photograph, x=200, y=150, zoom=1.0):
    part = photograph[int(y):int(y + 480 * zoom), int(x):int(x + 640 * zoom)]
    return cv2.resize(part, (640, 480))


def cuts(frames):
    detector = CutDetector()
    return [detector.is_cut(frame) for frame in frames]


def test_every_change_of_photograph_is_a_cut(photographs):
    for a, b in itertools.permutations(photographs, 2):
        assert cuts([view(a), view(a), view(b), view(b)]) == [False, False, True, False]


@pytest.mark.parametrize('step', [4, 32, 128])
def test_a_pan_is_none(photographs, step):
    for photograph in photographs:
        assert not any(cuts([view(photograph, x=x) for x in range(0, 640, step)]))


@pytest.mark.parametrize('change', [
    lambda i: view(i, zoom=1.3), lambda i: np.clip(view(i) * 0.5, 0, 255).astype(np.uint8),
    lambda i: np.clip(view(i) * 1.6, 0, 255).astype(np.uint8), lambda i: cv2.GaussianBlur(view(i), (31, 31), 9),
    lambda i: view(i, x=215, y=140)], ids=['zoom', 'half the light', 'more light', 'defocus', 'shake'])
def test_what_happens_within_a_shot_is_none(photographs, change):
    for photograph in photographs:
        assert cuts([view(photograph), change(photograph)]) == [False, False]


def test_people_who_come_and_go_are_none():
    clip = BuiltInClip()
    assert not any(cuts(clip.frame(i) for i in range(0, len(clip), 3)))


def test_a_black_wall_and_a_face_are_two_shots(photographs):
    black = np.zeros((480, 640, 3), np.uint8)
    assert cuts([black, black, view(photographs[0]), black]) == [False, False, True, True]


@pytest.mark.parametrize('shape', [(1, 1, 3), (7, 2000, 3), (2160, 3840, 3), (17, 31, 3)])
def test_any_size(shape):
    assert cuts([np.zeros(shape, np.uint8), np.zeros((480, 640, 3), np.uint8)]) == [False, False]


def test_an_id_does_not_pass_to_another_person_at_a_cut(tmp_path, shipped_model):
    """Two portraits in the same place, one after the other."""
    def shot(name, background):
        face = cv2.resize(portraits()[name], (420, 420), interpolation=cv2.INTER_AREA)
        frame = np.full((480, 640, 3), background, np.uint8)
        frame[30:450, 110:530] = face
        return [frame] * 8
    path = write_video(tmp_path / 'edited.mp4', shot('astronaut', (20, 20, 20)) + shot('hopper', (200, 220, 210)))
    (item,) = find_inputs([str(path)])
    with FacePipeline(PipelineSettings(model=shipped_model, device='cpu')) as pipeline:
        summary = process(item, tmp_path / 'out', Settings(), pipeline)
    assert summary['cuts'] == 1
    with (tmp_path / 'out' / f'{item.name}.csv').open() as file:
        rows = list(csv.DictReader(file))
    first, second = ({row['face_id'] for row in rows if (float(row['time_s']) < 0.75) == early}
                     for early in (True, False))
    assert len(first) == len(second) == 1 and first.isdisjoint(second)
    assert {row['emotion'] for row in rows if row['face_id'] in second} == {'neutral'}, 'no smile of the one before'
