"""Hypothesis strategies for shapes, plans and made-up systems."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from prism.plan import EXCHANGES, INPUTS, WIRE_BYTES, ExchangeKind, Plan
from prism.profile import SystemProfile
from prism.scenario import Scenario
from prism.shape import TransformerShape
from tests.helpers.systems import Cost, system

batches = st.integers(1, 7)
bandwidths = st.floats(1.0, 1000.0)


@st.composite
def shapes(draw: st.DrawFn) -> TransformerShape:
    heads = draw(st.integers(1, 3))
    patch = draw(st.integers(1, 3))
    return TransformerShape(
        "drawn",
        dim=heads * draw(st.integers(1, 4)),
        depth=draw(st.integers(1, 5)),
        heads=heads,
        mlp_hidden=draw(st.integers(1, 20)),
        image_size=patch * draw(st.integers(3, 6)),
        patch_size=patch,
        channels=draw(st.integers(1, 3)),
        classes=draw(st.integers(1, 9)),
        pool=draw(st.sampled_from(["token", "average"])),
    )


@st.composite
def plans(
    draw: st.DrawFn,
    shape: TransformerShape,
    *,
    fewest: int = 1,
    most: int = 5,
    exchange: ExchangeKind | None = None,
    even: bool = False,
) -> Plan:
    """A plan that the shape holds, local among them where `fewest` is 1."""
    devices = draw(st.integers(fewest, most))
    if devices == 1:
        return Plan(input_distribution=draw(st.sampled_from(INPUTS)), first_exchange=draw(st.booleans()))
    shares = None if even else draw(st.none() | st.tuples(*[st.floats(0.2, 5.0)] * devices))
    plan = Plan(
        "full_tensor",
        devices,
        wire_dtype=draw(st.sampled_from(sorted(WIRE_BYTES))),
        exchange=draw(st.sampled_from(EXCHANGES)) if exchange is None else exchange,
        input_distribution=draw(st.sampled_from(INPUTS)),
        first_exchange=draw(st.booleans()),
        shares=shares,
    )
    largest = max(plan.partition(shape.tokens))
    segments = draw(st.none() | st.integers(1, largest))
    return plan if segments is None else replace(plan, mode="segment_means", segments=segments)


@st.composite
def costs(draw: st.DrawFn, most_s: float = 1.0) -> Cost:
    return Cost(draw(st.floats(0.0, most_s)), draw(st.floats(0.0, most_s)), draw(st.floats(0.3, 1.5)))


@st.composite
def systems(draw: st.DrawFn) -> SystemProfile:
    """Compute, copies and messages of any proportion to each other, each on the scale of milliseconds to seconds."""
    compute = replace(draw(costs()), fixed_s=draw(st.floats(1e-3, 1.0)))  # a block takes some time
    return system(compute, draw(costs()), Cost(draw(st.floats(0.0, 0.5)), draw(st.floats(0.0, 1e3))))


@st.composite
def scenarios(
    draw: st.DrawFn, *, fewest: int = 1, most: int = 5, exchange: ExchangeKind | None = None, even: bool = False
) -> Scenario:
    shape = draw(shapes())
    return Scenario(
        shape,
        draw(batches),
        draw(bandwidths),
        draw(plans(shape, fewest=fewest, most=most, exchange=exchange, even=even)),
        draw(st.none() | bandwidths),
    )
