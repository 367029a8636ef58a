"""Settings of the page."""

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from fer_ros.parameters import DASHBOARD, defaults

_DEFAULTS = defaults(DASHBOARD)

TOKEN_VARIABLE = 'FER_ROS_ACCESS_TOKEN'
"""Environment variable used if the parameter access_token is empty; parameters are visible in the ROS graph."""
SHORTEST_TOKEN = 12
"""Minimum number of characters of the token."""


class SettingsError(Exception):
    """The page cannot be served with these settings; the message is one line that names the value and the remedy."""


@dataclass(frozen=True)
class WebSettings:
    """Names, meaning, units and defaults are those of `fer_ros.parameters.DASHBOARD`.

    Raises:
        SettingsError: everybody in the network could open the page, the token is too short, or a proxy is no address.
    """

    host: str = _DEFAULTS['host']
    port: int = _DEFAULTS['port']
    access_token: str = _DEFAULTS['access_token']
    allowed_hosts: str = _DEFAULTS['allowed_hosts']
    trusted_proxies: str = _DEFAULTS['trusted_proxies']
    seconds: float = _DEFAULTS['seconds']
    image_rate: float = _DEFAULTS['image_rate']
    image_width: int = _DEFAULTS['image_width']
    image_quality: int = _DEFAULTS['image_quality']
    recordings_dir: str = _DEFAULTS['recordings_dir']
    record_megabytes: int = _DEFAULTS['record_megabytes']
    record_minutes: float = _DEFAULTS['record_minutes']
    upload_megabytes: int = _DEFAULTS['upload_megabytes']
    upload_seconds: float = _DEFAULTS['upload_seconds']
    upload_count: int = _DEFAULTS['upload_count']
    upload_ready: bool = _DEFAULTS['upload_ready']
    sessions_dir: str = _DEFAULTS['sessions_dir']
    hide_faces: str = _DEFAULTS['hide_faces']
    visitor_camera: bool = _DEFAULTS['visitor_camera']

    def __post_init__(self) -> None:
        if not _is_loopback(self.host) and not self.access_token:
            raise SettingsError(f'host {self.host} is reachable from other machines: also set an access_token, for '
                                'example the output of python3 -c "import secrets; print(secrets.token_urlsafe())"')
        if self.access_token and len(self.access_token) < SHORTEST_TOKEN:
            raise SettingsError(f'access_token has {len(self.access_token)} characters, which is too short: use at '
                                f'least {SHORTEST_TOKEN}')
        for proxy in self.trusted_proxies.split():
            try:
                ipaddress.ip_network(proxy)
            except ValueError as error:
                raise SettingsError(f'trusted_proxies: {error}; name addresses such as 127.0.0.1 or networks such as '
                                    '10.0.0.0/24, separated by spaces') from error
        if self.trusted_proxies.split() and not self.access_token:
            raise SettingsError('with trusted_proxies, other machines can reach the page: also set an access_token')

    @property
    def recordings(self) -> Path:
        """Folder for recordings."""
        if self.recordings_dir:
            return Path(self.recordings_dir).expanduser().absolute()
        return Path(os.environ.get('ROS_HOME') or Path.home() / '.ros') / 'fer_ros' / 'recordings'

    @property
    def sessions(self) -> Path | None:
        """Folder for sessions; None: they are kept in memory."""
        return Path(self.sessions_dir).expanduser().absolute() if self.sessions_dir else None

    def is_proxy(self, address: str) -> bool:
        """Whether `address` is that of a trusted proxy."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in ipaddress.ip_network(proxy) for proxy in self.trusted_proxies.split())


def _is_loopback(host: str) -> bool:
    try:
        return host == 'localhost' or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
