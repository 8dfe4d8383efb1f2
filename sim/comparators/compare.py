"""All ways to split one pass, on the same boards and link, in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import get_args

from prism.errors import InputError
from prism.memory import InfeasiblePlan, MemoryUse, memory_use
from prism.plan import WIRE_BYTES, InputDistribution, Mode, Plan
from prism.profile import SystemProfile
from prism.record import RankTimes
from prism.scenario import Scenario
from sim.comparators.carry import carry_out
from sim.comparators.class_submodels import class_submodels
from sim.comparators.layer_pipeline import layer_pipeline
from sim.comparators.split import Split, sent_bytes
from sim.comparators.tensor_parallel import tensor_parallel
from sim.comparators.token_selection import token_selection
from sim.energy import boards_j
from sim.simulate import simulate

#: Prism's own modes: source, whether the answer is the unsplit model's, what they give up.
_OWN: dict[Mode, tuple[str, bool, str]] = {
    "local": ("one board", True, "the other boards idle"),
    "full_tensor": ("Hu and Li 2024 (Voltage), ICDCS 2024", True, "all weights on every board"),
    "segment_means": (
        "Qazi et al. 2025 (PRISM), arXiv 2507.12145",
        False,
        "all weights on every board; accuracy published for CIFAR-10: 98.01 % exact, 95.64 % at CR 9.9",
    ),
}
assert set(_OWN) == set(get_args(Mode))


@dataclass(frozen=True)
class Question:
    """What is compared.

    Attributes:
        scenario: model, batch, bandwidth, and a `segment_means` plan: boards, segments, wire type, and whether the
            terminal device sends the input (`image`) or every board has it (`replicated`).
        microbatches: of the pipeline; its own choice if None.
        keep: share of width in a class-wise sub-model; 1 / P if None.
        selected: tokens that each board selects; as many as segments if None.
    """

    scenario: Scenario
    microbatches: int | None = None
    keep: float | None = None
    selected: int | None = None

    def __post_init__(self) -> None:
        plan = self.scenario.plan
        if plan.segments is None:
            raise InputError("a comparison needs a plan of mode 'segment_means'")
        allowed: tuple[InputDistribution, ...] = ("replicated", "image")
        if plan.input_distribution not in allowed:
            raise InputError(f"input {plan.input_distribution!r} does not go with other ways to split; use {allowed}")


@dataclass(frozen=True)
class Way:
    """One way to split the pass.

    Attributes:
        total_s: until the terminal device holds the answer; None where it cannot be done.
        terminal: where the terminal device's time went.
        sent_bytes: what all boards put on the air.
        largest_sent_bytes: what the board that sends most does.
        memory_bytes: of the board that needs most; 0 where it cannot be split so at all.
        all_boards_j: energy of all boards; None where the profile knows no power for the mode it is priced by.
        problem: why it cannot be done.
    """

    name: str
    source: str
    exact: bool
    gives_up: str
    total_s: float | None = None
    terminal: RankTimes | None = None
    sent_bytes: int = 0
    largest_sent_bytes: int = 0
    memory_bytes: int = 0
    all_boards_j: float | None = None
    problem: str | None = None


def compare(question: Question, profile: SystemProfile, after_each: Callable[[], None] = lambda: None) -> list[Way]:
    """Every way, Prism's own modes first. One that cannot be done says why and does not stop the others."""
    ways = []
    for mode in get_args(Mode):
        ways.append(_own(question.scenario, mode, profile))
        after_each()
    for name, build in _others(question):
        try:
            ways.append(_other(build(), question.scenario, profile))
        except InputError as reason:
            ways.append(Way(name, "", False, "", problem=str(reason)))
        after_each()
    return ways


#: Ways in a comparison, for whoever shows progress.
COUNT = len(_OWN) + 4


def _own(scenario: Scenario, mode: Mode, profile: SystemProfile) -> Way:
    source, exact, gives_up = _OWN[mode]
    if mode == "local":
        plan = Plan()
    else:
        plan = replace(scenario.plan, mode=mode, segments=scenario.plan.segments if mode == "segment_means" else None)
    case = replace(scenario, plan=plan)
    schedule = case.schedule()
    way = Way(mode, source, exact, gives_up)
    sent = [sent_bytes(steps) for steps in schedule.ranks]
    way = _with_amounts(way, sent, [memory_use(schedule, rank) for rank in range(plan.devices)])
    try:
        result = simulate(case, profile)
    except InfeasiblePlan as reason:
        return replace(way, problem=str(reason))
    joules = None if result.energy is None else result.energy.all_boards_j
    return replace(way, total_s=result.total_s, terminal=result.terminal, all_boards_j=joules)


def _others(question: Question) -> Iterator[tuple[str, Callable[[], Split]]]:
    scenario = question.scenario
    shape, batch, plan = scenario.shape, scenario.batch, scenario.plan
    wire_bytes = WIRE_BYTES[plan.wire_dtype]
    image = plan.input_distribution == "image"
    input_bytes = batch * shape.image_values * wire_bytes if image else 0
    selected = question.selected or plan.segments or 1

    yield (
        "tensor_parallel",
        lambda: tensor_parallel(shape, plan.devices, batch, wire_bytes=wire_bytes, input_bytes=input_bytes),
    )
    yield (
        "layer_pipeline",
        lambda: layer_pipeline(shape, plan.devices, batch, microbatches=question.microbatches, wire_bytes=wire_bytes),
    )
    yield (
        "class_submodels",
        lambda: class_submodels(
            shape, plan.devices, batch, keep=question.keep, wire_bytes=wire_bytes, input_bytes=input_bytes
        ),
    )
    yield (
        "token_selection",
        lambda: token_selection(shape, plan.devices, batch, tokens=selected, wire_dtype=plan.wire_dtype, image=image),
    )


def _other(split: Split, scenario: Scenario, profile: SystemProfile) -> Way:
    way = Way(split.name, split.source, split.exact, split.gives_up)
    way = _with_amounts(way, [split.sent_bytes(rank) for rank in range(len(split.ranks))], split.memory)
    try:
        total_s, times = carry_out(split, profile, scenario.bandwidth_mbps)
    except InfeasiblePlan as reason:
        return replace(way, problem=str(reason))
    power = profile.power
    joules = None
    if power is not None and split.costs in power.by_mode:
        joules = sum(boards_j(power, split.costs, times, total_s))
    return replace(way, total_s=total_s, terminal=times[0], all_boards_j=joules)


def _with_amounts(way: Way, sent: list[int], memory: list[MemoryUse] | tuple[MemoryUse, ...]) -> Way:
    return replace(
        way,
        sent_bytes=sum(sent),
        largest_sent_bytes=max(sent),
        memory_bytes=max(use.total_bytes for use in memory),
    )
