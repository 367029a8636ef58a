"""URLs of cameras and of files that are not on this computer, with those of fsspec that name two protocols."""

import re

_URL = re.compile(r'([a-z0-9+.-]+(?:::[a-z0-9+.-]+)*)://(.*)', re.IGNORECASE | re.DOTALL)
_WITHOUT_HOST = {'s3', 's3a', 'gs', 'gcs', 'abfs', 'abfss', 'az', 'adl', 'oci', 'oss', 'hf', 'memory', 'file', 'local'}
"""Protocols whose URLs begin with a bucket, container or folder: an @ there belongs to a name."""
_PLAIN_HOST = re.compile(r'[^/?#:@]+[/?#][^:@]*')
"""What may come before an @ that does not end a password: no user name and password fits it."""


def scheme(text: str) -> str:
    """Of a URL, in lower case; empty for what is not a URL."""
    match = _URL.match(text)
    return match[1].lower() if match else ''


def is_url(text: str) -> bool:
    """Whether `text` is a URL, and not a path."""
    return bool(scheme(text))


def without_query(url: str) -> str:
    """The part of a URL that tells files apart; a query often is a signature that expires."""
    return url.partition('?')[0] if is_url(url) else url


def shown(text: str) -> str:
    """A URL for people: without user name, password, query and fragment, which may give access. Paths stay.

    Users write passwords with ``@``, ``/``, ``?`` or ``#`` as they are. In doubt, too much is left out.
    """
    match = _URL.match(text)
    if not match:
        return text
    protocol, rest = match[1].lower(), match[2]
    if protocol.rpartition('::')[2] in _WITHOUT_HOST:
        return f'{protocol}://{re.sub("^[^/@:]*:[^/@]*@", "", rest).partition("?")[0]}'
    user, _, after = rest.rpartition('@')
    if user and not _PLAIN_HOST.fullmatch(user):
        rest = after
    return f'{protocol}://{re.split("[?#]", rest)[0]}'
