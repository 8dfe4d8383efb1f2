"""The names of messages: sender, receiver, and the block or the step that tells it from others between the two."""

from __future__ import annotations

from prism.schedule import Exchange, Post, Receive, Send

MessageKey = tuple[int, int, str | int]


def outgoing(rank: int, step: Exchange | Send) -> list[tuple[MessageKey, int]]:
    """Keys and bytes of what `rank` sends in the step."""
    if isinstance(step, Send):
        return [((rank, step.message.peer, step.name), step.message.nbytes)]
    return [((rank, message.peer, step.block), message.nbytes) for message in step.sends]


def incoming(rank: int, step: Exchange | Post | Receive) -> list[MessageKey]:
    """Keys of what `rank` receives in the step."""
    if isinstance(step, Receive):
        return [(step.message.peer, rank, step.name)]
    return [(message.peer, rank, step.block) for message in step.receives]
