"""What the kernel has for holding a link at a rate."""

from __future__ import annotations

import gzip
import platform
import re

from hw.host import Host
from hw.preflight.check import Check

#: Kernel option and module of each part: tbf holds a rate, netem delays, ifb takes what comes in.
_PARTS = {
    "tbf": ("CONFIG_NET_SCH_TBF", "sch_tbf"),
    "netem": ("CONFIG_NET_SCH_NETEM", "sch_netem"),
    "ifb": ("CONFIG_IFB", "ifb"),
}
_CONGESTION = "/proc/sys/net/ipv4/tcp_congestion_control"
_CONGESTION_AVAILABLE = "/proc/sys/net/ipv4/tcp_available_congestion_control"


def throttle(host: Host, release: str | None = None) -> list[Check]:
    """Whether the kernel can shape an interface; the configuration it was built with, or its modules, say so."""
    release = release or platform.release()
    config = _config(host, release)
    modules = _modules(host, release)
    if config is None and modules is None:
        return [
            Check(
                "throttle",
                "skipped",
                "not known: neither the kernel's configuration (/proc/config.gz) nor its modules can be read",
            )
        ]
    has = {part: _has(*names, config, modules) for part, names in _PARTS.items()}
    found = ", ".join(f"{part}: {'yes' if there else 'no'}" for part, there in has.items())
    if has["tbf"]:
        return [Check("throttle", "ok", f"{found}; tbf needs root as well")]
    remedy = "hold the rate by pacing sockets, which needs no qdisc and no root (docs/testbed.md has its limits)"
    return [Check("throttle", "warning", f"{found}; no rate can be set on an interface", remedy)]


def _has(option: str, module: str, config: str | None, modules: str | None) -> bool:
    built = re.search(rf"^{option}=([ym])$", config or "", re.MULTILINE)
    if built and built[1] == "y":
        return True
    # A kernel built for modules that nobody installed has none of them.
    if modules is not None:
        return re.search(rf"/{module}\.ko", modules) is not None
    return built is not None


def _config(host: Host, release: str) -> str | None:
    try:
        return gzip.decompress(host.path("/proc/config.gz").read_bytes()).decode(errors="replace")
    except (OSError, EOFError):
        return host.read(f"/boot/config-{release}")


def _modules(host: Host, release: str) -> str | None:
    listed = [host.read(f"/lib/modules/{release}/modules.{kind}") for kind in ("builtin", "dep")]
    return "\n".join(text or "" for text in listed) if any(text is not None for text in listed) else None


def congestion_control(host: Host) -> list[Check]:
    """Which congestion controls a socket may ask for; cubic is what runs are made with."""
    name = "congestion control"
    available = host.read(_CONGESTION_AVAILABLE)
    if available is None:
        return [Check(name, "skipped", f"not known: {_CONGESTION_AVAILABLE} cannot be read")]
    found = f"{', '.join(available.split())}; the default is {host.read(_CONGESTION) or 'unknown'}"
    if "cubic" in available.split():
        return [Check(name, "ok", found)]
    return [Check(name, "warning", f"{found}; cubic is missing", "sudo modprobe tcp_cubic")]
