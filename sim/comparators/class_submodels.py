"""Class-wise sub-models: every board has a narrower model that was trained for some of the classes.

Each takes the whole input through its own model; the workers send one vector of features a sample, which the terminal
device joins into the answer. Liu et al. 2024 (ED-ViT), arXiv 2410.11650. How narrow a sub-model may be is a question of
training: `keep` is the share of heads, width and hidden units that is left, 1 / P unless said otherwise (assumed; the
paper prunes each sub-model to what its board can take).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from prism.errors import InputError
from prism.memory import MemoryUse, memory_use
from prism.partition import split_evenly
from prism.plan import Plan
from prism.schedule import TERMINAL, Compute, Copy, Message, Receive, Send, build_schedule
from prism.shape import TransformerShape
from prism.units import check_range
from sim.comparators.split import FLOAT_BYTES, Split, Task, distributed_input

SOURCE = "Liu et al. 2024 (ED-ViT), arXiv 2410.11650"


def class_submodels(
    shape: TransformerShape,
    devices: int,
    batch: int,
    *,
    keep: float | None = None,
    wire_bytes: int = 4,
    input_bytes: int = 0,
) -> Split:
    """The pass split by classes.

    Args:
        shape: of the model whose classes are split up.
        devices: boards P, and sub-models.
        batch: samples in the pass.
        keep: share of heads, width and hidden units in a sub-model; 1 / P if None.
        wire_bytes: bytes of a number on the wire.
        input_bytes: what the terminal device sends each board beforehand; 0 where they have it.

    Raises:
        InputError: more boards than classes, or a model of text that says the next token.
    """
    if shape.causal:
        raise InputError(f"class-wise sub-models: {shape.name} says the next token, it does not classify")
    if devices > shape.classes:
        raise InputError(f"class-wise sub-models over {devices} devices: {shape.name} has {shape.classes} classes")
    keep = 1 / devices if keep is None else keep
    check_range("keep", keep, 1e-3, 1.0)
    small = submodel(shape, keep)
    features_bytes = batch * small.dim * wire_bytes
    # A dense layer from the features of all sub-models to all classes.
    fusion_flops = batch * 2 * devices * small.dim * shape.classes

    def tasks(rank: int, own_classes: int) -> Iterator[Task]:
        yield from distributed_input(rank, devices, input_bytes)
        steps = build_schedule(replace(small, classes=own_classes), Plan(), batch).ranks[0]
        block_flops = next(step.flops for step in steps if isinstance(step, Compute) and step.name == "block")
        yield from (Task(step, block_flops) for step in steps if isinstance(step, Compute) and step.name != "head")
        if rank != TERMINAL:
            yield Task(Copy("stage_result", None, "device_to_host", features_bytes))
            yield Task(Send("result", Message(TERMINAL, features_bytes)))
            return
        for worker in range(1, devices):
            yield Task(Receive("result", Message(worker, features_bytes)))
        yield Task(Copy("stage_result", None, "host_to_device", (devices - 1) * features_bytes))
        yield Task(Compute("head", None, fusion_flops), block_flops)

    classes = split_evenly(shape.classes, devices)
    return Split(
        "class_submodels",
        tuple(tuple(tasks(rank, own)) for rank, own in enumerate(classes)),
        tuple(_memory(small, shape, rank, devices, batch, features_bytes) for rank in range(devices)),
        costs="local",
        staging="full_tensor",
        rounds=False,
        source=SOURCE,
        exact=False,
        gives_up="a model trained and pruned for each board; another answer, of unknown accuracy; set number of boards",
    )


def submodel(shape: TransformerShape, keep: float) -> TransformerShape:
    """The model with a share `keep` of its heads, and with them its width, and of its hidden units; one at least."""
    heads = max(1, round(shape.heads * keep))
    hidden = max(1, round(shape.mlp_hidden * keep))
    name = f"{shape.name} x{keep:.3g}"
    return replace(shape, name=name, heads=heads, dim=shape.dim // shape.heads * heads, mlp_hidden=hidden)


def _memory(
    small: TransformerShape, shape: TransformerShape, rank: int, devices: int, batch: int, features_bytes: int
) -> MemoryUse:
    """A sub-model without a head; the terminal device has the layer that joins the features."""
    use = memory_use(build_schedule(small, Plan(), batch), 0)
    fusion = (devices * small.dim + 1) * shape.classes if rank == TERMINAL else 0
    weights = small.parameters - small.head_parameters + 2 * small.dim + fusion
    buffers = 2 * features_bytes * (devices - 1 if rank == TERMINAL else 1)
    return MemoryUse(weights * FLOAT_BYTES, use.activations_bytes, buffers)
