"""jetson-stats' error texts, turned into one line that says what to do."""

from __future__ import annotations

import re

_MISMATCH = re.compile(r"service: \[(?P<service>[^\]]*)\] and client: \[(?P<client>[^\]]*)\]")
_GONE = "jtop.service has gone away; start it again: sudo systemctl restart jtop"
_REMEDIES = (
    ("Lost connection", _GONE),
    (
        "not active",
        "jtop.service is not running; start it: sudo systemctl start jtop "
        "(the first time: sudo jtop --install-service)",
    ),
    (
        "can't access",
        "no permission to talk to jtop.service; sudo usermod -aG jtop $USER, then log out and in again",
    ),
    (
        "Mismatch of Python",
        "jtop.service runs under a Python that this one cannot talk to; use the Python that jetson-stats came with",
    ),
    (
        "Authentication",
        "jtop.service refuses this client; install the same version of jetson-stats for both, then: "
        "sudo systemctl restart jtop",
    ),
    ("Error connection", "jtop.service runs but sends no data; look at: journalctl -u jtop"),
)


def explain(error: Exception) -> str:
    """What went wrong with jtop and the remedy, on one line."""
    text = str(error)
    mismatch = _MISMATCH.search(text)
    if mismatch is not None:
        service, client = mismatch["service"], mismatch["client"]
        return (
            f"jtop.service is version {service}, this Python's jetson-stats is {client}; major and minor version must "
            f"agree: pip install 'jetson-stats=={_series(service)}.*' here, or update the service and restart it"
        )
    if isinstance(error, EOFError | ConnectionError):
        return _GONE
    for sign, remedy in _REMEDIES:
        if sign in text:
            return remedy
    return f"jtop: {' '.join(text.split()) or type(error).__name__}"


def _series(version: str) -> str:
    return ".".join(version.split(".")[:2])
