"""Visitors with their own cameras: limits, and what their processes make of images."""

import json
import threading
from typing import ClassVar

import cv2
import numpy as np
import pytest

from fer_ros.media.built_in_clip import BuiltInClip
from fer_ros.results.faces import FaceEmotion
from fer_ros.results.frame_result import FrameResult
from fer_ros.web.texts import VisitorErrors
from fer_ros.web.video.job_process import Refused
from fer_ros.web.visitor import visitors as visitors_module
from fer_ros.web.visitor.visitor_process import Analysis, Settings, decoded
from fer_ros.web.visitor.visitors import VisitError, VisitLimits, Visitors

SETTINGS = Settings(folder='', memory=1 << 30, niceness=0, size=400_000, pixels=640 * 480, hide_faces='none')
READY = {'ready': True, 'confined': True}
NOBODY = {'line': {'t': 0.0, 'faces': []}, 'picture': ''}
SOMEBODY = {'line': {'t': 0.0, 'faces': [['f1']]}, 'picture': ''}


def jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode('.jpg', image)[1].tobytes()


class FakeChild:
    """A process that answers as told; None: it has died."""

    answers: ClassVar[list] = []

    def __init__(self, module, argument, folder, line=0):
        self.settings = json.loads(argument)
        self.sent, self.killed, self.closed = [], threading.Event(), False
        self._told = False
        self.hold: threading.Event | None = None

    def send(self, data):
        self.sent.append(data)

    def events(self, timeout):
        if not self._told:
            self._told = True
            return [READY]
        if self.hold is not None:
            self.hold.set()
            assert self.killed.wait(60)
        if self.killed.is_set():
            return None
        answer = self.answers.pop(0)
        return None if answer is None else [answer]

    def kill(self):
        self.killed.set()

    def close(self):
        assert self.killed.is_set()
        self.closed = True

    def forget(self):
        pass


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Visitors with false processes, at a time of their own."""
    monkeypatch.setattr(visitors_module, 'Child', FakeChild)
    monkeypatch.setattr(FakeChild, 'answers', [])
    monkeypatch.setattr(visitors_module, 'TICK', 0.01)

    class Place:
        now = 100.0
        visitors = Visitors(VisitLimits(), tmp_path, lambda: Place.now)

        def child(self, secret):
            return self.visitors._visits[secret]._child

        def tell(self, secret, answer):
            FakeChild.answers.append(answer)
            return self.visitors.analyse(secret, b'image')
    yield Place()
    Place.visitors.close()
    assert list(tmp_path.iterdir()) == []


def refusal(call) -> tuple[str, int]:
    with pytest.raises(VisitError) as refused:
        call()
    return str(refused.value), refused.value.status


def test_no_more_visitors_than_places_and_a_place_is_free_again(place):
    one, other = place.visitors.admit(), place.visitors.admit()
    assert refusal(place.visitors.admit) == (VisitorErrors.full.format(count=2), 503)
    child = place.child(one)
    place.visitors.leave(one)
    assert child.closed
    assert place.visitors.admit() not in (one, other)
    assert refusal(lambda: place.visitors.analyse(one, b'')) == (VisitorErrors.gone, 404)


def test_an_image_is_answered_and_another_not_before_and_not_at_once(place):
    secret = place.visitors.admit()
    assert place.tell(secret, SOMEBODY) == SOMEBODY
    assert place.child(secret).sent == [b'\0\0\0\5image']
    assert refusal(lambda: place.visitors.analyse(secret, b'image')) == (VisitorErrors.too_fast, 429)
    type(place).now += 1.0
    child = place.child(secret)
    child.hold = threading.Event()
    told = []
    waiting = threading.Thread(target=lambda: told.append(refusal(lambda: place.visitors.analyse(secret, b'image'))))
    waiting.start()
    assert child.hold.wait(60)
    type(place).now += 1.0
    assert refusal(lambda: place.visitors.analyse(secret, b'image')) == (VisitorErrors.too_fast, 429)
    place.visitors.leave(secret)
    waiting.join(60)
    assert told == [(VisitorErrors.gone, 410)]


@pytest.mark.parametrize(('answer', 'told'), [
    ({'refused': 'no_picture'}, (VisitorErrors.no_picture, 400)), ({'refused': 'failed'}, (VisitorErrors.failed, 400)),
    (None, (VisitorErrors.died, 410))])
def test_the_visitor_learns_why_there_is_no_result(place, answer, told):
    secret = place.visitors.admit()
    assert refusal(lambda: place.tell(secret, answer)) == told
    assert len(place.visitors) == (0 if told[1] == 410 else 1), 'who has no process any more has no place'


def test_a_large_image_does_not_reach_the_process(place):
    secret = place.visitors.admit()
    assert refusal(lambda: place.visitors.analyse(secret, bytes(400_001))) == (VisitorErrors.too_large, 413)
    assert place.child(secret).sent == []


@pytest.mark.parametrize(('seen', 'pauses', 'stays'), [
    (SOMEBODY, [9.0] * 20, True), (NOBODY, [9.0] * 20, False), (SOMEBODY, [9.0, 11.0], False)])
def test_who_sends_nothing_or_is_not_seen_has_left(place, seen, pauses, stays):
    secret = place.visitors.admit()
    place.tell(secret, seen)
    visit, child = place.visitors._visits[secret], place.child(secret)
    for pause in pauses:
        type(place).now += pause
        if visit.idle:
            break
        place.tell(secret, seen)
    if stays:
        assert secret in place.visitors._visits and not child.closed
    else:
        assert child.killed.wait(60)
        assert len(place.visitors) == 0


class Pipeline:
    """Sees one face where the image is not black, with another random id each second."""

    def reset(self):
        pass

    def process(self, image, stamp):
        probabilities = (0.0, 0.0, 0.0, 0.9, 0.0, 0.0, 0.1)
        face = FaceEmotion(f'x{stamp:.0f}', (8.0, 8.0, 16.0, 16.0), probabilities, 'happy', 0.9, 0.9, 0.8, 0.7)
        return FrameResult((face,) if image.any() else ())


def test_faces_are_told_relative_to_the_image_with_ids_in_order():
    times = iter((50.0, 50.25, 51.0))
    analysis = Analysis(Pipeline(), SETTINGS, lambda: next(times))
    white, black = (jpeg(np.full((32, 64, 3), grey, np.uint8)) for grey in (255, 0))
    first, second, third = analysis(white), analysis(black), analysis(white)
    assert first['line']['faces'] == [['f1', 3, 2, 0.9, 0.9, 0.8, 0.7, 0.125, 0.25, 0.25, 0.5]]
    assert first['picture'] == '' and set(first['line']['styles']) == {'f1'}
    assert second['line'] == {'t': 0.25, 'faces': []}
    assert third['line']['t'] == 1.0 and third['line']['faces'][0][0] == 'f2'


@pytest.mark.parametrize('way', ['blur', 'cover'])
def test_faces_are_hidden_in_what_is_sent_back(way):
    import base64
    stripes = np.zeros((32, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    settings = Settings(**{**SETTINGS.__dict__, 'hide_faces': way})
    answer = Analysis(Pipeline(), settings, lambda: 1.0)(jpeg(stripes))
    seen = cv2.imdecode(np.frombuffer(base64.b64decode(answer['picture']), np.uint8), cv2.IMREAD_COLOR)
    assert seen[8:24, 8:24].std() < 20 < 60 < seen[:, 40:].std()


@pytest.mark.parametrize(('data', 'reason'), [
    (b'', 'no_picture'), (b'\xff\xd8\xff' + np.random.default_rng(0).bytes(5000), 'no_picture'),
    (b'GIF89a' + bytes(100), 'no_picture'),
    (cv2.imencode('.png', np.zeros((9, 9, 3), np.uint8))[1].tobytes(), 'no_picture'),
    (jpeg(np.zeros((481, 640, 3), np.uint8)), 'too_large')])
def test_only_a_jpeg_image_of_some_size_is_decoded(data, reason):
    with pytest.raises(Refused, match=reason):
        decoded(data, SETTINGS.pixels)
    assert Analysis(Pipeline(), SETTINGS, lambda: 1.0)(data) == {'refused': reason}


def test_damaged_images_do_no_harm():
    whole = jpeg(BuiltInClip().frame(222))
    random = np.random.default_rng(5)
    for _ in range(100):
        data = bytearray(whole[:random.integers(100, len(whole))])
        for place in random.integers(0, len(data), 20):
            data[place] = random.integers(256)
        try:
            assert decoded(bytes(data), SETTINGS.pixels).dtype == np.uint8
        except Refused:
            continue
