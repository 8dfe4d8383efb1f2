"""The simulator against sums written on paper, on made-up systems whose answers are known in closed form."""

from __future__ import annotations

from dataclasses import dataclass

from simpy import Environment

from prism import flops
from prism.cost import CostModel, Driver
from prism.plan import Plan
from prism.profile import Board, LinkModel, Provenance, SystemProfile, Validity
from prism.scenario import Scenario
from prism.schedule import CONTROL_BYTES
from prism.shape import TransformerShape
from sim.medium import Medium
from sim.simulate import simulate

#: Two prefix tokens, so that two boards hold 99 tokens each and stay in step.
_SHAPE = TransformerShape("closed_form", 64, 6, 4, 256, 224, 16, prefix_tokens=2)
_BATCH = 4
_MBPS = 100.0


@dataclass(frozen=True)
class ClosedFormCheck:
    """A figure on paper and the simulator's."""

    name: str
    expected_s: float
    simulated_s: float

    @property
    def relative_error(self) -> float:
        return abs(self.simulated_s / self.expected_s - 1)


def closed_form_checks() -> tuple[ClosedFormCheck, ...]:
    """All of them."""
    return (idle_link(), *contended_medium(), *(check for skewed in (False, True) for check in exchanges(skewed)))


def _model(driver: Driver, fixed_s: float, scale_s: float) -> CostModel:
    return CostModel("affine", driver, fixed_s, scale_s, 1.0, {}, (), 0.0, 1e9)


def _system(compute: CostModel, copy: CostModel, message: CostModel) -> SystemProfile:
    return SystemProfile(
        name="closed form",
        description="",
        board=Board("made up", 10**12, 0),
        compute={"local": compute, "full_tensor": compute, "segment_means": compute},
        staging={"full_tensor": copy, "segment_means": copy},
        link=LinkModel(message, _MBPS),
        power=None,
        validity=Validity((), (), (1, 1), (1, 1), (), (), (), ()),
        provenance=Provenance("made up", "", "", "", "", 0, 0),
        assumed=(),
    )


def idle_link() -> ClosedFormCheck:
    """Two boards in step: control, embedding, then per block two copies, one latency, two airtimes and the block."""
    system = _system(_model("GFLOP", 1e-3, 5e-2), _model("MB", 2e-4, 3e-3), _model("MB", 1e-3, 8e-2))
    half, whole = _SHAPE.tokens // 2, _SHAPE.tokens
    block_flops = _BATCH * flops.block_flops(_SHAPE, half, whole)
    block_s = 1e-3 + 5e-2 * block_flops / 1e9
    per_flop_s = block_s / block_flops
    megabytes = _BATCH * half * _SHAPE.dim * 4 / 1e6
    control_s = 1e-3 + 8e-2 * CONTROL_BYTES / 1e6
    # The worker is the later one: it starts with the control message and embeds two patches more.
    embed_s = _BATCH * flops.embed_flops(_SHAPE, half) * per_flop_s
    exchange_s = 2 * (2e-4 + 3e-3 * megabytes) + 1e-3 + 2 * 8e-2 * megabytes
    head_s = _BATCH * flops.head_flops(_SHAPE) * per_flop_s
    expected = control_s + embed_s + _SHAPE.depth * (exchange_s + block_s) + head_s
    simulated = simulate(Scenario(_SHAPE, _BATCH, _MBPS, Plan("full_tensor", 2)), system)
    return ClosedFormCheck("idle link equals the sum on paper", expected, simulated.total_s)


def contended_medium() -> tuple[ClosedFormCheck, ...]:
    """Flows of 3, 5 and 10 s of airtime start at 0, 0 and 4 s: processor sharing ends them at 7, 11 and 18 s.

    Until 4 s two flows get 2 s each. Then 1 s, 3 s and 10 s remain, a third of the medium each: the first ends 3 s
    later at 7 s, the second after its 2 s left at half the medium at 11 s, the third alone at 18 s.
    """
    env = Environment()
    medium = Medium(env)
    ends: dict[str, float] = {}

    def flow(name: str, start_s: float, airtime_s: float) -> None:
        def end() -> None:
            ends[name] = env.now

        env.timeout(start_s).callbacks.append(lambda _: medium.start([(airtime_s, end)]))

    for name, start_s, airtime_s in (("first", 0, 3), ("second", 0, 5), ("third", 4, 10)):
        flow(name, start_s, airtime_s)
    env.run()
    expected = {"first": 7.0, "second": 11.0, "third": 18.0}
    return tuple(ClosedFormCheck(f"contended medium: {name} flow", expected[name], ends[name]) for name in expected)


def exchanges(skewed: bool) -> tuple[ClosedFormCheck, ClosedFormCheck]:
    """Blocks of c seconds and messages of w seconds of air, no latency, no copies, the worker late by s.

    Blocking: each block costs c + 2 w whatever the skew, since the flows of a round start together.
    Preposted: the worker gives way in the first round, and so is w ahead or behind ever after. One board's message
    travels while the other still computes; every second exchange of a board is already in when it gets there, so two
    blocks cost 2 c + 2 w.
    """
    free = _model("MB", 0.0, 0.0)
    compute = _model("GFLOP", 20e-3, 0.0)
    message = _model("MB", 0.0, 6.05e-3 / (_BATCH * _SHAPE.tokens // 2 * _SHAPE.dim * 4 / 1e6))
    system = _system(compute, free, message)
    block_flops = _BATCH * flops.block_flops(_SHAPE, _SHAPE.tokens // 2, _SHAPE.tokens)
    c, w = 20e-3, 6.05e-3
    control_s = message.seconds(CONTROL_BYTES / 1e6)
    head_s = c / block_flops * _BATCH * flops.head_flops(_SHAPE)
    embed_s = c / block_flops * _BATCH * flops.embed_flops(_SHAPE, _SHAPE.tokens // 2)
    distribution = "image" if skewed else "replicated"
    image_s = message.seconds(_BATCH * _SHAPE.image_values * 4 / 1e6) if skewed else 0.0
    late_s = control_s + image_s + embed_s  # when the worker is ready for the first exchange
    depth = _SHAPE.depth

    def total_s(exchange: str) -> float:
        plan = Plan("full_tensor", 2, exchange=exchange, input_distribution=distribution)  # type: ignore[arg-type]
        return simulate(Scenario(_SHAPE, _BATCH, _MBPS, plan), system).total_s

    blocking_s = late_s + depth * (c + 2 * w) + head_s
    # With replicated input they reach the first exchange in step, but for the control message and two patches.
    lead_s = late_s - c / block_flops * _BATCH * flops.embed_flops(_SHAPE, _SHAPE.tokens // 2 - 2)
    preposted_s = _preposted_terminal_s(late_s, lead_s, c, w, depth) + head_s
    label = "late worker" if skewed else "boards in step"
    return (
        ClosedFormCheck(f"blocking, {label}: compute plus both transfers", blocking_s, total_s("blocking")),
        ClosedFormCheck(f"preposted, {label}: hides what it can", preposted_s, total_s("preposted")),
    )


def _preposted_terminal_s(late_s: float, lead_s: float, c: float, w: float, depth: int) -> float:
    """When the terminal device has computed its last block, with the worker `late_s` at its first exchange.

    The worker sends its first message when it has the terminal device's, so that one has it w later than the worker, or
    more. From there on a leader waits for the other's message and falls w behind; nothing is shared where c >= w.
    """
    heard_s = max(late_s, late_s - lead_s + w)
    terminal_s, worker_s = heard_s + w + c, heard_s + c
    for _ in range(depth - 1):
        if terminal_s <= worker_s:
            terminal_s, worker_s = worker_s + w + c, worker_s + c
        else:
            terminal_s, worker_s = terminal_s + c, terminal_s + w + c
    return terminal_s
