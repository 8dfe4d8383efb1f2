"""Which meter is taken, and what is said of the others."""

from __future__ import annotations

import sys

import pytest

from hw.power.choose import METERS, OpenMeter, open_meter
from hw.power.meter import MeterUnavailable
from hw.power.none import NoMeter
from prism.errors import InputError
from tests.hardware_fakes.meter import HandClock, ScriptedMeter


def unusable(reason: str) -> OpenMeter:
    def opened() -> NoMeter:
        raise MeterUnavailable(reason)

    return opened


class Closing(ScriptedMeter):
    closed = False

    def close(self) -> None:
        self.closed = True


def test_the_first_usable_meter_is_taken_and_the_rest_explained() -> None:
    meter = Closing(HandClock(), lambda _: 1.0)
    meters = {"first": unusable("not here"), "second": lambda: meter, "third": NoMeter}
    with open_meter("auto", meters) as choice:
        assert choice.meter is meter
        assert choice.skipped == {"first": "not here"}
        assert choice.describe() == {"power_meter": "scripted", "power_meter_not_first": "not here"}
    assert meter.closed


def test_a_meter_by_name_is_that_one_or_an_error() -> None:
    meters = {"first": unusable("not here"), "none": NoMeter}
    assert open_meter("none", meters).meter.name == "none"
    with pytest.raises(MeterUnavailable, match="not here"):
        open_meter("first", meters)
    with pytest.raises(InputError, match="unknown power meter 'nona'; did you mean 'none'"):
        open_meter("nona", meters)


def test_if_none_is_usable_every_reason_is_given() -> None:
    with pytest.raises(MeterUnavailable, match="no power meter: a: x; b: y"):
        open_meter("auto", {"a": unusable("x"), "b": unusable("y")})


def test_there_is_always_a_choice_and_none_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jtop", None)
    assert list(METERS) == ["jtop", "ina3221", "rapl", "nvml", "none"]
    with open_meter() as choice:
        assert set(choice.skipped) == set(list(METERS)[: list(METERS).index(choice.meter.name)])
        assert all(choice.skipped.values())
