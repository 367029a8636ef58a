"""What clients send does not fill the log."""

import logging

import pytest

from fer_ros.web.live import page
from fer_ros.web.server.logs import LONGEST, PERIOD, Throttle


@pytest.fixture
def log():
    """A logger with the filter, its records, and its clock."""
    class Kept(logging.Handler):
        def __init__(self):
            super().__init__()
            self.texts: list[str] = []

        def emit(self, record):
            self.texts.append(self.format(record))
    logger, kept, clock = logging.Logger('test'), Kept(), [0.0]
    logger.addHandler(kept)
    logger.addFilter(Throttle(lambda: clock[0]))
    return logger, kept.texts, clock


def test_the_same_problem_is_logged_seldom_with_the_number_of_times(log):
    logger, texts, clock = log
    for step in range(3):
        clock[0] = step * (PERIOD + 1)
        for number in range(50):
            logger.warning('%s not found', f'/{number}')
    assert texts == ['/0 not found', '/0 not found (and 49 times more)', '/0 not found (and 49 times more)']


def test_an_exception_of_a_library_is_one_line_and_one_of_this_package_has_its_traceback(log):
    logger, texts, _ = log
    try:
        int('x' * 1000 + '\n\u202e')
    except ValueError:
        logger.exception('junk\n')
    try:
        page._number(None, 'after')
    except AttributeError:
        logger.exception('a defect')
    assert len(texts[0].splitlines()) == 1 and len(texts[0]) < 2 * LONGEST + 50 and texts[0].isprintable()
    assert texts[0].startswith('junk: ValueError: invalid literal')
    assert 'Traceback' in texts[1] and 'page.py' in texts[1]


def test_an_end_while_somebody_is_connected_is_no_error(log):
    logger, texts, _ = log
    logger.error('Cancel %s running task(s), timeout graceful shutdown exceeded', 0)
    assert texts == []
