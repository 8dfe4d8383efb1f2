"""What an 802.11ax link carries: the rate of the radio, and what is left of it for payload.

One station sends to another without others on the channel: bursts of aggregated frames (A-MPDU), each after the mean
backoff and answered by a block acknowledgement. TCP's acknowledgements come back in bursts of their own.
Not modelled: collisions, retries, packet extension, and what drivers and rate control do. Timing of IEEE Std
802.11ax-2021, clauses 10.3 (access) and 27 (HE PHY).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from prism.cost import CostModel
from prism.errors import InputError
from prism.profile import LinkModel
from prism.units import BITS_PER_MEGABIT, BYTES_PER_MB, check_range

#: Data subcarriers of the whole channel, by width in MHz.
DATA_SUBCARRIERS = {20: 234, 40: 468, 80: 980, 160: 1960}
#: Bits a subcarrier and stream, and share of them that is no redundancy, by modulation and coding scheme (MCS).
CODING = (
    *((1, 1 / 2), (2, 1 / 2), (2, 3 / 4), (4, 1 / 2), (4, 3 / 4), (6, 2 / 3)),
    *((6, 3 / 4), (6, 5 / 6), (8, 3 / 4), (8, 5 / 6), (10, 3 / 4), (10, 5 / 6)),
)
#: Microseconds of one long training field by guard interval: 2x fields with short ones, 4x fields with the longest.
_TRAINING_FIELD_US = {0.8: 7.2, 1.6: 8.0, 3.2: 16.0}
_TRAINING_FIELDS = (1, 2, 4, 4, 6, 6, 8, 8)
_SYMBOL_US = 12.8
#: Legacy preamble and signal, repeated signal, HE-SIG-A and short training field.
_PREAMBLE_US = 20.0 + 4.0 + 8.0 + 4.0
_SLOT_US, _SIFS_US = 9.0, 16.0
#: Best effort: three slots after SIFS, then half of the smallest contention window of 15.
_ACCESS_US = _SIFS_US + 3 * _SLOT_US + 7.5 * _SLOT_US
#: A burst ends at 256 frames, 6,500,631 bytes or 5.484 ms.
MAX_FRAMES = 256
_MAX_BURST_BYTES = 6_500_631
_MAX_BURST_US = 5484.0
#: Delimiter, QoS header, CCMP, LLC/SNAP and checksum around a packet.
_FRAME_BYTES = 4 + 26 + 16 + 8 + 4
_PACKET_BYTES = 1500
#: IP and TCP headers with timestamps; a bare acknowledgement is no more than these.
_HEADERS_BYTES = 20 + 32
SEGMENT_BYTES = _PACKET_BYTES - _HEADERS_BYTES


@dataclass(frozen=True)
class Wifi:
    """A link between two stations, or by way of an access point.

    Attributes:
        width_mhz: channel width: 20, 40, 80 or 160.
        mcs: modulation and coding scheme, 0 to 11.
        streams: spatial streams, 1 to 8.
        guard_us: guard interval: 0.8, 1.6 or 3.2.
        frames: frames in a burst at most; 64 is the window that every 802.11ax station has, 256 the largest.
        relay: whether it goes through an access point: every frame takes the air twice.
    """

    width_mhz: int = 80
    mcs: int = 11
    streams: int = 2
    guard_us: float = 0.8
    frames: int = 64
    relay: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (
            ("width", self.width_mhz, DATA_SUBCARRIERS),
            ("gi", self.guard_us, _TRAINING_FIELD_US),
        ):
            if value not in known:
                raise InputError(
                    f"wifi: {name} = {value:g} is not in 802.11ax; use {', '.join(f'{x:g}' for x in known)}"
                )
        for name, number, low, high in (
            ("mcs", self.mcs, 0, len(CODING) - 1),
            ("streams", self.streams, 1, len(_TRAINING_FIELDS)),
            ("frames", self.frames, 1, MAX_FRAMES),
        ):
            check_range(f"wifi: {name}", number, low, high)

    @property
    def label(self) -> str:
        """Short, such as ``80 MHz MCS 9 x2 through an access point``."""
        way = "through an access point" if self.relay else "direct"
        return f"{self.width_mhz} MHz MCS {self.mcs} x{self.streams} {way}"

    @property
    def phy_rate_mbps(self) -> float:
        """Rate of the radio while it sends data: the figure that drivers report."""
        return self._symbol_bits / (_SYMBOL_US + self.guard_us)

    @property
    def frames_a_burst(self) -> int:
        """Frames of full packets that go into one burst."""
        frame = _padded(_FRAME_BYTES + _PACKET_BYTES)
        symbols = int((_MAX_BURST_US - self._preamble_us) / (_SYMBOL_US + self.guard_us))
        longest = int((symbols * self._symbol_bits - 16) / (8 * frame))
        return max(1, min(self.frames, _MAX_BURST_BYTES // frame, longest))

    def seconds(self, nbytes: float, *, tcp: bool = True) -> float:
        """Air that `nbytes` of payload take on one hop."""
        frames = math.ceil(nbytes / SEGMENT_BYTES)
        bursts, rest = divmod(frames, self.frames_a_burst)
        whole_us = bursts * self._turn_us(self.frames_a_burst, tcp)
        return 1e-6 * (whole_us + (self._turn_us(rest, tcp) if rest else 0.0))

    @property
    def goodput_mbps(self) -> float:
        """Payload rate of a long TCP transfer over one hop."""
        return self._goodput_mbps(tcp=True)

    @property
    def udp_goodput_mbps(self) -> float:
        """The same of datagrams, which nobody acknowledges above the radio; 1,472 bytes of payload a packet."""
        return self._goodput_mbps(tcp=False) * (_PACKET_BYTES - 28) / SEGMENT_BYTES

    @property
    def efficiency(self) -> float:
        """Share of the radio's rate that is left for TCP's payload on one hop."""
        return self.goodput_mbps / self.phy_rate_mbps

    def link(self, measured: LinkModel) -> LinkModel:
        """A link with the latency of `measured` and this one's air.

        Air is a straight line through the staircase of bursts: a message takes half a burst's overhead more than its
        share of a long transfer, so the line is nowhere further off than that half.
        """
        rate = self.goodput_mbps
        mb_s = BYTES_PER_MB * 8 / (rate * BITS_PER_MEGABIT)
        transfer = CostModel("affine", "MB", measured.transfer.fixed_s, mb_s, 1.0, {}, (), 0.0, 1e12)
        full = self.frames_a_burst
        overhead_us = self._turn_us(full, tcp=True) - full * SEGMENT_BYTES * 8 / self._marginal_mbps
        return LinkModel(
            transfer,
            rate,
            relay=self.relay,
            air_fixed_s=overhead_us * 1e-6 / 2,
            preposted_latency_s=measured.preposted_latency_s,
            preposted_mb_s=measured.preposted_mb_s,
            first_flow_weight=measured.first_flow_weight,
        )

    @property
    def _symbol_bits(self) -> float:
        bits, kept = CODING[self.mcs]
        return DATA_SUBCARRIERS[self.width_mhz] * bits * kept * self.streams

    @property
    def _preamble_us(self) -> float:
        return _PREAMBLE_US + _TRAINING_FIELDS[self.streams - 1] * _TRAINING_FIELD_US[self.guard_us]

    @property
    def _marginal_mbps(self) -> float:
        """Payload rate within a burst: what one frame more costs, and half an acknowledgement."""
        frame = _padded(_FRAME_BYTES + _PACKET_BYTES) + _padded(_FRAME_BYTES + _HEADERS_BYTES) / 2
        return self.phy_rate_mbps * SEGMENT_BYTES / frame

    def _goodput_mbps(self, *, tcp: bool) -> float:
        frames = self.frames_a_burst
        return frames * SEGMENT_BYTES * 8 / self._turn_us(frames, tcp)

    def _turn_us(self, frames: int, tcp: bool) -> float:
        """One burst of `frames` full packets with what answers it: one TCP acknowledgement for two packets."""
        data_us = self._burst_us(frames, _PACKET_BYTES)
        return data_us + (self._burst_us(math.ceil(frames / 2), _HEADERS_BYTES) if tcp else 0.0)

    def _burst_us(self, frames: int, packet_bytes: int) -> float:
        bits = 16 + 8 * frames * _padded(_FRAME_BYTES + packet_bytes)
        symbols = math.ceil(bits / self._symbol_bits)
        data_us = self._preamble_us + symbols * (_SYMBOL_US + self.guard_us)
        return _ACCESS_US + data_us + _SIFS_US + self._block_ack_us(frames)

    def _block_ack_us(self, frames: int) -> float:
        """The answer at the legacy rate that goes with the modulation, with a bitmap of 64 or 256 frames."""
        rate_mbps = 24.0 if self.mcs >= 3 else 12.0 if self.mcs else 6.0
        bits = 16 + 8 * (32 if frames <= 64 else 56) + 6
        return 20.0 + 4.0 * math.ceil(bits / (4.0 * rate_mbps))


def _padded(nbytes: int) -> int:
    """Frames of a burst start at multiples of four bytes."""
    return -(-nbytes // 4) * 4


_FIELDS = {"width": "width_mhz", "mcs": "mcs", "streams": "streams", "gi": "guard_us", "frames": "frames"}


def parse_wifi(text: str) -> Wifi:
    """Read ``width=80,mcs=9,streams=2,relay``; what is left out is the default of `Wifi`.

    Raises:
        InputError: an unknown key, a value that is no number, or one that 802.11ax does not have.
    """
    values: dict[str, float] = {}
    relay = False
    for part in filter(None, text.split(",")):
        key, _, value = (piece.strip() for piece in part.partition("="))
        if key == "relay" and not value:
            relay = True
            continue
        if key not in _FIELDS or _FIELDS[key] in values:
            raise InputError(f"wifi {part!r}: use each of {', '.join(_FIELDS)} and relay once, as width=80,mcs=9,relay")
        try:
            values[_FIELDS[key]] = float(value) if key == "gi" else int(value)
        except ValueError:
            raise InputError(f"wifi: {key} = {value!r} is not a number; write for example {key}=2") from None
    guard_us = values.pop("guard_us", 0.8)
    return Wifi(**{name: int(value) for name, value in values.items()}, guard_us=guard_us, relay=relay)
