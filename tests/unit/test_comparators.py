"""Other ways to split: bytes against formulas and published figures, times against closed forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prism.catalogue import shape_of
from prism.errors import InputError
from prism.flops import block_flops, embed_flops, head_flops
from prism.memory import InfeasiblePlan, memory_use
from prism.plan import Plan
from prism.scenario import Scenario
from prism.schedule import Compute, Exchange, Send, build_schedule
from prism.shape import TransformerShape
from sim.comparators.carry import carry_out
from sim.comparators.class_submodels import class_submodels, submodel
from sim.comparators.compare import COUNT, Question, compare
from sim.comparators.layer_pipeline import layer_pipeline
from sim.comparators.split import Split
from sim.comparators.tensor_parallel import part_flops, tensor_parallel
from sim.comparators.token_selection import token_selection
from sim.simulate import simulate
from tests.helpers.strategies import shapes
from tests.helpers.systems import EVEN, REFERENCE_MBPS, SMALL, Cost, system, three_powers

VIT_B = shape_of("vit_base_patch16_224")
#: Widths that four boards share evenly.
FOUR_HEADS = replace(EVEN, heads=4)


def block_flops_of(split: Split, rank: int) -> int:
    """FLOPs of the rank's compute steps inside blocks."""
    steps = (task.step for task in split.ranks[rank])
    return sum(step.flops for step in steps if isinstance(step, Compute) and step.name == "block")


def assert_what_is_sent_is_received(split: Split) -> None:
    """Every message of every rank is expected by its receiver, with the same bytes, and nothing else is."""
    sent, expected = set(), set()
    for rank, tasks in enumerate(split.ranks):
        for task in tasks:
            if isinstance(task.step, Exchange):
                sent |= {(rank, m.peer, task.step.block, m.nbytes) for m in task.step.sends}
                expected |= {(m.peer, rank, task.step.block, m.nbytes) for m in task.step.receives}
    assert sent == expected


@pytest.mark.parametrize("devices", [2, 3, 4, 5, 8])
def test_tensor_parallelism_sends_two_rings_a_block(devices: int) -> None:
    """2 (P - 1) / P x N x D numbers a board and sum, two sums a block: Shoeybi et al. 2019, section 3."""
    split = tensor_parallel(VIT_B, devices, 3, wire_bytes=2)
    whole = 3 * 197 * 768 * 2
    assert sum(split.sent_bytes(rank) for rank in range(devices)) == 12 * 2 * 2 * (devices - 1) * whole
    for rank in range(devices):
        assert split.sent_bytes(rank) == pytest.approx(12 * 2 * 2 * (devices - 1) / devices * whole, rel=1e-3)
    assert_what_is_sent_is_received(split)


@pytest.mark.parametrize("devices", [2, 3, 4])
def test_tensor_parallelism_sends_four_times_what_voltage_does(devices: int) -> None:
    """Hu and Li, ICDCS 2024: splitting by positions sends a quarter of it."""
    voltage = build_schedule(VIT_B, Plan("full_tensor", devices), 1)
    tensor = tensor_parallel(VIT_B, devices, 1)
    ours, theirs = (
        sum(each)
        for each in zip(*((voltage.exchanged_bytes(r), tensor.sent_bytes(r)) for r in range(devices)), strict=True)
    )
    assert theirs == 4 * ours


@given(shapes(), st.data(), st.integers(1, 3))
def test_the_parts_of_tensor_parallelism_are_the_whole_model(
    shape: TransformerShape, data: st.DataObject, batch: int
) -> None:
    devices = data.draw(st.integers(1, shape.heads))
    assert sum(part_flops(shape, shape.heads, shape.mlp_hidden)) == block_flops(shape, shape.tokens, shape.tokens)
    if devices == 1 or shape.mlp_hidden < devices:
        return
    split = tensor_parallel(shape, devices, batch)
    whole = batch * shape.depth * block_flops(shape, shape.tokens, shape.tokens)
    assert sum(block_flops_of(split, rank) for rank in range(devices)) == whole
    assert_what_is_sent_is_received(split)


def test_tensor_parallelism_by_hand() -> None:
    """A block of a second, messages of a quarter second's latency and some air: 2 (P - 1) rounds a sum, two sums."""
    scale_s = 100.0
    profile = system(Cost(1.0), message=Cost(0.25, scale_s))
    total_s, ranks = carry_out(tensor_parallel(FOUR_HEADS, 4, 1), profile, REFERENCE_MBPS)
    chunk_mb = FOUR_HEADS.tokens * FOUR_HEADS.dim / 4 * 4 / 1e6
    round_s = 0.25 + 4 * scale_s * chunk_mb  # four flows share the air
    block = block_flops(FOUR_HEADS, 18, 18) / 4
    around_s = (embed_flops(FOUR_HEADS, 16) + head_flops(FOUR_HEADS)) / block
    assert total_s == pytest.approx(around_s + FOUR_HEADS.depth * (1.0 + 2 * 6 * round_s), rel=1e-9)
    assert ranks[0].communication_s == pytest.approx(FOUR_HEADS.depth * 12 * round_s, rel=1e-9)


def test_tensor_parallelism_shares_the_matrices_out() -> None:
    split = tensor_parallel(VIT_B, 4, 1)
    matrices = 12 * (4 * 768**2 + 2 * 768 * 3072)
    saved = [4 * VIT_B.parameters - use.weights_bytes for use in split.memory]
    assert saved == pytest.approx([4 * matrices * 3 / 4] * 4, rel=2e-3)  # and the biases of what a board has not


@pytest.mark.parametrize(("devices", "parts"), [(2, 1), (2, 4), (3, 3), (4, 8)])
def test_a_pipeline_without_a_network_takes_parts_and_boards_less_one(devices: int, parts: int) -> None:
    """(M + P - 1) stages of t seconds: the bubble of Huang et al. 2019, section 2.3."""
    shape = replace(EVEN, depth=12)
    split = layer_pipeline(shape, devices, 8, microbatches=parts)
    total_s, ranks = carry_out(split, system(Cost(1.0)), REFERENCE_MBPS)
    around_s = (embed_flops(shape, 16) + head_flops(shape)) / block_flops(shape, 18, 18)
    # The terminal device embeds before each of its stages, so it sets the pace, and reads all answers at the end.
    embed_s = embed_flops(shape, 16) / block_flops(shape, 18, 18)
    stage_s = 12 / devices
    assert total_s >= (parts + devices - 1) * stage_s
    assert total_s == pytest.approx(
        parts * (stage_s + embed_s) + (devices - 1) * stage_s + (around_s - embed_s), rel=0.35
    )
    assert ranks[1].compute_s == pytest.approx(parts * stage_s)
    assert_what_is_sent_is_received(split)


def test_a_pipeline_without_anything_around_the_blocks_is_exactly_that() -> None:
    """Embedding and head of next to nothing leave (M + P - 1) t."""
    shape = replace(EVEN, depth=12, classes=1, channels=1, mlp_hidden=4096)
    total_s, _ = carry_out(layer_pipeline(shape, 3, 6, microbatches=6), system(Cost(1.0)), REFERENCE_MBPS)
    assert total_s == pytest.approx((6 + 3 - 1) * 4, rel=0.03)


@pytest.mark.parametrize("devices", [2, 3, 8])
def test_a_pipeline_sends_every_token_to_the_next_board_and_one_vector_home(devices: int) -> None:
    split = layer_pipeline(VIT_B, devices, 6, microbatches=3)
    between, home = 6 * 197 * 768 * 4, 6 * 768 * 4
    assert [split.sent_bytes(rank) for rank in range(devices)] == [between] * (devices - 1) + [home]


def test_a_pipeline_of_one_part_is_one_board_after_the_other_by_hand() -> None:
    profile = system(Cost(1.0), copy=Cost(0.125), message=Cost(0.25))
    total_s, ranks = carry_out(layer_pipeline(EVEN, 2, 5, microbatches=1), profile, REFERENCE_MBPS)
    around_s = (embed_flops(EVEN, 16) + head_flops(EVEN)) / block_flops(EVEN, 18, 18)
    assert total_s == pytest.approx(around_s + EVEN.depth + 2 * (0.125 + 0.25 + 0.125), rel=1e-9)
    assert ranks[0].staging_s == pytest.approx(0.25)


def test_a_pipelines_weights_are_each_held_once() -> None:
    split = layer_pipeline(VIT_B, 4, 1)
    assert sum(use.weights_bytes for use in split.memory) == 4 * VIT_B.parameters


def test_class_submodels_send_one_vector_a_sample() -> None:
    split = class_submodels(VIT_B, 3, 7, keep=0.5)
    assert [split.sent_bytes(rank) for rank in range(3)] == [0, 7 * 384 * 4, 7 * 384 * 4]
    with_image = class_submodels(VIT_B, 3, 7, keep=0.5, input_bytes=1000)
    assert with_image.sent_bytes(0) == 2000


def test_a_class_submodel_is_narrower_in_every_direction() -> None:
    small = submodel(VIT_B, 0.5)
    assert (small.heads, small.dim, small.mlp_hidden, small.depth) == (6, 384, 1536, 12)
    assert submodel(VIT_B, 1.0) == replace(VIT_B, name=small.name.replace("0.5", "1"))
    assert submodel(VIT_B, 0.001).heads == 1


def test_whole_submodels_take_what_one_board_does_and_the_join() -> None:
    profile = system(Cost(0.0, 1e3), message=Cost(0.5))
    total_s, _ = carry_out(class_submodels(SMALL, 2, 1, keep=1.0), profile, REFERENCE_MBPS)
    alone = simulate(Scenario(SMALL, 1, REFERENCE_MBPS, Plan()), profile).total_s
    # The worker embeds and computes as long, its vector takes half a second, and the head reads two vectors.
    assert total_s == pytest.approx(alone + 0.5 + head_flops(SMALL) * 1e-6, rel=1e-9)


def test_selected_tokens_travel_as_segment_means_do_and_save_the_means() -> None:
    plan = Plan("segment_means", 3, 2)
    scenario = Scenario(SMALL, 2, REFERENCE_MBPS, plan)
    profile = system(Cost(0.0, 1e3), message=Cost(0.01, 5.0))
    split = token_selection(SMALL, 3, 2, tokens=2)
    schedule = scenario.schedule()
    assert [split.sent_bytes(rank) for rank in range(3)] == [schedule.exchanged_bytes(rank) for rank in range(3)]
    assert split.memory == tuple(memory_use(schedule, rank) for rank in range(3))
    total_s, ranks = carry_out(split, profile, REFERENCE_MBPS)
    means = simulate(scenario, profile)
    averaged_s = SMALL.depth * 2 * schedule.partition[0] * SMALL.dim * 1e-6
    assert means.terminal.compute_s - ranks[0].compute_s == pytest.approx(averaged_s)
    assert total_s < means.total_s


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: tensor_parallel(VIT_B, 13, 1), "vit_base_patch16_224 has 12 heads to share out"),
        (lambda: layer_pipeline(VIT_B, 13, 1), "vit_base_patch16_224 has 12 blocks to share out"),
        (lambda: layer_pipeline(VIT_B, 2, 3, microbatches=4), "microbatches = 4 must lie between 1 and the batch of 3"),
        (lambda: class_submodels(shape_of("gpt2"), 2, 1), "gpt2 says the next token, it does not classify"),
        (lambda: class_submodels(shape_of("bert_base"), 3, 1), "bert_base has 2 classes"),
        (lambda: class_submodels(VIT_B, 2, 1, keep=0.0), "keep = 0.0 is out of range"),
        (lambda: token_selection(VIT_B, 2, 1, tokens=100), "use at most 99"),
    ],
)
def test_what_cannot_be_split_so_is_refused(build: Callable[[], Split], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()


def test_a_board_that_cannot_hold_its_part_is_named() -> None:
    split = tensor_parallel(FOUR_HEADS, 2, 1)
    needed = max(use.total_bytes for use in split.memory)
    carry_out(split, system(memory_bytes=needed), REFERENCE_MBPS)
    with pytest.raises(InfeasiblePlan, match=r"rank 0 needs .* MB, made up has .* MB to offer"):
        carry_out(split, system(memory_bytes=needed - 1), REFERENCE_MBPS)


def test_the_table_has_prisms_own_modes_as_simulate_has_them() -> None:
    profile = system(Cost(1.0, 1e3), Cost(0.1), Cost(0.01, 5.0), power=three_powers(2))
    plan = Plan("segment_means", 2, 3)
    seen: list[None] = []
    ways = compare(Question(Scenario(SMALL, 2, 50.0, plan)), profile, lambda: seen.append(None))
    assert len(ways) == COUNT == len(seen)
    for way, own in zip(ways, (Plan(), Plan("full_tensor", 2), plan), strict=False):
        result = simulate(Scenario(SMALL, 2, 50.0, own), profile)
        assert way.total_s == result.total_s
        assert result.energy is not None
        assert way.all_boards_j == result.energy.all_boards_j
    assert all(way.problem is None and way.source and way.gives_up for way in ways)
    sends = [step for step in build_schedule(SMALL, plan, 2).ranks[0] if isinstance(step, (Send, Exchange))]
    assert sends  # the control message is not counted
    assert ways[0].sent_bytes == 0


def test_one_way_that_cannot_be_does_not_stop_the_others() -> None:
    profile = system(Cost(1.0))
    ways = {way.name: way for way in compare(Question(Scenario(SMALL, 1, 50.0, Plan("segment_means", 5, 1))), profile)}
    assert ways["tensor_parallel"].problem == "tensor parallelism over 5 devices: small has 2 heads to share out"
    assert ways["tensor_parallel"].total_s is None
    assert ways["layer_pipeline"].problem is not None
    assert ways["segment_means"].total_s is not None
    assert ways["token_selection"].total_s is not None


def test_a_question_without_segments_is_refused() -> None:
    with pytest.raises(InputError, match="needs a plan of mode 'segment_means'"):
        Question(Scenario(SMALL, 1, 50.0, Plan()))
    with pytest.raises(InputError, match="input 'tokens' does not go with other ways to split"):
        Question(Scenario(SMALL, 1, 50.0, Plan("segment_means", 2, 1, input_distribution="tokens")))
