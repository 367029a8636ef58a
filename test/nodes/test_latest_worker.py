import threading

from fer_ros.nodes.latest_worker import LatestWorker, RateLimit


def test_works_on_the_newest_item_and_tells_of_those_thrown_away():
    started, go_on, handled = threading.Event(), threading.Event(), []

    def handle(item):
        handled.append(item)
        started.set()
        assert go_on.wait(30)

    worker = LatestWorker(handle)
    assert not worker.submit(1)
    assert started.wait(30)
    assert [worker.submit(item) for item in (2, 3, 4)] == [False, True, True]
    started.clear()
    go_on.set()
    assert started.wait(30)
    worker.stop()
    assert handled == [1, 4]


def test_stop_waits_for_the_item_being_handled_and_forgets_the_next():
    started, go_on, handled = threading.Event(), threading.Event(), []

    def handle(item):
        started.set()
        assert go_on.wait(30)
        handled.append(item)

    worker = LatestWorker(handle)
    worker.submit(1)
    assert started.wait(30)
    worker.submit(2)
    stopper = threading.Thread(target=worker.stop)
    stopper.start()
    stopper.join(0.1)
    assert stopper.is_alive()
    go_on.set()
    stopper.join(30)
    assert handled == [1]


def taken(rate, times) -> int:
    limit = RateLimit(rate)
    return sum(limit.take(now) for now in times)


def test_rate_limit_holds_on_average_also_between_uneven_frames():
    camera = [i / 30 for i in range(300)]
    assert taken(0.0, camera) == 300
    assert abs(taken(20.0, camera) - 200) <= 1
    assert abs(taken(7.0, camera) - 70) <= 1
    assert taken(60.0, camera) == 300


def test_rate_limit_does_not_make_up_for_a_pause():
    limit = RateLimit(10.0)
    assert limit.take(0.0)
    assert sum(limit.take(100 + i / 1000) for i in range(50)) <= 1
    assert sum(limit.take(100.05 + i / 1000) for i in range(1000)) <= 11
