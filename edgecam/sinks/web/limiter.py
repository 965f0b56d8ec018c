"""How often a secret may be tried: so many at once, then one from time to time, by address and in all."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

#: Attempts at once, and seconds until there is one more.
EACH = (5, 12.0)
ALL = (30, 2.0)
MOST = 1024  # addresses remembered
FRIENDS = 64  # addresses remembered from which somebody has got in


@dataclass
class _Bucket:
    left: float
    at: float

    def fill(self, now: float, size: int, pause: float) -> None:
        self.left = min(float(size), self.left + (now - self.at) / pause)
        self.at = now

    def wait(self, pause: float) -> float:
        return max(0.0, (1.0 - self.left) * pause)


class Limiter:
    """Counts attempts. Bounded memory, whoever comes from wherever.

    Strangers who use up the attempts of all do not lock out an address from which somebody got in before.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._each: OrderedDict[str, _Bucket] = OrderedDict()
        self._all = _Bucket(ALL[0], clock())
        self._friends: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._each) + len(self._friends)

    def wait(self, address: str) -> float:
        """Seconds until the address may try again, 0 if it may now."""
        now, key = self._clock(), _network(address)
        bucket = self._each.get(key)
        own = 0.0
        if bucket is not None:
            bucket.fill(now, *EACH)
            own = bucket.wait(EACH[1])
        self._all.fill(now, *ALL)
        return own if key in self._friends else max(own, self._all.wait(ALL[1]))

    def take(self, address: str) -> float:
        """Count one attempt if it may be made; else the seconds to wait."""
        wait = self.wait(address)
        if wait > 0:
            return wait
        key = _network(address)
        bucket = self._each.setdefault(key, _Bucket(EACH[0], self._clock()))
        self._each.move_to_end(key)
        bucket.left -= 1
        self._all.left = max(0.0, self._all.left - 1)
        while len(self._each) > MOST:
            self._each.popitem(last=False)
        return 0.0

    def forgive(self, address: str) -> None:
        """The last attempt was right: it does not count."""
        key = _network(address)
        bucket = self._each.get(key)
        if bucket is not None:
            bucket.left = min(float(EACH[0]), bucket.left + 1)
        self._all.left = min(float(ALL[0]), self._all.left + 1)
        self._friends[key] = None
        self._friends.move_to_end(key)
        while len(self._friends) > FRIENDS:
            self._friends.popitem(last=False)


def _network(address: str) -> str:
    """An IPv6 host has as many addresses as it likes within its /64."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if found.version == 6 and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)
