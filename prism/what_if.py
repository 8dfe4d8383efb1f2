"""What-ifs on a profile: copies that cost nothing, and other power modes of a Jetson Orin Nano."""

from __future__ import annotations

from dataclasses import dataclass, replace

from prism.cost import CostModel
from prism.errors import unknown
from prism.profile import PowerModel, Speedup, StagePower, SystemProfile


def zero_copy(profile: SystemProfile) -> SystemProfile:
    """The profile with staging that costs nothing: the network reads and writes the accelerator's own memory.

    An integrated GPU shares its memory with the CPU, so nothing in principle has to be copied. What the shared memory
    bus then costs compute is not in it.
    """
    staging = {mode: _free(model) for mode, model in profile.staging.items()}
    return replace(profile, name=f"{profile.name} + zero copy", staging=staging)


def _free(model: CostModel) -> CostModel:
    return replace(model, fixed_s=0.0, scale_s=0.0, bends=())


@dataclass(frozen=True)
class PowerMode:
    """A power mode against 15 W.

    Attributes:
        gpu_mhz: highest clock of the GPU.
        speed: how many times faster it computes.
        power: by what its power while it computes is multiplied.
    """

    gpu_mhz: int
    speed: float
    power: float


#: Orin Nano 8 GB. Clocks: nvpmodel_p3767_0003_super.conf. Speed and power: measurements that others published (JetPack
#: 6.2, llama.cpp on the GPU, picocluster-claw.com/reference/benchmarks), geometric means over three models of prompt
#: tokens a second (1026, 350, 479 at 15 W; 1398, 492, 650 at 25 W; 1506, 537, 713 in MAXN_SUPER) and of the board's
#: mean power meanwhile (10.3, 11.7, 11.2 W; 12.7, 14.6, 13.4 W; 14.0, 16.0, 15.0 W). Speed grows less than the clock.
#: 7 W is left out: its published clocks contradict each other, and no measurement of it was found.
POWER_MODES = {
    "15W": PowerMode(612, 1.0, 1.0),
    "25W": PowerMode(918, 1.375, 1.225),
    "MAXN_SUPER": PowerMode(1020, 1.497, 1.355),
}


def in_power_mode(profile: SystemProfile, name: str) -> SystemProfile:
    """The profile's boards in another power mode. Assumed: the profile was measured at 15 W.

    Compute becomes faster and draws more; copies, the link and idle power stay, since no figure was found for them.

    Raises:
        InputError: no figures for a mode of that name.
    """
    if name not in POWER_MODES:
        raise unknown("power mode", name, POWER_MODES)
    mode = POWER_MODES[name]
    faster = Speedup(compute=mode.speed).of(profile)
    power = None if profile.power is None else _scaled(profile.power, mode.power)
    return replace(faster, name=f"{profile.name} at {name}", power=power)


def _scaled(power: PowerModel, times: float) -> PowerModel:
    stages = {
        mode: StagePower(stage.compute_w * times, stage.staging_w, stage.communication_w)
        for mode, stage in power.by_mode.items()
    }
    return replace(power, by_mode=stages)
