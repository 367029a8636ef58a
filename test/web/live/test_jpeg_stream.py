"""Pictures are encoded only on demand, once for all, and not too often."""

import asyncio
import threading
from pathlib import Path

import cv2
import event_loop
import numpy as np
import pytest

from fer_ros.media.image_decoding import ConversionError
from fer_ros.web.live import jpeg_stream
from fer_ros.web.live.recorder import LiveRecorder, RecordingLimits
from fer_ros.web.live.state import LiveState


def source(made: list | None = None, shape=(480, 640, 3)):
    def image():
        if made is not None:
            made.append(threading.current_thread().name)
        return np.full(shape, 90, np.uint8)
    return image


@pytest.fixture
def state():
    recorder = LiveRecorder(Path('/nonexistent'), RecordingLimits(1, 1.0, 1.0, 1))
    return LiveState(60.0, '/fer/faces', recorder, lambda: 0.0)


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Lets requests wait for so many seconds: so long that none is given up, unless that is what is tested."""
    def patience(seconds: float) -> None:
        monkeypatch.setattr(jpeg_stream, 'PATIENCE', seconds)
    patience(60.0)
    return patience


def test_nothing_is_encoded_while_nobody_looks_and_once_for_all_who_do(state):
    made = []

    async def run():
        encoder = jpeg_stream.JpegStream(state, rate=100.0, width=320, quality=80)
        for stamp in range(20):
            state.picture(stamp, source(made))
        await asyncio.sleep(0.05)
        assert made == []
        got = await asyncio.gather(*(encoder.after(0) for _ in range(4)))
        assert {jpeg.stamp_ns for jpeg in got} == {19} and encoder.encoded == 1
        picture = cv2.imdecode(np.frombuffer(got[0].data, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (240, 320, 3)
        waiting = [asyncio.ensure_future(encoder.after(got[0].number)) for _ in range(4)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in waiting)
        threading.Thread(target=state.picture, args=(77, source(made))).start()
        assert {jpeg.stamp_ns for jpeg in await asyncio.gather(*waiting)} == {77}
        encoder.close()
    event_loop.run(run())
    assert len(made) == 2 and all(name.startswith('jpeg') for name in made)


def test_the_rate_is_bounded_however_many_ask(state):
    async def run():
        loop = asyncio.get_running_loop()
        encoder = jpeg_stream.JpegStream(state, rate=20.0, width=320, quality=80)
        begin, ended = loop.time(), False

        async def camera():
            while not ended:
                state.picture(1, source())
                await asyncio.sleep(0.002)

        async def viewer():
            number = 0
            while not ended:
                jpeg = await encoder.after(number)
                number = jpeg.number if jpeg else number
        tasks = [asyncio.ensure_future(f()) for f in (camera, viewer, viewer, viewer)]
        while encoder.encoded < 15:
            assert loop.time() - begin < 60
            await asyncio.sleep(0.02)
        ended = True
        await asyncio.gather(*tasks)
        assert encoder.encoded <= 20 * (loop.time() - begin) + 2
        encoder.close()
    event_loop.run(run())


def test_there_are_fewer_while_a_video_is_analysed(state, monkeypatch):
    monkeypatch.setattr(jpeg_stream, 'BUSY_RATE', 2.0)
    busy = [True]

    async def run():
        encoder = jpeg_stream.JpegStream(state, rate=200.0, width=320, quality=80, busy=lambda: busy[0])
        loop, number = asyncio.get_running_loop(), 0
        begin = loop.time()
        for _ in range(3):
            state.picture(1, source())
            number = (await encoder.after(number)).number
        assert loop.time() - begin > 0.45, 'two may follow each other at once, where one was late'
        busy[0] = False
        begin, count = loop.time(), encoder.encoded
        for _ in range(4):
            state.picture(1, source())
            number = (await encoder.after(number)).number
        assert encoder.encoded == count + 4 and loop.time() - begin < 60
        encoder.close()
    event_loop.run(run())


def test_without_a_new_picture_the_request_ends(state, patience):
    async def run():
        encoder = jpeg_stream.JpegStream(state, rate=100.0, width=320, quality=80)
        patience(0.1)
        assert await encoder.after(0) is None
        assert state.pictures_wanted
        patience(60.0)
        state.picture(1, source())
        jpeg = await encoder.after(0)
        patience(0.1)
        assert await encoder.after(jpeg.number) is None
        assert (await encoder.after(0)).number == jpeg.number, 'a second viewer is shown what there is'
        state.forget_picture()
        assert await encoder.after(0) is None, 'but not what was seen before a pause'
        encoder.close()
    event_loop.run(run())


def test_a_picture_that_cannot_be_read_does_no_harm(state, patience):
    patience(0.2)

    def bad():
        raise ConversionError('unknown encoding')

    async def run():
        encoder = jpeg_stream.JpegStream(state, rate=100.0, width=320, quality=80)
        state.picture(1, bad)
        assert await encoder.after(0) is None
        patience(60.0)
        state.picture(2, source())
        assert (await encoder.after(0)).stamp_ns == 2
        encoder.close()
    event_loop.run(run())
