"""Who has shown the access token: signed cookies, and the pace at which tokens can be guessed."""

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable

from itsdangerous import BadData, TimestampSigner

from fer_ros.web.server.connections import party

SESSION = 12 * 3600
"""Lifetime of a session in seconds."""
ATTEMPTS = 5
"""Number of wrong tokens from one address within `PERIOD` after which each further one takes `DELAY`."""
PERIOD = 60.0
"""Seconds."""
DELAY = 3.0
"""Seconds."""
_VALUE = re.compile(r'[\w.-]{1,256}', re.ASCII)


class _Signer(TimestampSigner):
    def __init__(self, token: str, clock: Callable[[], float]) -> None:
        super().__init__(token, salt='fer_ros dashboard', sep='.', key_derivation='hmac', digest_method=hashlib.sha256)
        self._clock = clock

    def get_timestamp(self) -> int:
        return int(self._clock())


class Sessions:
    """Random sessions, signed with the token: valid after a restart, but not with a new token.

    Args:
        token: the access token.
        clock: seconds since 1970.
    """

    def __init__(self, token: str, clock: Callable[[], float]) -> None:
        self._token = token.encode()
        self._signer = _Signer(token, clock)

    def opened_by(self, token: str) -> bool:
        """Whether `token` is the access token; takes the same time for all."""
        return hmac.compare_digest(token.encode('utf-8', 'replace'), self._token)

    def create(self) -> str:
        """The value of the cookie of a new session."""
        return self._signer.sign(secrets.token_hex(16)).decode()

    def valid(self, cookie: str) -> bool:
        """Whether it is the cookie of a session that has not expired."""
        try:
            self._signer.unsign(cookie, max_age=SESSION)
        except BadData:
            return False
        return True


class Guesses:
    """Counts the wrong tokens of the last minute by address.

    The right token opens from every address at any time: a lock would let anyone shut out those who share an address.
    It is the delay that makes guessing slow, and it is the same for the right token, so that it says nothing.

    Args:
        clock: seconds.
    """

    _REMEMBERED = 1000

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_address: OrderedDict[str, deque[float]] = OrderedDict()

    def add(self, address: str) -> None:
        """Record a wrong token from `address`."""
        address = party(address)
        self._by_address.setdefault(address, deque(maxlen=ATTEMPTS)).append(self._clock())
        self._by_address.move_to_end(address)
        while len(self._by_address) > self._REMEMBERED:
            self._by_address.popitem(last=False)

    def wait(self, address: str) -> float:
        """Seconds until tokens from `address` are answered at once again; 0 if they are now."""
        times = self._by_address.get(party(address), deque())
        return max(0.0, times[0] + PERIOD - self._clock()) if len(times) == ATTEMPTS else 0.0


def own_cookies(header: str, names: tuple[str, ...]) -> dict[str, str]:
    """The cookies of these names in a Cookie header.

    Those of other programs under the same host name are theirs; and the parser of the standard library takes time in
    the square of the length of some values.
    """
    pairs = (part.strip().partition('=') for part in header.split(';'))
    return {name: value for name, _, value in pairs if name in names and _VALUE.fullmatch(value)}
