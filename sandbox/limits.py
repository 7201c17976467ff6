"""The cloud's limits: the leaky bucket of one portal and source, operating time per method (page limits.md)."""

from __future__ import annotations

from dataclasses import dataclass, field

BASKETS = 10
BASKET_SECONDS = 60
OPERATING_LIMIT = 480.0


@dataclass
class Limits:
    """Buckets and operating sums of one portal; times are the portal's clock in unix seconds."""

    enabled: bool = True
    leak: float = 2.0
    size: float = 50.0
    operating_limit: float = OPERATING_LIMIT
    neighbours: float = 0.0
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)
    _baskets: dict[tuple[str, str], dict[int, float]] = field(default_factory=dict)

    def hit(self, source: str, now: float) -> bool:
        """True when a request from `source` may pass, and counts it; False is QUERY_LIMIT_EXCEEDED."""
        level = self.level(source, now) + 1
        if self.enabled and level > self.size:
            self._buckets[source] = (level - 1, now)
            return False
        self._buckets[source] = (level, now)
        return True

    def level(self, source: str, now: float) -> float:
        """How full the bucket of `source` is; others on the same address (`neighbours` per second) slow its leak."""
        level, at = self._buckets.get(source, (0.0, now))
        return min(self.size, max(0.0, level - (self.leak - self.neighbours) * max(0.0, now - at)))

    def operating(self, owner: str, method: str, now: float) -> float:
        """Seconds that `owner` (application or webhook) used on `method` in the last ten minutes."""
        return sum(self._live(owner, method, now).values())

    def blocked(self, owner: str, method: str, now: float) -> bool:
        """True when the next call of the method is refused with OPERATION_TIME_LIMIT."""
        return self.enabled and self.operating(owner, method, now) >= self.operating_limit

    def charge(self, owner: str, method: str, seconds: float, now: float) -> None:
        """Add the time of one call to the basket of the present minute."""
        live = self._live(owner, method, now)
        minute = int(now // BASKET_SECONDS)
        live[minute] = live.get(minute, 0.0) + seconds
        self._baskets[owner, method] = live

    def reset_at(self, owner: str, method: str, now: float) -> int:
        """Unix time at which the oldest basket leaves the sum."""
        live = self._live(owner, method, now)
        first = min(live) if live else int(now // BASKET_SECONDS)
        return (first + BASKETS) * BASKET_SECONDS

    def _live(self, owner: str, method: str, now: float) -> dict[int, float]:
        oldest = int(now // BASKET_SECONDS) - BASKETS
        return {minute: sum_ for minute, sum_ in self._baskets.get((owner, method), {}).items() if minute > oldest}

    def sources(self) -> list[str]:
        """Addresses from which requests came."""
        return list(self._buckets)

    def forget(self) -> None:
        """Empty every bucket and basket."""
        self._buckets.clear()
        self._baskets.clear()
