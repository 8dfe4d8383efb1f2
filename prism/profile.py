"""A system profile: what a pair of boards and their link cost, fitted from measurements, with where it came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Le

from prism.cost import FORMS, MAX_COST_S, CostModel, inside, positive
from prism.errors import InputError
from prism.files import parse_json, read_text, to_json
from prism.plan import ExchangeKind, Mode, Plan
from prism.scenario import Scenario
from prism.schedule import Compute, Copy, Exchange, Schedule
from prism.shape import TransformerShape
from prism.stored import Stored
from prism.units import BANDWIDTH_MBPS, BYTES_PER_MB, FLOPS_PER_GFLOP, check_range
from prism.work import WorkModel

if TYPE_CHECKING:
    from prism.cost import Number

#: What a step that repeats in every block is judged by when a result says whether it is extrapolated.
Judge = Literal["block", "copy", "message"]

DEFAULT_PROFILE = "orin_nano_published"


@dataclass(frozen=True)
class Board(Stored):
    """A board's name and memory. `reserved_bytes` is what the system and the runtime take before any model."""

    name: str
    memory_bytes: Annotated[int, Ge(0)]
    reserved_bytes: Annotated[int, Ge(0)]

    def __post_init__(self) -> None:
        if self.reserved_bytes > self.memory_bytes:
            raise InputError(f"board {self.name!r} reserves more than its {self.memory_bytes} bytes of memory")

    @property
    def usable_bytes(self) -> int:
        return self.memory_bytes - self.reserved_bytes


@dataclass(frozen=True)
class LinkModel(Stored):
    """The wireless medium.

    Attributes:
        transfer: cost of one message alone on the medium at `reference_bandwidth_mbps`. Its fixed part is latency and
            leaves the air free; its variable part is airtime, which scales with reference over actual bandwidth.
        reference_bandwidth_mbps: the throttle's label at which `transfer` was fitted.
        relay: whether station-to-station traffic takes the air twice, through an access point.
        air_fixed_s: air at the reference bandwidth that a message takes whatever its size: frames of its own. Negative
            where a token bucket lets the first bytes after a pause through at once; no message takes less than none.
        preposted_latency_s: latency where receives are posted ahead; None where it is that of `transfer`.
        preposted_mb_s: what it grows by with a message's MB: what arrived while a rank computed lies in the kernel's
            buffers, and is handed over when the rank waits for it.
        first_flow_weight: share of the medium that a flow gets which found it idle, relative to one that came later: 1
            where packets take turns, more where they stand in one queue.
    """

    transfer: CostModel
    reference_bandwidth_mbps: Annotated[float, Ge(BANDWIDTH_MBPS[0]), Le(BANDWIDTH_MBPS[1])]
    relay: bool = False
    air_fixed_s: Annotated[float, Ge(-MAX_COST_S), Le(MAX_COST_S)] = 0.0
    preposted_latency_s: Annotated[float, Ge(0), Le(MAX_COST_S)] | None = None
    preposted_mb_s: Annotated[float, Ge(0), Le(MAX_COST_S)] = 0.0
    first_flow_weight: Annotated[float, Ge(1), Le(1000)] = 1.0

    def latency_s(self, exchange: ExchangeKind, nbytes: Number) -> Number:
        """What passes before a message of `nbytes` takes the air, in seconds; a number, or an array of them."""
        ahead = exchange == "preposted"
        own_s = self.preposted_latency_s if ahead else None
        mb_s = self.preposted_mb_s if ahead else 0.0
        return (self.transfer.fixed_s if own_s is None else own_s) + mb_s * nbytes / BYTES_PER_MB

    def airtime_s(self, nbytes: Number, bandwidth_mbps: Number) -> Number:
        """Seconds of the medium that a message of `nbytes` occupies under a throttle of `bandwidth_mbps`.

        Both are numbers, or arrays that broadcast.
        """
        hops = 2 if self.relay else 1
        slowdown = self.reference_bandwidth_mbps / bandwidth_mbps
        variable_s = self.transfer.variable_seconds(nbytes / BYTES_PER_MB)
        if self.air_fixed_s:
            variable_s = positive(variable_s + self.air_fixed_s)
        return hops * slowdown * variable_s

    def goodput_mbps(self, nbytes: float, bandwidth_mbps: float) -> float:
        """Payload rate of a message of `nbytes` alone on the medium, latency included."""
        return nbytes * 8e-6 / (self.transfer.fixed_s + self.airtime_s(nbytes, bandwidth_mbps))


@dataclass(frozen=True)
class StagePower(Stored):
    """Power of a working board by what it is doing, in watts, within the scope that the profile names."""

    compute_w: Annotated[float, Ge(0)]
    staging_w: Annotated[float, Ge(0)]
    communication_w: Annotated[float, Ge(0)]


@dataclass(frozen=True)
class PowerModel(Stored):
    """Stage powers by mode, the idle power of a board that takes no part, and what the figures cover."""

    by_mode: dict[Mode, StagePower]
    idle_w: Annotated[float, Ge(0)]
    boards: Annotated[int, Ge(1), Le(64)]
    scope: str


@dataclass(frozen=True)
class Validity(Stored):
    """What was measured. Outside of it a result is extrapolated and says so."""

    models: tuple[str, ...]
    devices: tuple[int, ...]
    batch: tuple[int, int]
    bandwidth_mbps: tuple[float, float]
    segments: tuple[int, ...]
    exchange: tuple[str, ...]
    input_distribution: tuple[str, ...]
    wire_dtype: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("batch", "bandwidth_mbps"):
            low, high = getattr(self, name)
            if low > high:
                raise InputError(f"validity: {name} runs backwards, from {low:g} to {high:g}")


@dataclass(frozen=True)
class Provenance(Stored):
    """Where a profile comes from."""

    source: str
    licence: str
    measured: str
    machine: str
    software: str
    runs: int
    cases: int
    rms_residual_pct: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SystemProfile(Stored):
    """Everything the simulator needs to know of a system.

    Attributes:
        compute: cost of a block by mode, driver GFLOP. Other compute steps run at the block's FLOP rate.
        staging: cost of one copy by mode, driver MB.
        assumed: what was neither published nor fitted, one sentence each.
        work: cost of compute steps by mode from their physical amounts; where there is one it stands for `compute`, and
            holds for every model.
        skew: share of a block that ranks wait at a blocking exchange, because no block takes exactly as long on all of
            them.
    """

    name: str
    description: str
    board: Board
    compute: dict[Mode, CostModel]
    staging: dict[Mode, CostModel]
    link: LinkModel
    power: PowerModel | None
    validity: Validity
    provenance: Provenance
    assumed: tuple[str, ...]
    work: dict[Mode, WorkModel] = field(default_factory=dict)
    skew: Annotated[float, Ge(0), Le(10)] = 0.0
    format: Literal["prism.profile/1"] = "prism.profile/1"

    def __post_init__(self) -> None:
        for stage, model in self.cost_models().items():
            driver = "GFLOP" if stage.startswith("compute") else "MB"
            if model.driver != driver:
                raise InputError(f"cost model {stage!r} is driven by {model.driver}, must be {driver}")
            for name, value in FORMS[model.form].items():
                if getattr(model, name) != value:
                    raise InputError(f"cost model {stage!r} of form {model.form!r} must have {name} = {value:g}")

    def cost_models(self) -> dict[str, CostModel]:
        """Every cost model by its name in `Provenance.rms_residual_pct`."""
        compute = {f"compute {mode}": model for mode, model in self.compute.items()}
        staging = {f"staging {mode}": model for mode, model in self.staging.items()}
        return compute | staging | {"link": self.link.transfer}

    def compute_model(self, mode: Mode) -> CostModel:
        return _of_mode(self.compute, mode, self.name, "compute")

    def block_range(self, mode: Mode) -> CostModel | WorkModel:
        """What prices blocks, and knows which sizes of them were measured."""
        return self.work.get(mode) or self.compute_model(mode)

    def staging_model(self, mode: Mode) -> CostModel:
        return _of_mode(self.staging, mode, self.name, "staging")


def _of_mode(models: dict[Mode, CostModel], mode: Mode, profile: str, stage: str) -> CostModel:
    if mode not in models:
        raise InputError(f"profile {profile!r} has no {stage} model for mode {mode!r}; calibrate it from such runs")
    return models[mode]


def load_profile(name_or_path: str) -> SystemProfile:
    """A shipped profile by name, or a profile file by path.

    Raises:
        InputError: no such profile, or a file that is broken or of an unknown version.
    """
    shipped = shipped_profiles()
    if name_or_path in shipped:
        text = (files("prism") / "profiles" / f"{name_or_path}.json").read_text(encoding="utf-8")
        return parse_json(SystemProfile, text, f"shipped profile {name_or_path}")
    try:
        text = read_text(Path(name_or_path))
    except InputError as error:
        raise InputError(
            f"no profile of that name ({', '.join(shipped)} is shipped) and no such file: {error}"
        ) from None
    return parse_json(SystemProfile, text, name_or_path)


def shipped_profiles() -> tuple[str, ...]:
    """Names of the profiles that come with Prism."""
    names = (entry.name for entry in (files("prism") / "profiles").iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in names if name.endswith(".json")))


def profile_json(profile: SystemProfile) -> str:
    """The profile as it is stored."""
    return to_json(profile, indent=2) + "\n"


@dataclass(frozen=True)
class Speedup:
    """A what-if on a profile: how many times faster each part is made. 1 leaves it as measured."""

    compute: float = 1.0
    staging: float = 1.0
    link_latency: float = 1.0
    air: float = 1.0

    def __post_init__(self) -> None:
        for part in ("compute", "staging", "link_latency", "air"):
            check_range(f"speedup of {part}", getattr(self, part), 1e-3, 1e6)

    @property
    def changed(self) -> tuple[str, ...]:
        """The parts that differ from what was measured, described."""
        parts = ("compute", "staging", "link_latency", "air")
        return tuple(f"{part} x{getattr(self, part):g}" for part in parts if getattr(self, part) != 1)

    def of(self, profile: SystemProfile) -> SystemProfile:
        """The profile with its parts made faster."""
        transfer = profile.link.transfer
        transfer = replace(_faster(transfer, self.air), fixed_s=transfer.fixed_s / self.link_latency)
        ahead_s = profile.link.preposted_latency_s
        return replace(
            profile,
            compute={mode: _faster(model, self.compute) for mode, model in profile.compute.items()},
            work={mode: model.faster(self.compute) for mode, model in profile.work.items()},
            staging={mode: _faster(model, self.staging) for mode, model in profile.staging.items()},
            link=replace(
                profile.link,
                transfer=transfer,
                air_fixed_s=profile.link.air_fixed_s / self.air,
                preposted_latency_s=ahead_s if ahead_s is None else ahead_s / self.link_latency,
                preposted_mb_s=profile.link.preposted_mb_s / self.link_latency,
            ),
        )


def _faster(model: CostModel, times: float) -> CostModel:
    bends = tuple(replace(bend, scale_s=bend.scale_s / times) for bend in model.bends)
    return replace(model, fixed_s=model.fixed_s / times, scale_s=model.scale_s / times, bends=bends)


def extrapolations(profile: SystemProfile, scenario: Scenario) -> tuple[str, ...]:
    """Each way in which `scenario` lies outside what `profile` was measured on; empty if it lies inside."""
    valid, plan = profile.validity, scenario.plan
    return (
        *_outside_models(valid, scenario.shape),
        *_outside_batches(valid, scenario.batch),
        *_outside_bandwidths(valid, scenario),
        *_outside_plans(valid, plan),
        *_relayed(profile, plan),
        *_outside_costs(profile, scenario.schedule()),
    )


def plan_extrapolations(profile: SystemProfile, shape: TransformerShape, plan: Plan) -> tuple[str, ...]:
    """Those of `extrapolations` that hold whatever the batch and the bandwidth: model, plan and relay."""
    valid = profile.validity
    return (*_outside_models(valid, shape), *_outside_plans(valid, plan), *_relayed(profile, plan))


def _outside_models(valid: Validity, shape: TransformerShape) -> Iterator[str]:
    if shape.name not in valid.models:
        yield f"model {shape.name} (measured: {', '.join(valid.models)})"


def _outside_batches(valid: Validity, batch: int) -> Iterator[str]:
    if not inside(valid.batch, batch):
        yield f"batch {batch} (measured: {valid.batch[0]} to {valid.batch[1]})"


def _relayed(profile: SystemProfile, plan: Plan) -> Iterator[str]:
    if profile.link.relay and plan.mode != "local":
        yield "relay through an access point (measured: one rate for the whole way)"


def _outside_bandwidths(valid: Validity, scenario: Scenario) -> Iterator[str]:
    if scenario.plan.mode == "local":
        return
    low, high = valid.bandwidth_mbps
    measured = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    for bandwidth_mbps in dict.fromkeys((scenario.bandwidth_mbps, scenario.reverse_bandwidth_mbps)):
        if bandwidth_mbps is not None and not inside(valid.bandwidth_mbps, bandwidth_mbps):
            yield f"bandwidth {bandwidth_mbps:g} Mbps (measured: {measured})"


def _outside_plans(valid: Validity, plan: Plan) -> Iterator[str]:
    if plan.mode == "local":
        return
    for name, value, known in (
        ("devices", plan.devices, valid.devices),
        ("exchange", plan.exchange, valid.exchange),
        ("input distribution", plan.input_distribution, valid.input_distribution),
        ("wire dtype", plan.wire_dtype, valid.wire_dtype),
        ("segments", plan.segments, (None, *valid.segments)),
    ):
        if value not in known:
            yield f"{name} {value} (measured: {', '.join(str(item) for item in known if item is not None)})"
    if not plan.first_exchange:
        yield "no first exchange (measured: an exchange before each block)"
    if plan.shares is not None:
        yield "unequal shares (measured: even)"


def repeated_sizes(schedule: Schedule) -> dict[Judge, set[int]]:
    """Sizes of the steps that repeat in every block: FLOPs of blocks, bytes of copies and of messages."""
    sizes: dict[Judge, set[int]] = {"block": set(), "copy": set(), "message": set()}
    for steps in schedule.ranks:
        for step in steps:
            if isinstance(step, Compute) and step.name == "block":
                sizes["block"].add(step.flops)
            elif isinstance(step, Copy) and step.name == "stage_exchange":
                sizes["copy"].add(step.nbytes)
            elif isinstance(step, Exchange):
                sizes["message"].update(message.nbytes for message in step.sends)
    return sizes


def judges(profile: SystemProfile, mode: Mode) -> dict[Judge, tuple[CostModel | WorkModel, float]]:
    """The model that knows the measured range of each kind of step, and FLOPs or bytes in one of its driver."""
    return {
        "block": (profile.block_range(mode), FLOPS_PER_GFLOP),
        "copy": (profile.staging.get(mode, profile.link.transfer), BYTES_PER_MB),
        "message": (profile.link.transfer, BYTES_PER_MB),
    }


def _outside_costs(profile: SystemProfile, schedule: Schedule) -> Iterator[str]:
    """Whether the steps that repeat in every block are larger or smaller than any that was measured."""
    sizes = repeated_sizes(schedule)
    for name, (model, unit) in judges(profile, schedule.plan.mode).items():
        outside = [size / unit for size in sorted(sizes[name]) if not model.covers(size / unit)]
        if outside:
            yield (
                f"{name} of {outside[-1]:.3g} {model.driver} (measured: {model.valid_from:.3g} to {model.valid_to:.3g})"
            )
