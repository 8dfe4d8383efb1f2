"""GLOO's event loop, where it shares a core with the model.

GLOO's TCP pairs are handled by one thread. When it finds a pair locked, as it is while the rank posts a send or a
receive, it does not wait: it polls again, at once. On a rank's only core that spins until the scheduler's next tick,
while the thread that holds the lock waits for the core: up to 4 ms at 250 Hz, in about every third exchange (seen in
scheduler traces of torch 2.14). As a batch thread it does not preempt the rank when a message wakes it, so the lock is
free by the time it runs. That needs no root. Real-time priority makes it spin for a second (until the kernel's limit),
and a lower priority of the rank's own thread makes it worse as well.
"""

from __future__ import annotations

import os
from pathlib import Path

_THREADS = Path("/proc/self/task")
_LOOP = "gloo_tcp_loop"


def share_core_with_event_loop() -> str:
    """Make GLOO's event loop yield to the rank, if they have one core between them; returns its policy, for records.

    To be called when the group is formed.
    """
    if len(os.sched_getaffinity(0)) > 1:
        return "as found: it has cores to itself"
    for thread in _THREADS.iterdir():
        if (thread / "comm").read_text(encoding="ascii", errors="replace").strip() == _LOOP:
            os.sched_setscheduler(int(thread.name), os.SCHED_BATCH, os.sched_param(0))
    return "SCHED_BATCH"
