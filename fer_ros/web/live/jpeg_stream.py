"""Live images as JPEG: encoded only on request, once for all viewers, and at a bounded rate."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2

from fer_ros.media.image_decoding import ConversionError
from fer_ros.web.live.state import LiveState, Picture

BUSY_RATE = 5.0
"""Images per second while a video is analysed: browser and encoder would take the processor from the analysis."""
PATIENCE = 1.5
"""Seconds that a request waits for a new image."""


@dataclass(frozen=True)
class Jpeg:
    """An encoded image."""

    number: int
    stamp_ns: int
    data: bytes


class JpegStream:
    """Encodes in its own thread, so that neither ROS nor other requests wait for it.

    Args:
        state: source of the images.
        rate: maximum images per second, for all viewers together.
        width: maximum width in pixels; wider images are scaled down.
        quality: JPEG quality, 1 to 100.
        busy: whether something else needs the processor; then there are at most `BUSY_RATE` images per second.
    """

    def __init__(self, state: LiveState, *, rate: float, width: int, quality: int,
                 busy: Callable[[], bool] = lambda: False) -> None:
        self._state, self._rate, self._width, self._quality = state, rate, width, quality
        self._busy = busy
        self._encoder = ThreadPoolExecutor(1, 'jpeg')
        self._task: asyncio.Task | None = None
        self._latest: Jpeg | None = None
        self._due = 0.0
        self.encoded = 0
        """Number of images so far."""

    async def after(self, number: int) -> Jpeg | None:
        """The newest image other than `number`; None if none arrives in time."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while True:
            self._state.want_pictures()
            newest = self._state.newest_picture
            if newest is None:  # the last one is outdated
                self._latest = None
            if self._latest and newest and newest.number == self._latest.number != number:
                return self._latest
            if self._task is None or self._task.done():
                self._task = asyncio.ensure_future(self._make())
            task = self._task  # other requests may start the next meanwhile
            left = end - asyncio.get_running_loop().time()
            if left <= 0 or not (await asyncio.wait([task], timeout=left))[0]:
                return None
            if (made := task.result()) is not None and made.number != number:
                return made

    async def _make(self) -> Jpeg | None:
        """Encode the next image, not before it is due."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._due - loop.time()))
        picture = await self._next()
        if picture is None:
            return None
        rate = min(self._rate, BUSY_RATE) if self._busy() else self._rate
        self._due = max(self._due + 1 / rate, loop.time())
        data = await loop.run_in_executor(self._encoder, self._encode, picture)
        if data is not None:
            self.encoded += 1
            self._latest = Jpeg(picture.number, picture.stamp_ns, data)
        return self._latest if data is not None else None

    async def _next(self) -> Picture | None:
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        def notify() -> None:
            loop.call_soon_threadsafe(arrived.set)
        self._state.on_picture = notify
        try:
            picture = self._state.newest_picture
            if picture is None or (self._latest and picture.number == self._latest.number):
                await asyncio.wait_for(arrived.wait(), PATIENCE)
                picture = self._state.newest_picture
            return picture
        except asyncio.TimeoutError:
            return None
        finally:
            self._state.on_picture = lambda: None

    def _encode(self, picture: Picture) -> bytes | None:
        try:
            image = picture.image()
        except ConversionError:
            return None
        height, width = image.shape[:2]
        if width > self._width:
            image = cv2.resize(image, (self._width, max(1, round(height * self._width / width))),
                               interpolation=cv2.INTER_AREA)
        good, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        return data.tobytes() if good else None

    def close(self) -> None:
        """Stop the thread."""
        self._encoder.shutdown(wait=False, cancel_futures=True)
