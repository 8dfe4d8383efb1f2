"""What goes wrong between boards, told in one line that names the peer and the remedy."""

from __future__ import annotations

from prism.errors import RunFailed


class PeerLost(RunFailed):
    """A board did not do its part within the timeout, or is gone."""


class PeerRefused(RunFailed):
    """A board is there but cannot take part: another version, or other weights."""
