"""A small process that outlives its owner just long enough to clean up after it.

It waits at a pipe that only the owner holds open. Whatever ends the owner, SIGKILL included, closes the pipe; it then
kills what the owner started and removes its namespaces.
"""

from __future__ import annotations

import sys
import time

from hw.testbed.namespaces import destroy
from hw.testbed.processes import ProcessId, kill_group

LAST_LOOK_S = 0.5
"""A command that the owner had just started may still add a namespace."""


def main(prefix: str) -> None:
    """Wait for the end of standard input, then clean up. Each line names a process: its pid and its start time."""
    watched = []
    for line in sys.stdin:
        pid, start = line.split()
        watched.append(ProcessId(int(pid), int(start)))
    for process in watched:
        kill_group(process)
    if destroy(prefix):
        time.sleep(LAST_LOOK_S)
        destroy(prefix)


if __name__ == "__main__":
    main(sys.argv[1])
