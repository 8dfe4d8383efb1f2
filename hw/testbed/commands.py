"""One command in every rank, with their output told apart."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from queue import Queue
from threading import Thread

from hw.testbed.base import Bed
from prism.errors import InputError


def run_everywhere(bed: Bed, argv: Sequence[str], on_line: Callable[[int, str], None]) -> list[int]:
    """Run a command in every rank of an open testbed at once and wait for all.

    Args:
        bed: the testbed.
        argv: the command; the variables PRISM_RANK, PRISM_ADDRESS, PRISM_PEERS and so on tell it which rank it is.
        on_line: called with rank and line for each line of output, errors included.

    Returns:
        Exit codes by rank; negative for a signal.

    Raises:
        InputError: there is no such command.
    """
    if shutil.which(argv[0]) is None:
        raise InputError(f"no command {argv[0]!r} to run in the testbed")
    processes = [
        bed.spawn(rank, argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for rank in range(bed.ranks)
    ]
    lines: Queue[tuple[int, str | None]] = Queue()
    for rank, process in enumerate(processes):
        Thread(target=_read, args=(process, rank, lines), daemon=True).start()
    reading = bed.ranks
    while reading:
        rank, line = lines.get()
        if line is None:
            reading -= 1
        else:
            on_line(rank, line)
    return [process.wait() for process in processes]


def _read(process: subprocess.Popen[str], rank: int, lines: Queue[tuple[int, str | None]]) -> None:
    assert process.stdout is not None
    try:
        with process.stdout:
            for line in process.stdout:
                lines.put((rank, line.rstrip("\n")))
    finally:
        lines.put((rank, None))
