from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from prism.errors import InputError  # noqa: E402
from prism.nn.in_process import InProcessGroup, run_in_process  # noqa: E402
from prism.nn.split import RankModel  # noqa: E402
from prism.nn.wire import from_wire, to_wire  # noqa: E402
from prism.plan import Plan  # noqa: E402

pytestmark = pytest.mark.torch


def test_float16_halves_the_bytes_and_comes_back_in_the_models_type() -> None:
    values = torch.tensor([1.0, 1 / 3, -65504.0])

    wire = to_wire(values, "float16")

    assert wire.nbytes * 2 == values.nbytes
    back = from_wire(wire, values.dtype)
    assert back.dtype == values.dtype
    torch.testing.assert_close(back, values, rtol=2**-11, atol=0)


def test_float32_is_exact() -> None:
    values = torch.randn(3, 4)[:, ::2]

    wire = to_wire(values, "float32")

    assert wire.is_contiguous()
    assert torch.equal(wire, values)


def test_a_value_beyond_float16_is_refused_with_the_remedy() -> None:
    with pytest.raises(InputError, match=r"7e\+04 does not fit float16.*use wire dtype float32"):
        to_wire(torch.tensor([1.0, -70_000.0]), "float16")


def test_infinity_and_nan_pass_as_they_are() -> None:
    wire = to_wire(torch.tensor([float("inf"), float("nan")]), "float16")

    assert wire[0].isinf()
    assert wire[1].isnan()


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_failing_rank_ends_the_pass_with_its_own_error(
    make_model: Callable[..., Any], images: Any, failing: int
) -> None:
    class Broken(RankModel):
        def block(self, *_given: Any) -> Any:
            raise ZeroDivisionError("broken on purpose")

    model, plan = make_model(global_pool="avg"), Plan("full_tensor", 3)
    ranks = [(Broken if rank == failing else RankModel)(model, plan, rank) for rank in range(3)]

    with pytest.raises(ZeroDivisionError, match="broken on purpose"):
        run_in_process(ranks, images)


@pytest.mark.parametrize("given", [[], [0], [1, 0], [0, 0]])
def test_ranks_that_are_not_those_of_the_plan_are_refused(
    make_model: Callable[..., Any], images: Any, given: list[int]
) -> None:
    model, plan = make_model(), Plan("full_tensor", 2)
    with pytest.raises(InputError, match="every rank of the plan once"):
        run_in_process([RankModel(model, plan, rank) for rank in given], images)


def test_an_empty_group_is_refused() -> None:
    with pytest.raises(InputError, match="at least one rank"):
        InProcessGroup(0)
