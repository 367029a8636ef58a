"""The schema of values that come from other programs: each is bounded and of one type, or refused.

A value that passes can be shown on a page, in a terminal and in a log, written to a file, and used in a topic name.
"""

import re
import unicodedata

LONGEST_TEXT = 500
"""Maximum characters of a text that is shown."""
LONGEST_ID = 64
"""Maximum characters of a face_id."""
_FACE_ID = re.compile(rf'[A-Za-z][A-Za-z0-9_]{{0,{LONGEST_ID - 1}}}', re.ASCII)
_TOPIC = re.compile(r'(?=.{1,255}\Z)/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*', re.ASCII)
_DIGITS = 18
"""Maximum digits of a count: beyond that, conversion takes time and 64 bits do not suffice."""


class BadValue(ValueError):
    """A value that does not follow the schema; the message is one short line."""


def whole(value: object, least: int, most: int, name: str) -> int:
    """`value`, an int from `least` to `most`. Raises BadValue."""
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise BadValue(f'{name} {shortened(value)} is not a whole number from {least} to {most}')


def number(value: object, least: float, most: float, name: str) -> float:
    """`value`, an int or float from `least` to `most`, as a float. Raises BadValue."""
    if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:  # NaN is not
        return float(value)
    raise BadValue(f'{name} {shortened(value)} is not a number from {least:g} to {most:g}')


def count(value: object, most: int, name: str) -> int:
    """The decimal digits `value` as an int from 0 to `most`. Raises BadValue."""
    if isinstance(value, str) and len(value) <= _DIGITS and value.isascii() and value.isdecimal():
        return whole(int(value), 0, most, name)
    raise BadValue(f'{name} {shortened(value)} is not a count')


def face_id(value: object) -> str:
    """`value`, an id as REP-155 and topic names allow: a letter, then letters, digits and underscores.

    Raises:
        BadValue: it is not, or is longer than `LONGEST_ID`.
    """
    if isinstance(value, str) and _FACE_ID.fullmatch(value):
        return value
    raise BadValue(f'face_id {shortened(value)} is not a letter followed by letters, digits and underscores, at most '
                   f'{LONGEST_ID}')


def topic(value: object) -> str:
    """`value`, the name of a topic. Raises BadValue."""
    if isinstance(value, str) and _TOPIC.fullmatch(value):
        return value
    raise BadValue(f'{shortened(value)} is not the name of a topic')


def line(value: object, most: int, name: str) -> str:
    """`value`, one line of at most `most` visible characters. Raises BadValue."""
    if isinstance(value, str) and len(value) <= most and all(map(_visible, value)):
        return value
    raise BadValue(f'{name} {shortened(value)} is not one line of at most {most} characters')


def shown(value: str, most: int = LONGEST_TEXT) -> str:
    """`value` as one line to be shown: without control characters and marks that change the direction, and cut."""
    cut = value[:most]
    text = ' '.join(''.join(c if _visible(c) else ' ' for c in cut).split())
    return text + ' …' if len(value) > most else text


def shortened(value: object) -> str:
    """`value` for an error message, at most 60 characters."""
    if isinstance(value, str | bytes):
        value = value[:61]
    elif isinstance(value, dict | list):
        return 'an object' if isinstance(value, dict) else 'a list'
    elif isinstance(value, int) and abs(value) >> 200:
        return 'with too many digits'
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + '...'


def _visible(character: str) -> bool:
    return unicodedata.category(character) not in ('Cc', 'Cf', 'Cs', 'Co', 'Cn', 'Zl', 'Zp')
