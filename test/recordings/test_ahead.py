"""Generators that run ahead."""

import threading
import time

import pytest

from fer_ros.recordings.ahead import ahead


def numbers(count, made, closed=None):
    try:
        for number in range(count):
            made.append((number, threading.current_thread()))
            yield number
    finally:
        if closed is not None:
            closed.append(threading.current_thread())


def test_the_same_items_in_their_order_from_another_thread():
    made = []
    assert list(ahead(numbers(100, made), 3)) == list(range(100))
    assert {thread for _, thread in made}.isdisjoint({threading.current_thread()})


def test_it_works_while_its_consumer_does_but_not_too_far_ahead():
    made = []
    items = ahead(numbers(100, made), 3)
    assert next(items) == 0
    end = time.monotonic() + 60
    while len(made) < 5 and time.monotonic() < end:
        time.sleep(0.001)
    time.sleep(0.05)
    assert len(made) == 5, 'one taken, three ready, one that waits'
    items.close()


def test_an_error_comes_after_the_items_before_it():
    def failing():
        yield 1
        raise OSError('broken')
    items = ahead(failing(), 3)
    assert next(items) == 1
    with pytest.raises(OSError, match='broken'):
        next(items)


@pytest.mark.parametrize('taken', [1, 4])
def test_closing_it_closes_the_generator_and_ends_the_thread(taken):
    made, closed = [], []
    items = ahead(numbers(100, made, closed), 2)
    for _ in range(taken):
        next(items)
    items.close()
    assert len(closed) == 1 and not closed[0].is_alive()
    assert closed[0] is made[0][1], 'where it worked'
    assert len(made) <= taken + 4
