"""A bandwidth trace acting on a real link."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from prism.errors import InputError
from prism.streams.bandwidth import BandwidthTrace

if TYPE_CHECKING:
    from typing_extensions import Self

SetRate = Callable[[float], None]


class LiveLink:
    """Sets the link to what the trace says: while passes are under way if `concurrent`, else when asked to catch up.

    Args:
        trace: the bandwidth over time.
        set_rate: sets the link to a rate in Mbps.
        cut: cuts the workers off, or undoes it; None where that cannot be done.
        now_s: time on the trace's axis.
        concurrent: whether the rate may be set by another thread while a pass is under way.
        rates_mbps: lowest and highest rate that the link takes.

    Raises:
        InputError: the trace holds what the link cannot do.
    """

    def __init__(
        self,
        trace: BandwidthTrace,
        set_rate: SetRate,
        cut: Callable[[bool], None] | None,
        now_s: Callable[[], float],
        *,
        concurrent: bool,
        rates_mbps: tuple[float, float],
    ) -> None:
        low, high = rates_mbps
        for time_s, mbps in zip(trace.time_s, trace.bandwidth_mbps, strict=True):
            if mbps == 0 and cut is None:
                raise InputError(
                    f"{trace.name} has an outage at {time_s:g} s, and this link cannot be cut; as root use --testbed"
                )
            if mbps and not low <= mbps <= high:
                raise InputError(
                    f"{trace.name}: {mbps:g} Mbps at {time_s:g} s; this link takes {low:g} to {high:g} Mbps"
                )
        self.trace = trace
        self._set_rate = set_rate
        self._cut = cut
        self._now_s = now_s
        self._set: float | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True) if concurrent else None

    def __enter__(self) -> Self:
        self._apply()
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        if self._set == 0 and self._cut is not None:
            self._cut(False)

    def catch_up(self) -> None:
        """Set the link to what the trace says now, where no other thread does.

        Raises:
            whatever setting it raised, also in the other thread.
        """
        if self._failure is not None:
            raise self._failure
        if self._thread is None:
            self._apply()

    def _follow(self) -> None:
        while not self._over.is_set():
            try:
                self._apply()
            except BaseException as error:  # noqa: BLE001  # told to whoever serves, at its next batch
                self._failure = error
                return
            wait_s = self.trace.next_change_s(self._now_s()) - self._now_s()
            # Woken a little late rather than early: early would find the old rate and wait for a whole piece.
            self._over.wait(min(max(wait_s, 0.0) + 1e-3, 3600.0))

    def _apply(self) -> None:
        with self._lock:
            mbps = self.trace.at(self._now_s())
            if mbps == self._set:
                return
            if self._cut is not None and (mbps == 0) != (self._set == 0):
                self._cut(mbps == 0)
            if mbps:
                self._set_rate(mbps)
            self._set = mbps
