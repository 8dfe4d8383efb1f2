"""Where the parts of a study are computed: here, or by whatever else can call a function with a number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

Job = TypeVar("Job")
Part = TypeVar("Part")


class Executor(Protocol):
    """Computes parts of a job. A part depends on the job and its number alone, so any machine may do it, and again."""

    def parts(self, compute: Callable[[Job, int], Part], job: Job, numbers: Sequence[int]) -> Iterator[Part]:
        """``compute(job, number)`` for each number, in the order of `numbers`.

        `compute` is a function of a module, and job and parts can be pickled.

        Raises:
            RunFailed: the machines that compute are gone.
        """


class Here:
    """This process."""

    def parts(self, compute: Callable[[Job, int], Part], job: Job, numbers: Sequence[int]) -> Iterator[Part]:
        """Each part when it is asked for."""
        return (compute(job, number) for number in numbers)
