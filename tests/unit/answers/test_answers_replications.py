"""Replications: the same bits whoever does the work, in whatever order, and however often it is interrupted."""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prism.catalogue import shape_of
from prism.errors import InputError
from prism.memory import InfeasiblePlan
from prism.plan import Plan
from prism.profile import load_profile
from prism.scenario import Scenario
from sim.answers.journal import open_journal
from sim.answers.replicate import Fading, Randomness, Replicate, spread_of
from sim.answers.replications import FIRST_LOOK, ROUND, Precision, run_replications
from sim.jitter import lognormal_jitter
from sim.simulate import simulate
from tests.helpers.affine import PLAN, SHAPE, affine_system, local_s, split_s
from tests.helpers.command import PRISM, Cli, child_environment

PUBLISHED = load_profile("orin_nano_published")
VIT_B = shape_of("vit_base_patch16_224")
PROFILE = affine_system()
SCENARIO = Scenario(SHAPE, 3, 100.0, PLAN)
JITTER = Randomness(0.2, None, 11)
FADES = Randomness(0.1, Fading("fades", 25.0, 400.0, dwell_s=2.0), 11)


def test_replication_i_draws_from_child_i_of_the_seed_alone() -> None:
    child = np.random.SeedSequence(11).spawn(6)[5]
    _, steps, _ = (np.random.default_rng(seed) for seed in child.spawn(3))
    expected = simulate(SCENARIO, PROFILE, jitter=lognormal_jitter(steps, 0.2)).total_s
    task = Replicate(SCENARIO, PROFILE, JITTER)
    task(4)
    assert task(5).total_s == expected
    assert task(5) == Replicate(SCENARIO, PROFILE, JITTER)(5)


def test_a_fading_link_stays_between_its_best_and_its_worst() -> None:
    task = Replicate(SCENARIO, PROFILE, replace(FADES, jitter=0.0))
    totals = [task(index).total_s for index in range(60)]
    best_s, worst_s = split_s(3, 400.0), split_s(3, 25.0)
    assert all(best_s * (1 - 1e-9) <= total_s <= worst_s * (1 + 1e-9) for total_s in totals)
    assert len({round(total_s, 9) for total_s in totals}) > 3
    assert all(task(index).local_s == pytest.approx(local_s(3)) for index in range(3))


@pytest.mark.parametrize("figure", ["mean", "p50"])
def test_it_stops_at_the_first_look_at_which_the_figure_is_known(figure: str) -> None:
    wanted = Precision(figure, 0.01, 2000)  # type: ignore[arg-type]
    answer = run_replications(SCENARIO, PROFILE, JITTER, wanted)
    assert answer.reached
    assert answer.replications % ROUND == 0
    assert answer.figures[wanted.figure].half_width <= 0.01
    fewer = run_replications(SCENARIO, PROFILE, JITTER, replace(wanted, most=answer.replications - ROUND))
    assert not fewer.reached
    assert fewer.replications == answer.replications - ROUND


def test_no_more_than_the_most_and_what_nothing_varies_is_beside_it() -> None:
    answer = run_replications(SCENARIO, PROFILE, FADES, Precision("p99", 0.001, FIRST_LOOK + 5))
    assert (answer.replications, answer.reached) == (FIRST_LOOK + 5, False)
    assert answer.steady_s == pytest.approx(split_s(3, 100.0))
    assert answer.steady_local_s == pytest.approx(local_s(3))
    assert answer.figures["p99"].high is None


def test_a_file_is_gone_on_with_and_repeats_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    whole = run_replications(SCENARIO, PROFILE, JITTER, Precision("mean", 1e-6, 160))
    first = run_replications(SCENARIO, PROFILE, JITTER, Precision("mean", 1e-6, 100), journal=path)
    assert (first.replications, first.resumed) == (100, 0)
    done: list[None] = []
    again = run_replications(
        SCENARIO, PROFILE, JITTER, Precision("mean", 1e-6, 160), journal=path, after_each=lambda: done.append(None)
    )
    assert (again.resumed, len(done)) == (100, 60)
    assert replace(again, resumed=0) == whole
    assert len(path.read_text(encoding="utf-8").splitlines()) == 161


@pytest.mark.parametrize("cut", [-1, -7, 10])
def test_half_a_line_at_the_end_is_done_again(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "kept.jsonl"
    wanted = Precision("mean", 1e-6, FIRST_LOOK)
    expected = run_replications(SCENARIO, PROFILE, JITTER, wanted, journal=path)
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    answer = run_replications(SCENARIO, PROFILE, JITTER, wanted, journal=path)
    assert replace(answer, resumed=0) == expected
    assert answer.resumed == (FIRST_LOOK - 1 if cut < 0 else 0)
    assert path.read_bytes() == whole


def test_another_experiments_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    wanted = Precision("mean", 0.5, FIRST_LOOK)
    run_replications(SCENARIO, PROFILE, JITTER, wanted, journal=path)
    whole = path.read_bytes()
    faster = replace(PROFILE, link=replace(PROFILE.link, relay=True))
    for scenario, profile, randomness, what in (
        (replace(SCENARIO, batch=4), PROFILE, JITTER, "batch = 3, not 4"),
        (SCENARIO, PROFILE, replace(JITTER, seed=12), "randomness.seed = 11, not 12"),
        (SCENARIO, PROFILE, FADES, "randomness"),
        (SCENARIO, faster, JITTER, "profile_sha256"),
        (replace(SCENARIO, plan=replace(PLAN, segments=2)), PROFILE, JITTER, "plan.segments = 3, not 2"),
    ):
        with pytest.raises(InputError, match=what):
            run_replications(scenario, profile, randomness, wanted, journal=path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"not ours", "not a file of replications"),
        (b"not ours\n", "not valid JSON"),
        (b'{"format": "prism.replications/9"}\n', "is not supported"),
    ],
)
def test_a_file_of_another_kind_is_refused_and_left_as_it_is(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "other.jsonl"
    path.write_bytes(text)
    with (
        pytest.raises(InputError, match=message),
        open_journal(path, spread_of(SCENARIO, PROFILE, JITTER)),
    ):
        pass
    assert path.read_bytes() == text


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    run_replications(SCENARIO, PROFILE, JITTER, Precision("mean", 0.5, FIRST_LOOK), journal=path)
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[4] = lines[4].replace("total_s", "totals")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"kept.jsonl:5: "):
        run_replications(SCENARIO, PROFILE, JITTER, Precision("mean", 0.5, FIRST_LOOK), journal=path)


def test_a_file_in_use_is_refused(tmp_path: Path) -> None:
    path, spread = tmp_path / "kept.jsonl", spread_of(SCENARIO, PROFILE, JITTER)
    with (
        open_journal(path, spread),
        pytest.raises(InputError, match="another run is writing"),
        open_journal(path, spread),
    ):
        pass


def test_what_makes_no_sense_is_refused() -> None:
    wanted = Precision()
    with pytest.raises(InputError, match="nothing varies"):
        Randomness(0.0, None, 1)
    with pytest.raises(InputError, match="unknown fading"):
        Fading("rain", 1.0, 2.0)
    with pytest.raises(InputError, match="unknown figure"):
        Precision("p42")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="split plan"):
        run_replications(replace(SCENARIO, plan=Plan()), PROFILE, JITTER, wanted)
    with pytest.raises(InfeasiblePlan):
        run_replications(Scenario(VIT_B, 200_000, 400.0, Plan("segment_means", 2, 10)), PUBLISHED, JITTER, wanted)


COMMAND = (
    *("ask", "spread", "--model", "vit_tiny_patch16_224", "--segments", "10", "--batch", "2", "--jitter", "0.1"),
    *("--fading", "fades", "--dwell", "0.5", "--seed", "5", "--precision", "0.01", "--most", "416"),
)


@pytest.mark.slow
def test_workers_and_kills_change_no_bit(cli: Cli, tmp_path: Path) -> None:
    """One process; two; and two that are killed in the middle, gone on with by one."""
    alone = cli(*COMMAND, "--json").json
    pair = cli(*COMMAND, "--workers", "2", "--json").json
    assert pair == alone
    path = tmp_path / "kept.jsonl"
    child = subprocess.Popen(
        [*PRISM, *COMMAND, "--workers", "2", "--keep", str(path)],
        cwd=tmp_path,
        env=child_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while _lines(path) < 40:
        assert child.poll() is None
        time.sleep(0.01)
    workers = _children(child.pid)
    child.send_signal(signal.SIGKILL)
    child.wait(timeout=60)
    kept = _lines(path)
    assert 40 <= kept < 416
    for worker in workers:
        _ends(worker)
    resumed = cli(*COMMAND, "--keep", str(path), "--json").json
    assert kept - 2 <= resumed["resumed"] <= kept
    assert resumed | {"resumed": 0} == alone


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]


def _ends(pid: int) -> None:
    """A worker whose parent was killed does not stay behind."""
    for _ in range(1000):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.02)
    raise AssertionError(f"worker {pid} outlives its parent")
