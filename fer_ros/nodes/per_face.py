"""Publishers and subscriptions per face."""

import time
from collections.abc import Callable, Collection
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """An item that can be released."""

    def close(self) -> None:
        """Release the item."""


Item = TypeVar('Item', bound=Closable)


class PerFace(Generic[Item]):
    """Creates an item when the track of a face starts, and closes it `grace` seconds after the track ended.

    Other nodes need time to discover a publisher, and messages in transit are lost when it is destroyed; so it is
    created and destroyed only with the track.

    Args:
        make: creates the item of a face_id.
        grace: seconds; may be changed at any time.
        clock: seconds, monotonic.
    """

    def __init__(self, make: Callable[[str], Item], grace: float, clock: Callable[[], float] = time.monotonic):
        self.grace = grace
        self._make = make
        self._clock = clock
        self._items: dict[str, Item] = {}
        self._last_alive: dict[str, float] = {}

    def keep(self, living: Collection[str]) -> None:
        """Set the living faces."""
        now = self._clock()
        for face_id in sorted(living):
            if face_id not in self._items:
                self._items[face_id] = self._make(face_id)
            self._last_alive[face_id] = now
        for face_id in [i for i, last in self._last_alive.items() if now - last > self.grace]:
            self._drop(face_id)

    def __getitem__(self, face_id: str) -> Item:
        return self._items[face_id]

    def __contains__(self, face_id: str) -> bool:
        return face_id in self._items

    def clear(self) -> None:
        """Close all items."""
        for face_id in list(self._items):
            self._drop(face_id)

    def _drop(self, face_id: str) -> None:
        self._items.pop(face_id).close()
        del self._last_alive[face_id]
