"""The cost of one step: seconds as a function of one physical driver (GFLOPs of a step, MB of a copy or a message)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, overload

from annotated_types import Ge, Le

from prism.stored import Stored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Number = TypeVar("Number", float, NDArray[np.float64])

Driver = Literal["GFLOP", "MB"]
Form = Literal["affine", "power", "offset_power"]

#: The forms a stage's cost may take. Each is `CostModel.seconds` with some coefficients held at the value given here.
FORMS: dict[Form, dict[str, float]] = {
    "affine": {"exponent": 1.0},
    "power": {"fixed_s": 0.0},
    "offset_power": {},
}
#: No step takes longer; a file that says so is wrong.
MAX_COST_S = 1e6
COEFFICIENTS = ("fixed_s", "scale_s", "exponent")


@dataclass(frozen=True)
class Bend(Stored):
    """From size `from_x` on, every further unit costs `scale_s` seconds more, or less where it is negative."""

    from_x: Annotated[float, Ge(0)]
    scale_s: Annotated[float, Ge(-MAX_COST_S), Le(MAX_COST_S)]


@dataclass(frozen=True)
class CostModel(Stored):
    """``seconds(x) = fixed_s + scale_s * x ** exponent`` for one step of driver x, and bends where it has any.

    Attributes:
        form: which of `FORMS` was fitted.
        driver: unit of x.
        fixed_s: what each step costs whatever its size (launches, call overhead, latency), seconds.
        scale_s: seconds at x = 1 beyond the fixed cost.
        exponent: below 1 where larger steps run more efficiently, 1 for a constant rate.
        stderr: standard error of each fitted coefficient, by name; NaN-free, absent where held fixed.
        covariance: covariance of the fitted coefficients in the order of `stderr`.
        valid_from: smallest x that was measured.
        valid_to: largest x that was measured.
        bends: where the cost of a further unit changes: a straight line for each segment of sizes.
    """

    form: Form
    driver: Driver
    fixed_s: Annotated[float, Ge(0), Le(MAX_COST_S)]
    scale_s: Annotated[float, Ge(0), Le(MAX_COST_S)]
    exponent: Annotated[float, Ge(0), Le(3)]
    stderr: dict[str, float]
    covariance: tuple[tuple[float, ...], ...]
    valid_from: Annotated[float, Ge(0)]
    valid_to: Annotated[float, Ge(0)]
    bends: tuple[Bend, ...] = ()

    def variable_seconds(self, x: Number) -> Number:
        """The part that grows with x, a number or an array; 0 at x = 0."""
        seconds: Number = self.scale_s * x**self.exponent
        for bend in self.bends:
            seconds = seconds + bend.scale_s * positive(x - bend.from_x)
        return seconds

    def seconds(self, x: Number) -> Number:
        """Cost of one step of size x, a number or an array, in seconds."""
        return self.fixed_s + self.variable_seconds(x)

    @overload
    def covers(self, x: float) -> bool: ...
    @overload
    def covers(self, x: NDArray[np.float64]) -> NDArray[np.bool_]: ...
    def covers(self, x: Any) -> Any:
        """Whether x, a number or an array, lies in the measured range.

        It has 5 % of slack at either end, since partitions differ by a token.
        """
        return inside((self.valid_from * 0.95, self.valid_to * 1.05), x)


@overload
def inside(bounds: tuple[float, float], x: float) -> bool: ...
@overload
def inside(bounds: tuple[float, float], x: NDArray[np.float64]) -> NDArray[np.bool_]: ...
def inside(bounds: tuple[float, float], x: Any) -> Any:
    """Whether x, a number or an array, lies between the bounds or on one of them."""
    low, high = bounds
    return (low <= x) & (x <= high)


def positive(value: Number) -> Number:
    """The greater of `value` and 0, to the bit, for numbers and arrays alike."""
    return (value + abs(value)) / 2
