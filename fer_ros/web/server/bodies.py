"""How large the content of a request may be, and how slowly it may arrive."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from fer_ros.web.texts import Refused

PATIENCE = 20.0
"""Seconds for which a client may send nothing, and the time over which `LEAST_RATE` is measured."""
LEAST_RATE = 16_000
"""Minimum bytes per second at any time."""
START = 60.0
"""Seconds until `MEAN_RATE` must be reached."""
MEAN_RATE = 128_000
"""Minimum bytes per second over the whole content, which limits the total time: 200 MB within 28 minutes."""


class Body:
    """The content of a request; its `receive` replaces that of the server. Only the time spent on waiting counts.

    Args:
        receive: of the server.
        most: maximum size in bytes.
    """

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most = receive, most
        self._received = 0
        self._now = PATIENCE
        """Seconds that the client may still take, by `LEAST_RATE`."""
        self._whole = START
        """The same by `MEAN_RATE`."""
        self._complete = False

    async def receive(self) -> Message:
        """The next part.

        Raises:
            HTTPException: status 408, it arrives too slowly.
        """
        if self._complete:  # waits for the end of the connection
            return await self._receive()
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            message = await asyncio.wait_for(self._receive(), min(self._now, self._whole))
        except asyncio.TimeoutError:
            raise HTTPException(408, Refused.slow) from None
        waited, size = loop.time() - start, len(message.get('body', b''))
        self._received += size
        if self._received > self._most:
            return {'type': 'http.disconnect'}
        self._now = min(PATIENCE, self._now - waited + size / LEAST_RATE)
        self._whole += size / MEAN_RATE - waited
        self._complete = not message.get('more_body', False)
        return message
