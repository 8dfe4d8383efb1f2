"""The published tables of the Orin Nano pair as measurements (`calibration/data`, with source and licence)."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

from calibration.build import ProfileFacts
from prism.plan import Plan
from prism.profile import Board
from prism.record import Energy, Measurement, RankTimes

MODEL = "vit_base_patch16_224"
RUNS = 20
ENERGY_SCOPE = "taken as one board's; the source states neither boards nor rails"


def read_table(name: str) -> pd.DataFrame:
    """One of the published tables: ``latency``, ``energy`` or ``efficiency``; one row a published line."""
    with (files("calibration") / "data" / f"published_{name}.csv").open("rb") as stream:
        return pd.read_csv(stream)


def published_measurements() -> list[Measurement]:
    """Table 2 as records, with table 4's energy where that table has the case. Each is a mean of 20 runs."""
    energies = _published_energies()
    return [_measurement(row, energies) for _, row in read_table("latency").iterrows()]


def _measurement(row: pd.Series, energies: dict[tuple[str, int], float]) -> Measurement:
    distributed = row["mode"] != "local"
    segments = None if pd.isna(row["segments"]) else int(row["segments"])
    joules = energies.get((row["mode"], int(row["batch"])))
    return Measurement(
        source="published",
        model=MODEL,
        batch=int(row["batch"]),
        bandwidth_mbps=float(row["bandwidth_mbps"]) if distributed else 400.0,
        plan=Plan(row["mode"], int(row["devices"]), segments),
        total_s=row["total_ms"] / 1e3,
        # The source does not tell waiting from transfer: all of its communication is booked as transfer.
        ranks=(RankTimes(row["compute_ms"] / 1e3, row["staging_ms"] / 1e3, row["communication_ms"] / 1e3, 0.0),),
        energy=None if joules is None else Energy((joules,), ENERGY_SCOPE),
        runs=RUNS,
        provenance={"source": "arXiv 2605.25682, table 2"},
    )


def _published_energies() -> dict[tuple[str, int], float]:
    table = read_table("energy")
    full_tensor = {
        ("full_tensor", int(row["batch"])): float(row["full_tensor_energy_j"]) for _, row in table.iterrows()
    }
    adaptive = {
        (str(row["adaptive_mode"]), int(row["batch"])): float(row["adaptive_energy_j"]) for _, row in table.iterrows()
    }
    return full_tensor | adaptive


PUBLISHED_FACTS = ProfileFacts(
    name="orin_nano_published",
    description="Two Jetson Orin Nano 8 GB boards on WiFi 6E, fitted to the published ViT-B/16 measurements",
    board=Board("Jetson Orin Nano 8 GB", memory_bytes=8_000_000_000, reserved_bytes=2_000_000_000),
    boards=2,
    idle_w=4.3,
    source="Qazi, Iosifidis, Zhang, MobiSys Workshop '26, doi 10.1145/3812836.3814999, arXiv 2605.25682 v1, "
    "tables 2 and 4",
    licence="CC BY 4.0",
    measured="2026 (date of publication)",
    machine="2x NVIDIA Jetson Orin Nano 8 GB, Intel AX210, WiFi 6E router; tc netem on the terminal device only",
    software="PyTorch + GLOO; versions not published",
    assumed=(
        "airtime scales with 1 / bandwidth label; only 400 Mbps was published",
        "both directions have the same rate, though only the terminal device was throttled",
        "the fitted rate contains the relay through the router",
        "one copy to the host and one back per exchange, at the same cost",
        "each board has its input already (replicated): the source does not say whether distribution was counted",
        "exchanges are blocking, one before each of the 12 blocks",
        "2 GB of a board's 8 GB are taken by the system and the runtime",
        "idle power 4.3 W (user reports for the whole board); the published energies are of another, unstated scope",
    ),
)
