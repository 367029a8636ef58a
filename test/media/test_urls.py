"""URLs, and what of them people may see."""

import pytest

from fer_ros.media.urls import is_url, shown, without_query


@pytest.mark.parametrize(('text', 'expected'), [
    ('s3://bucket/a.mp4', True), ('simplecache::s3://bucket/a.mp4', True), ('sftp://robot/a', True),
    ('a.mp4', False), ('/a://b', False), ('study: one/a.mp4', False), ('0', False)])
def test_urls_are_told_from_paths(text, expected):
    assert is_url(text) == expected


@pytest.mark.parametrize(('url', 'expected'), [
    ('rtsp://user:secret@host:554/a/b?c=secret#secret', 'rtsp://host:554/a/b'), ('HTTP://host/a', 'http://host/a'),
    ('http://secret@host/a', 'http://host/a'), ('http://user:sec@ret@host/a', 'http://host/a'),
    ('http://user:sec?ret@host/a', 'http://host/a'), ('sftp://user:sec/ret@host/a', 'sftp://host/a'),
    ('rtsp://user:/secret@host/a', 'rtsp://host/a'), ('rtsp://user:12/34@host', 'rtsp://host'),
    ('rtsp://user:#secret@[fe80::1]:554/a', 'rtsp://[fe80::1]:554/a'),
    ('simplecache::https://user:secret@host/a', 'simplecache::https://host/a'),
    ('s3://key:secret@bucket/a.mp4', 's3://bucket/a.mp4'),
    ('https://host/a.mp4?X-Amz-Signature=secret', 'https://host/a.mp4')])
def test_what_gives_access_is_not_shown(url, expected):
    assert shown(url) == expected


@pytest.mark.parametrize(('url', 'expected'), [
    ('https://host/a@b.mp4', 'https://host/a@b.mp4'), ('https://host/a?mail=x@y', 'https://host/a'),
    ('s3://bucket/a@b#1.mp4', 's3://bucket/a@b#1.mp4'), ('abfs://container@account/a', 'abfs://container@account/a'),
    ('a@b.mp4', 'a@b.mp4'), ('/a?b@c', '/a?b@c'), ('0', '0')])
def test_other_at_signs_stay(url, expected):
    assert shown(url) == expected


def test_a_query_tells_no_files_apart():
    assert without_query('https://host/a@b.mp4?key=1') == 'https://host/a@b.mp4'
    assert without_query('what?.mp4') == 'what?.mp4'
