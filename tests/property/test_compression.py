"""Invariants of Segment Means, scaling-aware attention and the split, whatever the sizes and the numbers.

Arithmetic is float64, so that an invariant that fails is wrong and not merely rounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
vision_transformer = pytest.importorskip("timm.models.vision_transformer")

import numpy as np  # noqa: E402
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from hypothesis.extra.numpy import arrays  # noqa: E402

from prism.nn.attention import attention_bias, scaling_aware_attention  # noqa: E402
from prism.nn.in_process import InProcessExchange, run_in_process  # noqa: E402
from prism.nn.segment_means import PREFIX_TOKENS, segment_counts, segment_means  # noqa: E402
from prism.nn.split import RankModel  # noqa: E402
from prism.nn.support import shape_of_model  # noqa: E402
from prism.partition import partition_tokens  # noqa: E402
from prism.plan import EXCHANGES, INPUTS, WIRE_BYTES, Plan  # noqa: E402
from prism.schedule import Compute, Exchange, Receive, Send, build_schedule  # noqa: E402

pytestmark = pytest.mark.torch

#: Relative to the largest number of an example.
ROUNDING = 1e-12


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small lose more by handing work to a second thread than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def close(given_value: Any, wanted: Any, scale: float = 1.0) -> bool:
    return bool(torch.allclose(given_value, wanted, rtol=1e-9, atol=ROUNDING * max(scale, 1.0)))


@dataclass(frozen=True)
class Partition:
    """Tokens of one partition and how they are cut into segments."""

    values: Any
    counts: tuple[int, ...]
    segments: int
    apart: int

    @property
    def spans(self) -> list[slice]:
        ends = np.cumsum(self.counts)
        return [slice(int(end) - count, int(end)) for end, count in zip(ends, self.counts, strict=True)]

    @property
    def scale(self) -> float:
        return float(self.values.abs().sum())


@st.composite
def partitions(draw: st.DrawFn) -> Partition:
    tokens = draw(st.integers(1, 12))
    segments = draw(st.integers(1, 14))
    apart = draw(st.integers(0, min(tokens, max(segments - 1, 0))))
    shape = (draw(st.integers(1, 2)), tokens, draw(st.integers(1, 3)))
    values = draw(arrays(np.float64, shape, elements=st.floats(-1e3, 1e3, width=32)))
    return Partition(torch.from_numpy(values), segment_counts(tokens, segments, apart), segments, apart)


def random_tensor(seed: int, *shape: int) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


seeds = st.integers(0, 2**32 - 1)


@given(partitions())
def test_counts_add_up_to_the_tokens_and_are_as_many_as_are_sent(partition: Partition) -> None:
    tokens = partition.values.shape[1]
    rest = partition.counts[partition.apart :]

    assert sum(partition.counts) == tokens
    assert len(partition.counts) == min(partition.segments, tokens)
    assert set(partition.counts[: partition.apart]) <= {1}
    assert not rest or max(rest) - min(rest) <= 1
    assert segment_means(partition.values, partition.counts).shape[1] == len(partition.counts)


@given(partitions())
def test_token_mass_is_kept(partition: Partition) -> None:
    means_BLD = segment_means(partition.values, partition.counts)
    counts_L1 = torch.tensor(partition.counts, dtype=torch.float64)[:, None]

    assert close((means_BLD * counts_L1).sum(dim=1), partition.values.sum(dim=1), partition.scale)


@given(partitions())
def test_means_lie_within_their_segments_bounds(partition: Partition) -> None:
    means_BLD = segment_means(partition.values, partition.counts)
    slack = ROUNDING * partition.scale
    for index, span in enumerate(partition.spans):
        segment = partition.values[:, span]
        assert (means_BLD[:, index] >= segment.amin(dim=1) - slack).all()
        assert (means_BLD[:, index] <= segment.amax(dim=1) + slack).all()


@given(partitions(), seeds, st.booleans())
def test_linear_and_affine_maps_commute_with_averaging(partition: Partition, seed: int, affine: bool) -> None:
    dim = partition.values.shape[2]
    weight = random_tensor(seed, dim, 4)
    offset = random_tensor(seed + 1, 4) if affine else torch.zeros(4, dtype=torch.float64)

    mapped_first = segment_means(partition.values @ weight + offset, partition.counts)
    averaged_first = segment_means(partition.values, partition.counts) @ weight + offset

    assert close(mapped_first, averaged_first, partition.scale)


@given(partitions(), seeds)
def test_order_within_a_segment_does_not_matter(partition: Partition, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    order = torch.cat(
        [span.start + torch.randperm(span.stop - span.start, generator=generator) for span in partition.spans]
    )

    shuffled = segment_means(partition.values[:, order], partition.counts)

    assert close(shuffled, segment_means(partition.values, partition.counts), partition.scale)


@dataclass(frozen=True)
class Split:
    """A sequence over ranks, with what each sends; attention without projections: q = k = v = tokens."""

    sequence: Any
    partition: tuple[int, ...]
    counts: tuple[tuple[int, ...], ...]

    def tokens(self, rank: int) -> Any:
        first = sum(self.partition[:rank])
        return self.sequence[:, first : first + self.partition[rank]]

    def context(self, rank: int) -> tuple[Any, list[tuple[int, ...]]]:
        """Keys x_BSD of the rank in rank order, and what each stands for."""
        keys = [
            self.tokens(peer) if peer == rank else segment_means(self.tokens(peer), counts)
            for peer, counts in enumerate(self.counts)
        ]
        stands_for = [(1,) * self.partition[rank] if peer == rank else c for peer, c in enumerate(self.counts)]
        return torch.cat(keys, dim=1), stands_for

    def attend(self, rank: int, *, causal: bool = False) -> Any:
        keys_BSD, stands_for = self.context(rank)
        bias = attention_bias(stands_for, rank, causal=causal, dtype=torch.float64)
        return attention(self.tokens(rank), keys_BSD, keys_BSD, bias)

    def attend_everywhere(self, *, causal: bool = False) -> Any:
        return torch.cat([self.attend(rank, causal=causal) for rank in range(len(self.partition))], dim=1)


def attention(q_BND: Any, k_BSD: Any, v_BSD: Any, bias: Any) -> Any:
    """With one head."""
    return scaling_aware_attention(q_BND[:, None], k_BSD[:, None], v_BSD[:, None], bias)[:, 0]


@st.composite
def splits(draw: st.DrawFn, *, whole: bool = False) -> Split:
    """Whole: every token is its own segment."""
    tokens, devices = draw(st.integers(4, 14)), draw(st.integers(1, 4))
    shares = draw(st.none() | st.lists(st.floats(0.1, 10), min_size=devices, max_size=devices))
    partition = partition_tokens(tokens, devices, shares)
    segments = tokens if whole else draw(st.integers(1, max(partition)))
    x_BND = random_tensor(draw(seeds), draw(st.integers(1, 2)), tokens, 3)
    return Split(x_BND, partition, tuple(segment_counts(own, segments) for own in partition))


@given(splits(), st.data())
def test_attention_over_means_with_counts_is_attention_over_the_means_repeated(
    split: Split, data: st.DataObject
) -> None:
    rank = data.draw(st.integers(0, len(split.partition) - 1))
    keys_BSD, stands_for = split.context(rank)
    repeats = torch.tensor([count for counts in stands_for for count in counts])
    repeated_BND = keys_BSD.repeat_interleave(repeats, dim=1)
    assert repeated_BND.shape == split.sequence.shape

    assert close(split.attend(rank), attention(split.tokens(rank), repeated_BND, repeated_BND, None))


@given(splits(), st.booleans(), st.data())
def test_weights_add_up_to_one(split: Split, causal: bool, data: st.DataObject) -> None:
    rank = data.draw(st.integers(0, len(split.partition) - 1))
    keys_BSD, stands_for = split.context(rank)
    bias = attention_bias(stands_for, rank, causal=causal, dtype=torch.float64)
    one_a_key = torch.eye(keys_BSD.shape[1], dtype=torch.float64).expand(len(keys_BSD), -1, -1)

    weights_BNS = attention(split.tokens(rank), keys_BSD, one_a_key, bias)

    assert (weights_BNS >= 0).all()
    assert close(weights_BNS.sum(dim=2), torch.ones(weights_BNS.shape[:2], dtype=torch.float64))


@given(splits(whole=True))
def test_a_segment_for_every_token_is_exact(split: Split) -> None:
    for rank, counts in enumerate(split.counts):
        assert torch.equal(segment_means(split.tokens(rank), counts), split.tokens(rank))
    assert close(split.attend_everywhere(), attention(split.sequence, split.sequence, split.sequence, None))


@given(splits(), seeds)
def test_constant_tokens_are_exact_at_any_number_of_segments(split: Split, seed: int) -> None:
    """Constant within each segment, which includes constant everywhere; the segments differ."""
    runs = torch.tensor([count for counts in split.counts for count in counts])
    values_BRD = random_tensor(seed, 2, len(runs), 3)
    constant = replace(split, sequence=values_BRD.repeat_interleave(runs, dim=1))

    exact_BND = attention(constant.sequence, constant.sequence, constant.sequence, None)

    assert close(constant.attend_everywhere(), exact_BND)


@given(splits(), st.data())
def test_the_causal_form_never_lets_a_later_token_change_an_earlier_output(split: Split, data: st.DataObject) -> None:
    tokens = split.sequence.shape[1]
    changed = data.draw(st.integers(1, tokens - 1))
    later = split.sequence.clone()
    later[:, changed:] = random_tensor(data.draw(seeds), *later[:, changed:].shape) * 10

    before_BND = split.attend_everywhere(causal=True)
    after_BND = replace(split, sequence=later).attend_everywhere(causal=True)

    assert torch.equal(before_BND[:, :changed], after_BND[:, :changed])
    assert not torch.equal(before_BND[:, changed:], after_BND[:, changed:])


def small_model(**options: Any) -> Any:
    """3 x 3 patches, 2 blocks, float64, no weight that is 0 or 1."""
    small = {"img_size": 12, "patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2, "num_classes": 3}
    model = vision_transformer.VisionTransformer(**{**small, **options}).eval().double()
    generator = torch.Generator().manual_seed(30)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return model


MODELS = {pool: small_model(global_pool=pool, reg_tokens=1) for pool in ("token", "avg")}
TOKENS = 11

#: Where a pass is compared with the unsplit model, float32 on the wire is the coarsest rounding.
WIRE_ROUNDING = 1e-5


@st.composite
def plans(draw: st.DrawFn, *, whole: bool = False) -> Plan:
    devices = draw(st.integers(1, 4))
    if devices == 1:
        return Plan()
    shares = draw(st.none() | st.lists(st.floats(1, 2), min_size=devices, max_size=devices).map(tuple))
    plan = Plan(
        mode="full_tensor",
        devices=devices,
        exchange=draw(st.sampled_from(EXCHANGES)),
        input_distribution=draw(st.sampled_from(INPUTS)),
        first_exchange=draw(st.booleans()),
        shares=shares,
    )
    largest = max(plan.partition(TOKENS))
    segments = draw(st.none() | (st.just(largest) if whole else st.integers(1, largest)))
    return plan if segments is None else replace(plan, mode="segment_means", segments=segments)


class Recorder:
    """An exchange that notes every message, and every compute step in between."""

    def __init__(self, exchange: InProcessExchange, wire_bytes: int) -> None:
        self._exchange = exchange
        self._wire_bytes = wire_bytes
        self.steps: list[tuple[Any, ...]] = []

    @contextmanager
    def observe(self, name: str, block: int | None) -> Iterator[None]:
        self.steps.append((name, block))
        yield

    def exchange(self, block: int, own_BVD: Any) -> Any:
        before = len(self._exchange.sent)
        everyone = self._exchange.exchange(block, own_BVD)
        sent = self._exchange.sent[before:]
        sends = tuple((message.peer, message.nbytes) for message in sent)
        arrivals = tuple((peer, everyone[peer].numel() * self._wire_bytes) for peer, _ in sends)
        self.steps.append(("exchange", block, sends, arrivals))
        return everyone

    def send_inputs(self, inputs: Any) -> None:
        self._exchange.send_inputs(inputs)
        self._note_sent()

    def receive_input(self) -> Any:
        values = self._exchange.receive_input()
        self.steps.append(("receive", "input", 0, values.numel() * self._wire_bytes))
        return values

    def send_result(self, pooled_BD: Any) -> None:
        self._exchange.send_result(pooled_BD)
        self._note_sent()

    def receive_results(self) -> Any:
        results = self._exchange.receive_results()
        for peer, values in enumerate(results, start=1):
            self.steps.append(("receive", "result", peer, values.numel() * self._wire_bytes))
        return results

    def _note_sent(self) -> None:
        noted = sum(step[0] == "send" for step in self.steps)
        sent = [message for message in self._exchange.sent if message.name != "exchange"]
        self.steps.extend(("send", message.name, message.peer, message.nbytes) for message in sent[noted:])


def planned_steps(steps: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Steps that the method takes itself: staging, posting and control are the runtime's."""
    planned: list[tuple[Any, ...]] = []
    for step in steps:
        if isinstance(step, Compute):
            planned.append((step.name, step.block))
        elif isinstance(step, Exchange):
            sends = tuple((message.peer, message.nbytes) for message in step.sends)
            receives = tuple((message.peer, message.nbytes) for message in step.receives)
            planned.append(("exchange", step.block, sends, receives))
        elif isinstance(step, (Send, Receive)) and step.name != "control":
            verb = "send" if isinstance(step, Send) else "receive"
            planned.append((verb, step.name, step.message.peer, step.message.nbytes))
    return planned


@given(plans(), st.sampled_from(sorted(WIRE_BYTES)), st.sampled_from(sorted(MODELS)), st.integers(1, 3))
def test_steps_and_bytes_on_the_wire_are_the_schedules(plan: Plan, wire_dtype: Any, pool: str, batch: int) -> None:
    plan = replace(plan, wire_dtype=wire_dtype)
    ranks = [RankModel(MODELS[pool], plan, rank) for rank in range(plan.devices)]
    recorders: dict[int, Recorder] = {}

    def watch(exchange: InProcessExchange) -> tuple[Recorder, Any]:
        recorder = recorders[exchange.rank] = Recorder(exchange, WIRE_BYTES[plan.wire_dtype])
        return recorder, recorder.observe

    run_in_process(ranks, random_tensor(1, batch, 3, 12, 12), watch)

    schedule = build_schedule(ranks[0].shape, plan, batch)
    for rank, steps in enumerate(schedule.ranks):
        assert recorders[rank].steps == planned_steps(steps)


@given(plans(), st.integers(1, 3))
def test_buffers_have_the_schedules_sizes(plan: Plan, batch: int) -> None:
    """What a runtime allocates beforehand is what arrives."""
    ranks = [RankModel(MODELS["token"], plan, rank) for rank in range(plan.devices)]
    schedule = build_schedule(ranks[0].shape, plan, batch)
    for rank, steps in zip(ranks, schedule.ranks, strict=True):
        for step in steps:
            if isinstance(step, Exchange):
                assert step.sends[0].nbytes == 4 * math.prod(rank.exchange_shape(batch, rank.rank))
                for message in step.receives:
                    assert message.nbytes == 4 * math.prod(rank.exchange_shape(batch, message.peer))
            if isinstance(step, Receive) and step.name == "input":
                assert step.message.nbytes == 4 * math.prod(rank.input_shape(batch, rank.rank))


@given(plans(whole=True), st.sampled_from(sorted(MODELS)), seeds)
def test_a_pass_with_a_segment_for_every_token_is_exact(plan: Plan, pool: str, seed: int) -> None:
    model, images_BCYX = MODELS[pool], random_tensor(seed, 2, 3, 12, 12)
    with torch.no_grad():
        wanted_BO = model(images_BCYX)

    given_BO = run_in_process([RankModel(model, plan, rank) for rank in range(plan.devices)], images_BCYX)

    assert (given_BO - wanted_BO).norm() <= WIRE_ROUNDING * wanted_BO.norm()


def repeated_pass(model: Any, rank: RankModel, images_BCYX: Any) -> Any:
    """Segment Means by timm's own blocks: each mean is put in as often as it stands for a token, log n never enters."""
    layout = rank.layout
    spans = [layout.span(peer) for peer in range(len(layout.partition))]
    x_BND = model.norm_pre(model._pos_embed(model.patch_embed(images_BCYX)))
    for block in model.blocks:
        own_tokens = [x_BND[:, span] for span in spans]
        repeated = [
            segment_means(own_BND, counts).repeat_interleave(torch.tensor(counts), dim=1)
            for own_BND, counts in zip(own_tokens, layout.counts, strict=True)
        ]
        contexts = [
            torch.cat([*repeated[:peer], own_BND, *repeated[peer + 1 :]], dim=1)
            for peer, own_BND in enumerate(own_tokens)
        ]
        x_BND = torch.cat([block(context)[:, span] for context, span in zip(contexts, spans, strict=True)], dim=1)
    return model.forward_head(model.norm(x_BND))


@given(plans(), st.sampled_from(sorted(MODELS)), st.sampled_from(PREFIX_TOKENS), seeds)
def test_a_pass_is_timms_own_over_the_means_repeated(plan: Plan, pool: str, prefix: Any, seed: int) -> None:
    model, images_BCYX = MODELS[pool], random_tensor(seed, 2, 3, 12, 12)
    if prefix == "apart" and plan.segments is not None:
        fewest = min(3, max(plan.partition(TOKENS)))
        plan = replace(plan, segments=max(plan.segments, fewest))
    ranks = [RankModel(model, plan, rank, prefix=prefix) for rank in range(plan.devices)]
    with torch.no_grad():
        wanted_BO = repeated_pass(model, ranks[0], images_BCYX)

    assert (run_in_process(ranks, images_BCYX) - wanted_BO).norm() <= WIRE_ROUNDING * wanted_BO.norm()


SAME_PATCHES = {
    "averaged": small_model(pos_embed="none", class_token=False, global_pool="avg"),
    "apart": small_model(pos_embed="none"),
}


@given(plans(), st.sampled_from(PREFIX_TOKENS), seeds)
def test_a_pass_over_an_image_of_equal_patches_is_exact_at_any_number_of_segments(
    plan: Plan, prefix: Any, seed: int
) -> None:
    """Equal tokens stay equal through every block; a class token must be kept apart from them, or not be there."""
    model = SAME_PATCHES[prefix]
    if plan.segments is not None:
        fitting = max(replace(plan, mode="full_tensor", segments=None).partition(shape_of_model(model).tokens))
        fewest = 2 if prefix == "apart" else 1
        plan = replace(plan, segments=max(min(plan.segments, fitting), min(fewest, fitting)))
    images_BCYX = random_tensor(seed, 1, 3, 4, 4).tile(1, 1, 3, 3)
    with torch.no_grad():
        wanted_BO = model(images_BCYX)

    ranks = [RankModel(model, plan, rank, prefix=prefix) for rank in range(plan.devices)]

    assert (run_in_process(ranks, images_BCYX) - wanted_BO).norm() <= WIRE_ROUNDING * wanted_BO.norm()
