"""What every question of `prism ask` takes: the model, the system and the plan, as `prism simulate` takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from prism.cli.simulate import plan_of

if TYPE_CHECKING:
    import numpy as np

    from prism.plan import Plan
    from prism.profile import SystemProfile
    from prism.shape import TransformerShape
    from sim.answers.errors import StageErrors

Command = Callable[..., Any]

#: Draws of the profile's errors, where the twin answers and where SimPy must carry out each pass.
DRAWS = 1000
DRAWS_BY_SIMPY = 100

_SYSTEM = (
    click.option("--model", default="vit_base_patch16_224", show_default=True, help="Model from the catalogue."),
    click.option("--batch", type=int, default=8, show_default=True, help="Samples in the pass."),
    click.option(
        "--bandwidth", default="400", show_default=True, help="Throttle of the link: 400, '400 Mbps', '0.4Gbps'."
    ),
    click.option("--exchange", default="blocking", show_default=True, help="blocking or preposted."),
    click.option(
        "--input", "input_distribution", default="replicated", show_default=True, help="replicated, tokens, image."
    ),
    click.option(
        "--skip-first-exchange", is_flag=True, help="Boards already hold what the first exchange would bring."
    ),
    click.option("--wire-dtype", default="float32", show_default=True, help="float32 or float16."),
    click.option("--relay", is_flag=True, help="Traffic takes the air twice, through an access point."),
    click.option("--profile", default="orin_nano_published", show_default=True, help="Shipped profile or a file."),
)
_PLAN = (
    click.option("--mode", default="segment_means", show_default=True, help="full_tensor or segment_means."),
    click.option("--segments", type=int, help="Segments per partition L, for segment_means."),
    click.option("--cr", type=float, help="Compression rate N / (L P) instead of --segments."),
    click.option("--devices", type=int, help="Boards P.  [default: 2]"),
    click.option("--shares", help="Relative share of the tokens of each board, such as 2,1."),
)
_DRAWS = (
    click.option("--draws", type=int, help="Draws of the profile's errors; 0 for none.  [default: 1000, by SimPy 100]"),
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draws."),
)


@dataclass(frozen=True)
class Asked:
    """The case that a question is about.

    Attributes:
        plan: how the pass is split; for questions that try many plans, what these have in common.
    """

    shape: TransformerShape
    plan: Plan
    batch: int
    bandwidth_mbps: float
    profile: SystemProfile


def about_a_system(command: Command) -> Command:
    """Give a command the options of a system, and the `Asked` that they name; its plan is only a template."""

    @wraps(command)
    def wrapped(**options: Any) -> Any:
        system, rest = _split(options)
        return command(_asked(system, {"mode": "full_tensor"}), **rest)

    return _with(wrapped, _SYSTEM)


def about_a_plan(command: Command) -> Command:
    """Give a command the options of a system and of a plan, and the `Asked` that they name."""

    @wraps(command)
    def wrapped(**options: Any) -> Any:
        system, rest = _split(options)
        plan = {name: rest.pop(name) for name in ("mode", "segments", "cr", "devices", "shares")}
        return command(_asked(system, plan), **rest)

    return _with(wrapped, (*_SYSTEM, *_PLAN))


def with_draws(command: Command) -> Command:
    """Give a command ``--draws`` and ``--seed``."""
    return _with(command, _DRAWS)


def _with(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    names = (
        *("model", "batch", "bandwidth", "exchange", "input_distribution"),
        *("skip_first_exchange", "wire_dtype", "relay", "profile"),
    )
    return {name: options.pop(name) for name in names}, options


def _asked(system: dict[str, Any], plan: dict[str, Any]) -> Asked:
    from dataclasses import replace

    from prism.catalogue import shape_of
    from prism.profile import load_profile
    from prism.schedule import MAX_BATCH
    from prism.units import check_range, parse_bandwidth_mbps

    shape = shape_of(system["model"])
    check_range("batch", system["batch"], 1, MAX_BATCH)
    named = plan_of(
        shape,
        plan["mode"],
        plan.get("devices"),
        plan.get("segments"),
        plan.get("cr"),
        system["wire_dtype"],
        system["exchange"],
        system["input_distribution"],
        not system["skip_first_exchange"],
        plan.get("shares"),
    )
    profile = load_profile(system["profile"])
    if system["relay"]:
        profile = replace(profile, link=replace(profile.link, relay=True))
    return Asked(shape, named, system["batch"], parse_bandwidth_mbps(system["bandwidth"]), profile)


def seeded(seed: int) -> np.random.Generator:
    """A generator from ``--seed``."""
    import numpy as np

    from prism.units import check_range

    check_range("seed", seed, 0, 2**63)
    return np.random.default_rng(seed)


def errors_of(asked: Asked, draws: int | None, seed: int) -> StageErrors | None:
    """Draws of the profile's errors; none where there is nothing to draw from, or none are asked for."""
    from prism.units import check_range
    from sim.answers.errors import draw_errors
    from sim.answers.passes import PlanLatency

    rng = seeded(seed)
    if draws is None:
        by_simpy = PlanLatency(asked.shape, asked.plan, asked.profile).by_simpy
        draws = DRAWS if by_simpy is None else DRAWS_BY_SIMPY
    check_range("draws", draws, 0, 1_000_000)
    return draw_errors(asked.profile, draws, rng) if draws else None


def search_range(text: str) -> tuple[float, float]:
    """``LOW,HIGH`` in bandwidths."""
    from prism.errors import InputError
    from prism.units import parse_bandwidth_mbps

    parts = text.split(",")
    if len(parts) != 2:
        raise InputError(f"range {text!r} is not two bandwidths separated by a comma; write for example 1,10000")
    return parse_bandwidth_mbps(parts[0]), parse_bandwidth_mbps(parts[1])


def whole_numbers(name: str, text: str) -> tuple[int, ...]:
    """``10,20,30`` as numbers."""
    from prism.errors import InputError
    from prism.units import check_range

    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"{name} {text!r} are not whole numbers separated by commas; write for example 10,20,30"
        ) from None
    for number in numbers:
        check_range(name, number, 1, 1_000_000)
    return numbers
