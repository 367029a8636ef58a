"""Playback is read while it is written, and what is damaged is refused."""

import json

import cv2
import numpy as np
import pytest
from dashboard_harness import face

from fer_ros.emotions import EMOTIONS, GROUPS
from fer_ros.results.faces import FacesFrame
from fer_ros.results.session_summary import Session, summarise
from fer_ros.web.video import playback as module
from fer_ros.web.video.playback import LINES, Playback, PlaybackWriter


def test_every_frame_can_be_read_as_soon_as_it_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'MOST_LINES', 4)
    playback = Playback(tmp_path)
    assert len(playback) == 0 and playback.lines() == b'[]'
    with PlaybackWriter(tmp_path) as writer:
        for index in range(10):
            faces = (face('f1', 0.9, 0.8), *((face('f2', 0.2),) if index > 4 else ()))
            image = np.full((720, 1280, 3), 20 * index, np.uint8)
            writer.add(image, FacesFrame(10 ** 9 + index * 10 ** 8, '', 1280, 720, faces))
            assert len(playback) == len(writer) == index + 1
            shown = cv2.imdecode(np.frombuffer(playback.picture(index), np.uint8), cv2.IMREAD_COLOR)
            assert shown.shape == (360, 640, 3) and abs(int(shown.mean()) - 20 * index) <= 2
    lines = [line for first in (0, 4, 8) for line in json.loads(playback.lines(first))]
    assert [line['t'] for line in lines] == pytest.approx(np.arange(10) / 10)
    assert [list(line.get('styles', {})) for line in lines] == [['f1'], *[[]] * 4, ['f2'], *[[]] * 4]
    face_id, emotion, group, confidence, valence, raw, quality, *box = lines[0]['faces'][0]
    assert (face_id, EMOTIONS[emotion], GROUPS[group]) == ('f1', 'happy', 'positive')
    assert (confidence, valence, raw, quality) == pytest.approx((0.9, 0.8, 0.6, 1.0))
    assert box == pytest.approx([100 / 1280, 80 / 720, 120 / 1280, 120 / 720], abs=1e-4)
    for missing in (-1, 10):
        with pytest.raises(IndexError):
            playback.picture(missing)
    with pytest.raises(IndexError):
        playback.lines(11)
    session, styles = playback.session()
    assert isinstance(session, Session) and set(styles) == {'f1', 'f2'}
    assert [person['seconds'] for person in summarise(session, least=0.0)['people']] == [1.0, 0.5]


@pytest.mark.parametrize('line', [
    {'t': 0.0}, {'t': 'x', 'faces': []}, {'t': 0.0, 'faces': [['f1']]}, {'t': 0.0, 'faces': [['=1', *[0] * 10]]},
    {'t': 0.0, 'faces': [['f1', 200, *[0] * 9]]}, {'t': 0.0, 'faces': [['f1', 10 ** 9, *[0] * 9]]}, [], 3, 'text'])
def test_what_the_process_should_not_have_written_is_refused(tmp_path, line):
    with PlaybackWriter(tmp_path) as writer:
        writer.add(np.zeros((9, 9, 3), np.uint8), FacesFrame(0, '', 9, 9, (face('f1', 0.9),)))
    size = (tmp_path / LINES).stat().st_size
    text = json.dumps(line).encode()
    assert len(text) < size
    (tmp_path / LINES).write_bytes(text + b' ' * (size - len(text) - 1) + b'\n')
    with pytest.raises(ValueError):
        Playback(tmp_path).session()
