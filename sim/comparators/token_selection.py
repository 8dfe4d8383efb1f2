"""Token selection: a board sends its most important tokens before every block, where Prism sends means of all of them.

Which tokens matter is read off the class token's attention (Liang et al. 2022, EViT, arXiv 2202.07800); sending only
those to another board is due to Im et al. 2024, arXiv 2404.07217, who select patches of the image. What is left out is
lost to the other boards. Reading scores off attention that was computed anyway costs nothing here.
"""

from __future__ import annotations

from prism.memory import memory_use
from prism.plan import Plan, WireDtype
from prism.schedule import Compute, build_schedule
from prism.shape import TransformerShape
from sim.comparators.split import Split, Task

SOURCE = "Im et al. 2024, arXiv 2404.07217; Liang et al. 2022 (EViT), arXiv 2202.07800"


def token_selection(
    shape: TransformerShape,
    devices: int,
    batch: int,
    *,
    tokens: int,
    wire_dtype: WireDtype = "float32",
    image: bool = False,
) -> Split:
    """The pass split by positions, with the best `tokens` of each board exchanged before every block.

    Args:
        shape: of the model.
        devices: boards P.
        batch: samples in the pass.
        tokens: how many tokens each board sends; a shorter partition sends all.
        wire_dtype: type of a number on the wire.
        image: whether the terminal device sends the input first.

    Raises:
        InputError: more tokens than the largest partition has, or more boards than tokens.
    """
    plan = Plan(
        "segment_means",
        devices,
        tokens,
        wire_dtype=wire_dtype,
        input_distribution="image" if image else "replicated",
    )
    schedule = build_schedule(shape, plan, batch)
    ranks = []
    for steps in schedule.ranks:
        block_flops = next(step.flops for step in steps if isinstance(step, Compute) and step.name == "block")
        kept = (step for step in steps if not (isinstance(step, Compute) and step.name == "compress"))
        ranks.append(tuple(Task(step, block_flops) for step in kept))
    return Split(
        "token_selection",
        tuple(ranks),
        tuple(memory_use(schedule, rank) for rank in range(devices)),
        costs="segment_means",
        staging="segment_means",
        rounds=True,
        source=SOURCE,
        exact=False,
        gives_up="another answer, of unknown accuracy: other boards never see what is not selected",
    )
