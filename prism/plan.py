"""A plan: how one pass is to be carried out. It says nothing of the model, the batch or the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from prism.errors import InputError, unknown
from prism.partition import partition_tokens
from prism.stored import Stored
from prism.units import check_range

Mode = Literal["local", "full_tensor", "segment_means"]
WireDtype = Literal["float32", "float16"]
ExchangeKind = Literal["blocking", "preposted"]
InputDistribution = Literal["replicated", "tokens", "image"]

MODES: tuple[Mode, ...] = get_args(Mode)
WIRE_BYTES: dict[WireDtype, int] = {"float32": 4, "float16": 2}
EXCHANGES: tuple[ExchangeKind, ...] = get_args(ExchangeKind)
INPUTS: tuple[InputDistribution, ...] = get_args(InputDistribution)

#: How far the compression rate of a whole number of segments may lie from the one asked for. The paper's rounded
#: rates (3.3, 4.95, 9.9 for L = 30, 20, 10 at N = 197) lie within 0.6 %.
CR_TOLERANCE = 0.01


@dataclass(frozen=True)
class Plan(Stored):
    """Mode, boards and exchange of a pass.

    Attributes:
        mode: `local` (the terminal device alone), `full_tensor` or `segment_means`.
        devices: boards P; 1 for `local`, at least 2 otherwise.
        segments: segments per partition L; only for `segment_means`. A partition shorter than L sends each token.
        wire_dtype: type of exchanged numbers on the wire.
        exchange: `blocking` posts the receive after compute, `preposted` one block ahead into a second buffer.
        input_distribution: `replicated` (each board has the image already), `tokens` (the terminal device embeds and
            sends each board its tokens) or `image` (it sends the image, each board embeds its own tokens).
        first_exchange: whether the exchange before the first block takes place. False where every board holds what
            it would receive: sent along with its tokens, or embedded from the whole image on the spot.
        shares: relative share of the tokens for each rank; even if None.
    """

    mode: Mode = "local"
    devices: int = 1
    segments: int | None = None
    wire_dtype: WireDtype = "float32"
    exchange: ExchangeKind = "blocking"
    input_distribution: InputDistribution = "replicated"
    first_exchange: bool = True
    shares: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for kind, value, known in (
            ("mode", self.mode, MODES),
            ("wire dtype", self.wire_dtype, tuple(WIRE_BYTES)),
            ("exchange", self.exchange, EXCHANGES),
            ("input distribution", self.input_distribution, INPUTS),
        ):
            if value not in known:
                raise unknown(kind, value, known)
        if self.mode == "local" and self.devices != 1:
            raise InputError(
                f"mode 'local' uses one device, not {self.devices}; drop the devices or choose another mode"
            )
        if self.mode != "local" and not 2 <= self.devices <= 64:
            raise InputError(f"mode {self.mode!r} needs 2 to 64 devices, not {self.devices}")
        if (self.segments is not None) != (self.mode == "segment_means"):
            need = "needs a number of segments" if self.mode == "segment_means" else "takes no segments"
            raise InputError(f"mode {self.mode!r} {need}")
        if self.segments is not None and self.segments < 1:
            raise InputError(f"segments = {self.segments} must be at least 1")
        if self.shares is not None and len(self.shares) != self.devices:
            raise InputError(f"{len(self.shares)} shares for {self.devices} devices; give one share a board")

    def partition(self, tokens: int) -> tuple[int, ...]:
        """Tokens of each rank for a sequence of `tokens`.

        Raises:
            InputError: more boards than tokens, or L larger than the largest partition.
        """
        sizes = partition_tokens(tokens, self.devices, self.shares)
        if self.segments is not None and self.segments > max(sizes):
            raise InputError(
                f"segments = {self.segments} is larger than the largest partition of {max(sizes)} tokens "
                f"({tokens} over {self.devices} devices); use at most {max(sizes)}"
            )
        return sizes

    def sent_tokens(self, tokens: int) -> tuple[int, ...]:
        """Token-sized vectors that each rank sends to each other board before a block: N_p, L_p or 0."""
        sizes = self.partition(tokens)
        if self.mode == "local":
            return (0,)
        if self.segments is None:
            return sizes
        return tuple(min(self.segments, size) for size in sizes)

    def compression_rate(self, tokens: int) -> float:
        """CR = N / (L P); 1 where whole partitions are exchanged."""
        return 1.0 if self.segments is None else tokens / (self.segments * self.devices)

    @property
    def label(self) -> str:
        """Short name for tables and plots, such as ``segment_means P=2 L=10``."""
        parts: list[str] = [self.mode]
        if self.mode != "local":
            parts.append(f"P={self.devices}")
        if self.segments is not None:
            parts.append(f"L={self.segments}")
        return " ".join(parts)


def segments_for_compression_rate(compression_rate: float, tokens: int, devices: int) -> int:
    """The number of segments L whose CR = N / (L P) is the one asked for.

    Raises:
        InputError: no whole L comes within `CR_TOLERANCE` of it; the message names the nearest ones.
    """
    largest = max(partition_tokens(tokens, devices))
    check_range("compression rate", compression_rate, 1e-3, 1e6)
    exact = tokens / (compression_rate * devices)
    segments = min(max(round(exact), 1), largest)
    achieved = tokens / (segments * devices)
    if abs(achieved / compression_rate - 1) > CR_TOLERANCE:
        near = sorted({min(max(int(exact) + step, 1), largest) for step in (0, 1)}, reverse=True)
        rates = " or ".join(f"{tokens / (count * devices):.4g} (L = {count})" for count in near)
        raise InputError(
            f"no number of segments gives compression rate {compression_rate:g} for {tokens} tokens on {devices} "
            f"devices; it would round to L = {segments}, CR {achieved:.4g}; ask for CR {rates}"
        )
    return segments
