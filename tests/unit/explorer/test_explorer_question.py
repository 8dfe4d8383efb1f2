"""What the page may ask, and what it is told where it may not."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

import pytest

from prism.catalogue import shape_of
from prism.cost import CostModel
from prism.errors import InputError
from prism.plan import Mode
from prism.profile import load_profile
from sim.explorer.question import nearest_segments, read_question, require_comparable

PUBLISHED = load_profile("orin_nano_published")
PROFILES = {"orin_nano_published": PUBLISHED}


def test_nothing_asked_is_the_published_case() -> None:
    question = read_question("", PROFILES)
    assert question.shape == shape_of("vit_base_patch16_224")
    assert (question.batch, question.bandwidth_mbps, question.boards, question.objective) == (8, 400.0, 2, "latency")
    assert [plan.label for plan in question.plans()] == ["local", "full_tensor P=2", "segment_means P=2 L=10"]


def test_every_parameter_is_taken() -> None:
    asked = {"model": "deit_tiny_patch16_224", "batch": "3", "bandwidth": "0.2Gbps", "cr": "5", "boards": "4"}
    question = read_question(urlencode(asked | {"objective": "all-energy"}), PROFILES)
    assert question.shape.name == "deit_tiny_patch16_224"
    assert (question.batch, question.bandwidth_mbps, question.boards) == (3, 200.0, 4)
    assert question.segments == 10  # 197 / (5 * 4) = 9.85
    assert question.objective == "all-energy"


@pytest.mark.parametrize(("rate", "segments"), [(9.85, 10), (3.3, 30), (1.0, 98), (0.9, 99), (98.5, 1), (1000, 1)])
def test_the_nearest_whole_number_of_segments(rate: float, segments: int) -> None:
    assert nearest_segments(rate, 197, 2) == segments


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("batch=0", "batch = 0 is out of range; it must lie between 1 and 64"),
        ("batch=65", "batch = 65 is out of range; it must lie between 1 and 64"),
        ("batch=", "batch '' is not a whole number; it must lie between 1 and 64"),
        ("batch=2.5", "batch '2.5' is not a whole number; it must lie between 1 and 64"),
        ("batch=%D9%A3", "batch '٣' is not a whole number; it must lie between 1 and 64"),
        ("bandwidth=9", "bandwidth = 9.0 is out of range; it must lie between 10 and 2000"),
        ("bandwidth=fast", "bandwidth 'fast' is not a number with a unit; write for example 400 or '400 Mbps'"),
        ("cr=nan", "cr = nan is out of range; it must lie between 0.9 and 1000"),
        ("cr=ten", "cr 'ten' is not a number; write a compression rate N / (L P), for example 9.85"),
        ("boards=1", "boards = 1 is out of range; it must lie between 2 and 8"),
        ("model=vit_base_patch16", "unknown model 'vit_base_patch16'; did you mean 'vit_base_patch16_384'?"),
        (
            "objective=speed",
            "unknown objective 'speed'; choose from: all-energy, energy-delay, latency, terminal-energy",
        ),
        ("profile=/etc/passwd", "unknown profile '/etc/passwd'; choose from: orin_nano_published"),
        ("batches=8", "unknown parameter 'batches'; did you mean 'batch'?"),
        ("batch=8&batch=9", "batch is given twice, as '8' and as '9'; give it once"),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_line(query: str, line: str) -> None:
    with pytest.raises(InputError) as refused:
        read_question(query, PROFILES)
    assert str(refused.value) == line


def test_a_flood_of_parameters_is_refused() -> None:
    with pytest.raises(InputError, match="too many parameters"):
        read_question("&".join(f"x{number}=1" for number in range(1000)), PROFILES)


def test_energy_needs_a_profile_that_knows_power() -> None:
    blind = {"blind": replace(PUBLISHED, name="blind", power=None)}
    read_question("", blind)
    with pytest.raises(InputError, match="profile 'blind' knows no power; choose the objective latency"):
        read_question("objective=all-energy", blind)


def test_a_profile_without_anything_to_compare_is_refused() -> None:
    require_comparable(PUBLISHED)
    for kept in (("local",), ("segment_means",)):
        compute: dict[Mode, CostModel] = {mode: model for mode, model in PUBLISHED.compute.items() if mode in kept}
        with pytest.raises(InputError, match="takes 'local' and a split"):
            require_comparable(replace(PUBLISHED, compute=compute))
