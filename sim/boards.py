"""Boards that differ from each other: how fast each computes, and how much memory it has."""

from __future__ import annotations

from dataclasses import dataclass, replace

from prism.errors import InputError
from prism.profile import Board, SystemProfile
from prism.units import check_range

#: A board a million times faster is a slip.
SPEEDS = (1e-3, 1e3)


@dataclass(frozen=True)
class BoardMix:
    """What boards have in place of the profile's, in rank order, terminal device first.

    Attributes:
        speeds: how many times faster each computes than the profile's board; empty where all are alike. Copies, the
            link and powers are the profile's on all of them.
        memory_bytes: memory of each; empty where all have the profile's. Each reserves what the profile's does.
    """

    speeds: tuple[float, ...] = ()
    memory_bytes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for speed in self.speeds:
            check_range("speed", speed, *SPEEDS)

    def require(self, devices: int) -> None:
        """Raise `InputError` unless the mix speaks of that many boards at least; those beyond take no part."""
        for name, values in (("speeds", self.speeds), ("memory sizes", self.memory_bytes)):
            if values and len(values) < devices:
                raise InputError(f"{len(values)} {name} for {devices} devices; give one a board, terminal device first")

    def speed(self, rank: int) -> float:
        """How many times faster `rank` computes than the profile's board."""
        return self.speeds[rank] if self.speeds else 1.0

    def board(self, rank: int, profile: SystemProfile) -> Board:
        """The board of `rank`; its name says what it has."""
        if not self.memory_bytes:
            return profile.board
        memory_bytes = self.memory_bytes[rank]
        return replace(
            profile.board,
            name=f"{profile.board.name} with {memory_bytes / 1e9:g} GB",
            memory_bytes=memory_bytes,
        )

    @property
    def extrapolations(self) -> tuple[str, ...]:
        """In which ways boards differ from the one that was measured."""
        if len(set(self.speeds) | {1.0}) == 1:
            return ()
        return (f"boards of speed {', '.join(f'{speed:g}' for speed in self.speeds)} (measured: equal boards)",)


ALIKE = BoardMix()
