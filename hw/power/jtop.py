"""Power of a Jetson as jetson-stats' service reads it, through its own client.

The client hands each set of statistics to an observer; this adapter keeps the last one. It never calls the client's
blocking `ok()`: that gives up for good when the service is once three intervals late, which a loaded board is.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import math
import multiprocessing
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from hw.power.jtop_errors import explain
from hw.power.meter import Clock, MeterError, MeterUnavailable, PowerMeter, Reading
from hw.power.rails import rail_scope

_MILLI = 1e-3
_OFFLINE_C = -256
#: How often a read that waits looks whether the client is still alive, in seconds.
_CHECK_S = 0.5


class JtopClient(Protocol):
    """The part of jetson-stats' client that is used."""

    @property
    def power(self) -> Any: ...
    @property
    def uptime(self) -> timedelta: ...
    @property
    def interval(self) -> float: ...
    @property
    def temperature(self) -> Mapping[str, Mapping[str, Any]]: ...
    @property
    def nvpmodel(self) -> Any: ...
    @property
    def jetson_clocks(self) -> Any: ...

    def attach(self, observer: Callable[[JtopClient], None]) -> None: ...
    def start(self) -> None: ...
    def ok(self, spin: bool = False) -> bool: ...
    def close(self) -> None: ...
    def join(self, timeout: float | None = None) -> None: ...


def make_client(interval_s: float) -> JtopClient:
    """jetson-stats' client, not yet connected.

    Importing jetson-stats sets multiprocessing's start method to fork for the whole process, which is not safe beside
    CUDA or threads; it is set back.

    Raises:
        MeterUnavailable: jetson-stats is not installed.
    """
    method = multiprocessing.get_start_method(allow_none=True)
    try:
        module = importlib.import_module("jtop")
    except ImportError:
        raise MeterUnavailable("jetson-stats is not installed; pip install 'prism-edge[jetson]'") from None
    finally:
        multiprocessing.set_start_method(method, force=True)
    client: JtopClient = module.jtop(interval=interval_s)
    return client


def _version() -> str:
    try:
        return importlib.metadata.version("jetson-stats")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True)
class Observed:
    """One set of statistics as it arrived. `uptime_s`, the service's stamp, tells a new one from a repeated one."""

    time_s: float
    uptime_s: float
    power: Any
    thread_cpu_s: float


def parse_power(power: Any) -> tuple[float, dict[str, float], str]:
    """Total watts, watts by rail, and the scope of the total, from what the client calls `power`.

    Raises:
        MeterUnavailable: no sensors, or the form of a jetson-stats before 4.2.
    """
    if isinstance(power, tuple):
        raise MeterUnavailable(
            "this jetson-stats is older than 4.2 and reports power in another form; "
            "sudo pip3 install --upgrade 'jetson-stats>=7.2', then sudo systemctl restart jtop"
        )
    if not power or "tot" not in power:
        raise MeterUnavailable("jtop sees no power sensor on this board")
    total, rails = power["tot"], power.get("rail", {})
    rails_w = {name: rail["power"] * _MILLI for name, rail in rails.items() if rail.get("online", True)}
    total_name = total.get("name")
    if not rails_w and total_name is None:
        raise MeterUnavailable("jtop sees no power sensor on this board")
    return total["power"] * _MILLI, rails_w, rail_scope([*rails_w, *([total_name] if total_name else [])])


class JtopMeter(PowerMeter):
    """Power of the board's input rail through jtop.service."""

    name = "jtop"
    #: `read` waits for the next set of statistics itself.
    interval_s = 0.0

    def __init__(
        self,
        period_s: float = 0.1,
        timeout_s: float = 5.0,
        clock: Clock = time.monotonic,
        client: Callable[[float], JtopClient] = make_client,
    ) -> None:
        """Connect to the service and wait for its first statistics.

        Args:
            period_s: seconds between samples to ask for; the service follows the first of its clients only.
            timeout_s: for connecting, and for each sample.
            clock: monotonic, in seconds.
            client: makes the client for a period in seconds.

        Raises:
            MeterUnavailable: no package, no service, no permission, other version, no sensor, or no answer in time.
        """
        self._clock = clock
        self._timeout_s = timeout_s
        self._changed = threading.Condition()
        self._last: Observed | None = None
        self._given_uptime_s = -1.0
        self._repeated = 0
        self._connected = False
        self._client = client(period_s)
        self._client.attach(self._observe)
        try:
            self._connect()
            _, _, scope = parse_power(self._next().power)
        except MeterUnavailable:
            self.close()
            raise
        except MeterError as error:
            self.close()
            raise MeterUnavailable(str(error)) from None
        self.scope = f"{scope}, through jtop"

    def _connect(self) -> None:
        """Start the client, which waits without limit for a service that has stopped answering."""
        failed: list[Exception] = []
        done = threading.Event()

        def start() -> None:
            try:
                self._client.start()
            except Exception as error:  # noqa: BLE001  whatever it is, the thread that waits reports it
                failed.append(error)
            done.set()

        threading.Thread(target=start, name="jtop-connect", daemon=True).start()
        if not done.wait(self._timeout_s):
            raise MeterUnavailable(
                f"jtop.service accepts connections but does not answer within {self._timeout_s:g} s; "
                "sudo systemctl restart jtop"
            )
        if failed:
            raise MeterUnavailable(explain(failed[0]))
        self._connected = True

    def _observe(self, client: JtopClient) -> None:
        """Called by the client's thread with each set of statistics, new or repeated."""
        uptime_s = client.uptime.total_seconds()
        seen = Observed(self._clock(), uptime_s, client.power, time.thread_time())
        with self._changed:
            if self._last is not None and uptime_s == self._last.uptime_s:
                self._repeated += 1
                return
            self._last = seen
            self._changed.notify_all()

    def _next(self) -> Observed:
        """Statistics that were not given yet.

        Raises:
            MeterError: none came in time, or the client's thread has ended.
        """
        with self._changed:
            for _ in range(math.ceil(self._timeout_s / _CHECK_S)):
                if self._changed.wait_for(self._is_new, _CHECK_S) and self._last is not None:
                    self._given_uptime_s = self._last.uptime_s
                    return self._last
                self._raise_if_ended()
        raise MeterError(f"jtop.service sent nothing new for {self._timeout_s:g} s; look at: journalctl -u jtop")

    def _is_new(self) -> bool:
        return self._last is not None and self._last.uptime_s != self._given_uptime_s

    def _raise_if_ended(self) -> None:
        try:
            self._client.ok(spin=True)
        except Exception as error:  # noqa: BLE001  the client's thread died of it; it is passed on as the reason
            raise MeterError(explain(error)) from None

    def read(self) -> Reading:
        seen = self._next()
        try:
            power_w, rails_w, _ = parse_power(seen.power)
        except MeterUnavailable as error:
            raise MeterError(str(error)) from None
        return Reading(seen.time_s, power_w=power_w, rails_w=rails_w)

    def describe(self) -> dict[str, str]:
        facts = {
            "power_meter": self.name,
            "jetson_stats": _version(),
            "power_interval_s": f"{self._client.interval:g}",
            "power_repeated_samples": str(self._repeated),
        }
        if self._client.nvpmodel is not None:
            facts["nvpmodel"] = str(self._client.nvpmodel.name)
        if self._client.jetson_clocks is not None:
            facts["jetson_clocks"] = "on" if self._client.jetson_clocks else "off"
        for name, sensor in sorted(self._client.temperature.items()):
            if sensor.get("temp", _OFFLINE_C) != _OFFLINE_C:
                facts[f"temperature_{name}_c"] = f"{sensor['temp']:.1f}"
        return facts

    def cpu_s(self) -> float:
        with self._changed:
            return self._last.thread_cpu_s if self._last is not None else 0.0

    def close(self) -> None:
        self._client.close()
        if self._connected:
            self._client.join(timeout=1.0)
