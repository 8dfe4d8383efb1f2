"""What a corpus consists of: the file that says so, and the recorded corpus that was made from it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hw.profiler.design import read_design
from prism.errors import InputError
from prism.record import Measurement, read_measurements

DATA = Path(__file__).parents[2] / "validation" / "data"
HEAD = 'format = "prism.corpus_design/1"\n'
SWEEP = """
[[sweep]]
name = "one"
model = "vit_tiny_patch16_224"
batches = [1, 2]
bandwidth_mbps = [100.0, 200.0]
modes = ["local", "full_tensor", "segment_means"]
segments = [10, 20]
"""


def design_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "design.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_sweep_is_every_mode_with_every_option(tmp_path: Path) -> None:
    (sweep,) = read_design(design_of(tmp_path, HEAD + SWEEP + 'inputs = ["replicated", "tokens"]')).sweep
    plans = sweep.plans(2)
    assert Counter(plan.mode for plan in plans) == {"local": 1, "full_tensor": 4, "segment_means": 8}
    assert {(plan.segments, plan.exchange, plan.input_distribution) for plan in plans if plan.segments} == {
        (segments, exchange, distribution)
        for segments in (10, 20)
        for exchange in ("blocking", "preposted")
        for distribution in ("replicated", "tokens")
    }
    assert len(sweep.grid(2).cases) == 2 + 2 * 2 * 12  # local once a batch size


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rounds = ", "not valid TOML"),
        (SWEEP, 'not a prism.corpus_design file (expected "format"'),
        (HEAD, "sweep"),
        (HEAD + SWEEP + "speed = 1", "sweep.0.speed: Unexpected keyword argument"),
        (HEAD + SWEEP.replace('"full_tensor", ', '"full", '), "sweep.0.modes.1"),
        (HEAD + SWEEP.replace("batches = [1, 2]", "batches = [0]"), "sweep.0.batches.0"),
        (HEAD + SWEEP + SWEEP, "two sweeps are named 'one'"),
        (HEAD + SWEEP.replace('name = "one"', 'name = "../one"'), "cannot name a file"),
        (HEAD + SWEEP.replace("tiny", "titanic"), "sweep 'one': unknown model"),
        (HEAD + SWEEP.replace("[10, 20]", "[400]"), "sweep 'one': "),
        (HEAD + SWEEP.replace("100.0", "1e9"), "sweep 'one': bandwidth_mbps"),
    ],
)
def test_a_bad_design_is_one_line_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        read_design(design_of(tmp_path, text))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["corpus", "live", "replay_3", "replay_4"])
def test_the_designs_that_come_with_prism_can_be_measured(name: str) -> None:
    design = read_design(DATA / f"{name}.toml")
    assert all(sweep.grid(design.boards).cases for sweep in design.sweep)


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[Measurement]]:
    return {path.stem: read_measurements(path) for path in sorted((DATA / "testbed").glob("*.jsonl"))}


@pytest.mark.slow
def test_the_recorded_corpus_is_what_its_design_says(recorded: dict[str, list[Measurement]]) -> None:
    """Every case of every sweep, ten runs or more of each, and nothing else."""
    designed = {}
    for name in ("corpus", "replay_3", "replay_4"):
        design = read_design(DATA / f"{name}.toml")
        for sweep in design.sweep:
            designed[sweep.name] = sweep.grid(design.boards), sweep.seed, design
    assert set(recorded) == set(designed)
    for name, runs in recorded.items():
        grid, seed, design = designed[name]
        counted = Counter(run.scenario for run in runs)
        assert set(counted) == set(grid.cases), name
        assert set(counted.values()) == {5 * design.rounds}, name
        assert {run.provenance["sweep_seed"] for run in runs} == {str(seed)}, name


@pytest.mark.slow
def test_every_recorded_run_says_where_it_was_measured(recorded: dict[str, list[Measurement]]) -> None:
    for name, runs in recorded.items():
        for run in runs:
            assert run.source == "measured"
            assert {"date", "machine.torch", "machine.link_congestion_control", "machine.machine"} <= set(
                run.provenance
            )
            assert ("machine.compute" in run.provenance) == name.startswith("replay")
