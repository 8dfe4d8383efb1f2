"""Names of namespaces: they say who owns them. So testbeds do not collide, and leftovers can be told from live ones.

`prism-<owner's pid>-<owner's start time>-<serial>-<role>`. A pid alone is not enough: the kernel gives it out again.
"""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

from hw.testbed.processes import ProcessId, identify

NAMESPACES = Path("/run/netns")
_PATTERN = re.compile(r"(?P<prefix>prism-(?P<pid>\d+)-(?P<start>\d+)-\d+)-(?:air|r\d+)")
_serial = itertools.count()


def new_prefix() -> str:
    """A prefix of namespace names that no other testbed has, in this process or another."""
    me = identify(os.getpid())
    assert me is not None
    return f"prism-{me.pid}-{me.start}-{next(_serial)}"


def namespaces_of(prefix: str) -> list[str]:
    """Names of the namespaces of one testbed."""
    return [name for name, owner in _all().items() if owner[0] == prefix]


def leftover_prefixes() -> list[str]:
    """Prefixes of the testbeds whose owner is dead."""
    return sorted({prefix for prefix, owner in _all().values() if not owner.alive})


def _all() -> dict[str, tuple[str, ProcessId]]:
    if not NAMESPACES.is_dir():
        return {}
    found = {}
    for name in sorted(path.name for path in NAMESPACES.iterdir()):
        match = _PATTERN.fullmatch(name)
        if match is not None:
            found[name] = (match["prefix"], ProcessId(int(match["pid"]), int(match["start"])))
    return found
