"""Lets a generator run ahead of its consumer, in a thread of its own."""

import queue
import threading
from collections.abc import Generator
from contextlib import closing, suppress
from typing import TypeVar

Item = TypeVar('Item')
_END = object()


def ahead(items: Generator[Item, None, None], most: int) -> Generator[Item, None, None]:
    """Yield what `items` yields, in the same order, while it already works on up to `most` further ones.

    It runs in a thread, in which it is also closed; what it raises is raised here, after the items before.
    """
    ready: queue.Queue = queue.Queue(most)
    unwanted = threading.Event()
    raised: list[BaseException] = []

    def work() -> None:
        try:
            with closing(items):
                for item in items:
                    ready.put(item)
                    if unwanted.is_set():
                        return
        except BaseException as error:  # raised again below
            raised.append(error)
        ready.put(_END)

    thread = threading.Thread(target=work, name='ahead', daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            yield item
        if raised:
            raise raised[0]
    finally:
        unwanted.set()
        while thread.is_alive():
            with suppress(queue.Empty):
                ready.get_nowait()
            thread.join(0.001)
