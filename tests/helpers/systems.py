"""Made-up systems whose costs are round numbers, and shapes small enough to simulate by the thousand."""

from __future__ import annotations

from dataclasses import dataclass

from prism.cost import CostModel, Driver
from prism.profile import Board, LinkModel, PowerModel, Provenance, StagePower, SystemProfile, Validity
from prism.shape import TransformerShape

REFERENCE_MBPS = 100.0

#: 10 tokens of 8 numbers, 3 blocks.
SMALL = TransformerShape("small", dim=8, depth=3, heads=2, mlp_hidden=32, image_size=12, patch_size=4)
#: Two prefix tokens: the 18 tokens split evenly, and with the image on both boards they compute alike.
EVEN = TransformerShape("even", dim=8, depth=4, heads=2, mlp_hidden=32, image_size=16, patch_size=4, prefix_tokens=2)


@dataclass(frozen=True)
class Cost:
    """fixed_s + scale_s * x ** exponent."""

    fixed_s: float = 0.0
    scale_s: float = 0.0
    exponent: float = 1.0

    def seconds(self, x: float) -> float:
        return float(self.fixed_s + self.scale_s * x**self.exponent)

    def model(self, driver: Driver) -> CostModel:
        return CostModel("offset_power", driver, self.fixed_s, self.scale_s, self.exponent, {}, (), 0.0, 1e12)


def system(
    compute: Cost | None = None,
    copy: Cost | None = None,
    message: Cost | None = None,
    *,
    relay: bool = False,
    power: PowerModel | None = None,
    memory_bytes: int = 10**15,
) -> SystemProfile:
    """A profile of these costs in every mode. GFLOPs of `SMALL` are tiny: scale compute accordingly."""
    block = (compute or Cost(1e-3)).model("GFLOP")
    staging = (copy or Cost()).model("MB")
    return SystemProfile(
        name="made up",
        description="",
        board=Board("made up", memory_bytes, 0),
        compute={"local": block, "full_tensor": block, "segment_means": block},
        staging={"full_tensor": staging, "segment_means": staging},
        link=LinkModel((message or Cost()).model("MB"), REFERENCE_MBPS, relay),
        power=power,
        validity=Validity((), (), (1, 1), (1.0, 1.0), (), (), (), ()),
        provenance=Provenance("made up", "", "", "", "", 0, 0),
        assumed=(),
    )


def three_powers(boards: int) -> PowerModel:
    """Powers that tell every stage of every mode apart."""
    return PowerModel(
        {
            "local": StagePower(5.0, 6.0, 7.0),
            "full_tensor": StagePower(11.0, 13.0, 17.0),
            "segment_means": StagePower(19.0, 23.0, 29.0),
        },
        idle_w=2.0,
        boards=boards,
        scope="made up",
    )
