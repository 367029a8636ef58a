"""Settings that would let anyone in are refused."""

import pytest

from fer_ros.web.server.settings import SettingsError, WebSettings

TOKEN = 'correct horse battery'


@pytest.mark.parametrize(('options', 'told'), [
    ({'trusted_proxies': '127.0.0.1'}, 'also set an access_token'),
    ({'trusted_proxies': '*', 'access_token': TOKEN}, 'name addresses'),
    ({'trusted_proxies': '127.0.0.1 proxy', 'access_token': TOKEN}, 'name addresses'),
    ({'trusted_proxies': '10.0.0.1/8', 'access_token': TOKEN}, 'name addresses'),
    ({'access_token': 'short'}, 'too short'), ({'host': '0.0.0.0'}, 'reachable from other machines')])
def test_what_would_let_anyone_in_is_refused(options, told):
    with pytest.raises(SettingsError, match=told) as refused:
        WebSettings(**options)
    assert len(str(refused.value).splitlines()) == 1


def test_proxies_are_addresses_and_networks():
    settings = WebSettings(access_token=TOKEN, trusted_proxies='127.0.0.1 10.0.0.0/24 fd00::/8')
    assert all(map(settings.is_proxy, ('127.0.0.1', '10.0.0.7', 'fd00::1')))
    assert not any(map(settings.is_proxy, ('127.0.0.2', '10.0.1.7', '::1', 'x')))
