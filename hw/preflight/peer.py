"""The other board: whether it answers, how fast, and whether it runs the same versions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from hw.host import Host
from hw.preflight.check import Check
from prism.errors import InputError, RunFailed

#: Versions of the worker at an address and port, asked for on its control channel within so many seconds.
Greet = Callable[[str, int, float], Mapping[str, str]]

#: A worker opens its power meter before it answers.
GREET_TIMEOUT_S = 15.0
#: What a worker refuses to differ in.
COMPARED = ("prism", "torch", "timm")
_VERSIONS = "peer's versions"
#: On a quiet network of two boards a round trip takes a few milliseconds; more is a radio that sleeps, or a full one.
_SLOW_MS = 50.0
_TIMES = re.compile(r"= (?P<least>[\d.]+)/(?P<mean>[\d.]+)/(?P<most>[\d.]+)")


def round_trip(host: Host, address: str) -> list[Check]:
    """Round trips by ping; connecting would disturb a worker, which serves one at a time and opens a meter for each."""
    name = "round trip"
    answer = host.ask("ping", "-n", "-c", "5", "-i", "0.2", "-W", "2", address)
    if answer.missing:
        return [Check(name, "skipped", "not known: ping is not installed", "apt install iputils-ping")]
    times = _TIMES.search(answer.text)
    if times is None:
        found = f"no answer to ping from {address}"
        return [
            Check(name, "warning", found, "see whether the board is on and on this network; some firewalls drop ping")
        ]
    found = f"{times['least']} to {times['most']} ms, mean {times['mean']} ms of 5 by ping"
    if float(times["most"]) > _SLOW_MS:
        return [Check(name, "warning", found, "switch power save off on both boards, and see what else is on the air")]
    return [Check(name, "ok", found)]


def worker(
    greet: Greet, address: str, port: int, ours: Mapping[str, str | None], timeout_s: float = GREET_TIMEOUT_S
) -> list[Check]:
    """Whether a worker answers there, and whether it runs what we do. It is greeted once, over one connection.

    Args:
        greet: asks it.
        address: its IPv4 address.
        port: its control port.
        ours: our own versions; None where a package does not import.
        timeout_s: for its answer.
    """
    try:
        theirs = greet(address, port, timeout_s)
    except ImportError as error:
        return [
            Check(
                "peer", "skipped", f"a worker cannot be asked from here ({error})", "install what is missing, see above"
            )
        ]
    except (InputError, RunFailed, OSError) as error:
        remedy = "see what `prism worker` prints there; it serves one terminal device at a time and may be busy"
        return [
            Check("peer", "failed", str(error), remedy),
            Check(_VERSIONS, "skipped", "no worker has answered"),
        ]
    told = ", ".join(f"{name} {version}" for name, version in theirs.items() if name != "host")
    found = f"a worker answers at {address}:{port}, on host {theirs.get('host', 'unknown')}"
    return [Check("peer", "ok", found), _versions(theirs, ours, told)]


def _versions(theirs: Mapping[str, str], ours: Mapping[str, str | None], told: str) -> Check:
    unknown = [name for name in COMPARED if ours.get(name) is None]
    other = [name for name in COMPARED if name not in unknown and theirs.get(name) != ours[name]]
    if other:
        found = "; ".join(f"{name} {theirs.get(name, 'unknown')} there, {ours[name]} here" for name in other)
        return Check(_VERSIONS, "failed", found, f"install the same {' and '.join(other)} on both boards")
    weights = "Weights are compared when a session starts"
    if unknown:
        found = f"{told} there; {', '.join(unknown)} not known here. {weights}"
        return Check(_VERSIONS, "warning", found, f"install {', '.join(unknown)} here, see above")
    return Check(_VERSIONS, "ok", f"the same as here: {told}. {weights}")
