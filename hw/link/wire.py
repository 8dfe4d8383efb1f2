"""From payload bytes to bytes on the wire: a link's rate counts headers and acknowledgements, a message does not.

Ethernet frames as a qdisc counts them: the 14-byte header belongs to them; preamble, checksum and gap do not.
"""

from __future__ import annotations

HEADER_BYTES = 66
"""Ethernet 14, IPv4 20, TCP 20 and its timestamps 12."""

SEGMENT_BYTES = 1448
"""Payload of a full TCP segment at an MTU of 1500."""


def frame_bytes(payload_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> int:
    """Bytes of the frames that carry a message of `payload_bytes` over TCP."""
    return payload_bytes + HEADER_BYTES * -(-payload_bytes // segment_bytes)


def acknowledgement_bytes(payload_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> int:
    """Bytes that come back for them at the least: one frame for two segments."""
    return HEADER_BYTES * -(-payload_bytes // (2 * segment_bytes))


def payload_efficiency(segment_bytes: int = SEGMENT_BYTES) -> float:
    """Share of payload in full frames: 1448 / 1514 at an MTU of 1500, acknowledgements left out."""
    return segment_bytes / (segment_bytes + HEADER_BYTES)
