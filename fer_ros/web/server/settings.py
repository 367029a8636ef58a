"""What the page is told when it starts."""

import ipaddress
from dataclasses import dataclass

SHORTEST_TOKEN = 12
"""Characters."""


class SettingsError(Exception):
    """The page cannot be served so; the text is one line that names the value and the remedy."""


@dataclass(frozen=True)
class WebSettings:
    """The fields are parameters of the node `dashboard`, which describes them.

    Raises:
        SettingsError: everybody in the network could look.
    """

    host: str = '127.0.0.1'
    port: int = 8080
    access_token: str = ''
    allowed_hosts: str = ''
    seconds: float = 60.0
    image_rate: float = 15.0
    image_width: int = 960
    image_quality: int = 75
    record_megabytes: int = 64
    upload_megabytes: int = 200
    upload_seconds: float = 600.0
    upload_count: int = 4

    def __post_init__(self) -> None:
        if not _is_loopback(self.host) and not self.access_token:
            raise SettingsError(f'host {self.host} lets other machines in: set an access_token too, for example the '
                                'output of python3 -c "import secrets; print(secrets.token_urlsafe())"')
        if self.access_token and len(self.access_token) < SHORTEST_TOKEN:
            raise SettingsError(f'access_token has {len(self.access_token)} characters, too few to keep others out: '
                                f'use at least {SHORTEST_TOKEN}')


def _is_loopback(host: str) -> bool:
    try:
        return host == 'localhost' or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
