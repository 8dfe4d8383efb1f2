"""A unit of a board that does one thing at a time: the compute unit, or one of the two copy engines."""

from __future__ import annotations

from simpy import Environment, Timeout


class Engine:
    """First in, first out. Work that arrives while the engine is busy starts when the earlier work ends."""

    __slots__ = ("_busy_until_s", "_env")

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._busy_until_s = 0.0

    def work(self, seconds: float) -> Timeout:
        """An event that fires when `seconds` of work, queued now, are done."""
        now = self._env.now
        start = max(now, self._busy_until_s)
        self._busy_until_s = start + seconds
        return self._env.timeout(self._busy_until_s - now)
