"""Study files: what they may say, what the paper's grid is, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from prism.errors import InputError
from prism.plan import Plan
from sim.study.spec import Point, Study, load_study

SMALL = "[sweep]\nbatch = 8\nbandwidth_mbps = 400\n"


def study_of(text: str, folder: Path) -> Study:
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return load_study(path)


def points_of(text: str, folder: Path) -> tuple[Point, ...]:
    return study_of(text, folder).points()


def test_without_a_file_the_papers_grid_of_240_points() -> None:
    """6 batches x 8 bandwidths x (local, full_tensor, three compression rates)."""
    points = Study().points()
    assert len(points) == len(set(points)) == 240
    scenarios = [point.scenario for point in points]
    assert {scenario.shape.name for scenario in scenarios} == {"vit_base_patch16_224"}
    assert {scenario.batch for scenario in scenarios} == {1, 2, 4, 8, 16, 32}
    assert {scenario.bandwidth_mbps for scenario in scenarios} == {200, 300, 400, 500, 600, 700, 800, 900}
    assert {scenario.plan for scenario in scenarios} == {
        Plan(),
        Plan("full_tensor", 2),
        *(Plan("segment_means", 2, segments) for segments in (10, 20, 30)),
    }
    rates = {plan.compression_rate(197) for plan in {scenario.plan for scenario in scenarios} if plan.segments}
    assert sorted(round(rate, 1) for rate in rates) == [3.3, 4.9, 9.8]  # 3.3, 4.95, 9.9 of 198 tokens
    assert all(not point.speedup.changed for point in points)


def test_an_empty_file_is_the_papers_grid(tmp_path: Path) -> None:
    assert points_of("", tmp_path) == Study().points()


def test_one_value_a_list_and_a_range_say_the_same(tmp_path: Path) -> None:
    one = points_of(SMALL, tmp_path)
    assert points_of("[sweep]\nbatch = [8, 8]\nbandwidth_mbps = ['400 Mbps', 400, '0.4Gbps']\n", tmp_path) == one
    ranges = "[sweep]\nbatch = {from = 8, to = 9, step = 4}\nbandwidth_mbps = {from = 400, to = 400, step = 1}\n"
    assert points_of(ranges, tmp_path) == one


def test_a_value_given_twice_counts_once(tmp_path: Path) -> None:
    assert study_of("[sweep]\nbatch = [8, 1, 8]\n", tmp_path).sweep["batch"] == (8, 1)


def test_a_range_holds_both_ends(tmp_path: Path) -> None:
    study = study_of(
        "[sweep]\nbandwidth_mbps = {from = 0.1, to = 0.7, step = 0.1}\nbatch = {from=1,to=4,step=1}\n", tmp_path
    )
    assert study.sweep["bandwidth_mbps"] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    assert study.sweep["batch"] == (1, 2, 3, 4)


def test_compression_rates_replace_the_papers_segments(tmp_path: Path) -> None:
    plans = {point.scenario.plan for point in points_of(SMALL + "compression_rate = [9.9, 4.95]\n", tmp_path)}
    assert {plan.segments for plan in plans} == {None, 10, 20}
    both = points_of(SMALL + "compression_rate = 9.9\nsegments = [20, 10]\n", tmp_path)
    assert sorted(plan.segments or 0 for plan in {point.scenario.plan for point in both}) == [0, 0, 10, 20]


def test_every_key_reaches_the_plan(tmp_path: Path) -> None:
    text = SMALL + (
        "mode = 'segment_means'\nmodel = 'vit_small_patch16_224'\nsegments = 7\ndevices = [2, 3]\n"
        "exchange = 'preposted'\ninput_distribution = 'tokens'\nwire_dtype = 'float16'\n"
    )
    points = points_of(text, tmp_path)
    assert [point.scenario.plan for point in points] == [
        Plan("segment_means", devices, 7, wire_dtype="float16", exchange="preposted", input_distribution="tokens")
        for devices in (2, 3)
    ]
    assert {point.scenario.shape.name for point in points} == {"vit_small_patch16_224"}


def test_speedups_multiply_the_grid_and_are_named(tmp_path: Path) -> None:
    points = points_of(SMALL + "[speedup]\nstaging = [1, 2]\nair = 0.5\n", tmp_path)
    assert len(points) == 2 * 5
    assert {point.speedup.changed for point in points} == {("air x0.5",), ("staging x2", "air x0.5")}


def test_a_speedup_divides_costs_and_nothing_else() -> None:
    from prism.profile import Speedup, load_profile

    profile = load_profile("orin_nano_published")
    faster = Speedup(compute=2, staging=4, link_latency=5, air=10).of(profile)
    for mode, model in profile.compute.items():
        assert faster.compute[mode].seconds(3.0) == pytest.approx(model.seconds(3.0) / 2)
    for mode, model in profile.staging.items():
        assert faster.staging[mode].seconds(3.0) == pytest.approx(model.seconds(3.0) / 4)
    assert faster.link.transfer.fixed_s == pytest.approx(profile.link.transfer.fixed_s / 5)
    assert faster.link.airtime_s(1e6, 300) == pytest.approx(profile.link.airtime_s(1e6, 300) / 10)
    assert Speedup().of(profile) == profile


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not toml", "not valid TOML"),
        ("sweep = [", "not valid TOML"),
        ("nonsense = 1", "unknown key 'nonsense'"),
        ("nam = 'x'", "did you mean 'name'"),
        ("name = 3", "name = 3 must be"),
        ("profile = 3", "profile = 3 must be"),
        ("sweep = 3", "sweep = 3 must be"),
        ("speedup = []", "speedup = [] must be"),
        ("max_points = 'many'", "max_points"),
        ("max_points = true", "max_points = True must be"),
        ("max_points = -1", "max_points = -1 "),
        ("max_points = 1.5", "max_points"),
        ("[sweep]\nbach = 8", "unknown key 'bach'; did you mean 'batch'"),
        ("[sweep]\nmodel = 'resnet50'", "unknown model 'resnet50'"),
        ("[sweep]\nmode = 'fast'", "unknown mode 'fast'"),
        ("[sweep]\nmode = ['local', 'fast']", "unknown mode 'fast'"),
        ("[sweep]\nexchange = 'async'", "unknown exchange 'async'"),
        ("[sweep]\ninput_distribution = 'magic'", "unknown input distribution 'magic'"),
        ("[sweep]\nwire_dtype = 'int8'", "unknown wire dtype 'int8'"),
        ("[sweep]\nbatch = []", "sweep.batch has no values"),
        ("[sweep]\nbatch = 0", "sweep.batch = 0 is out of range"),
        ("[sweep]\nbatch = -8", "sweep.batch"),
        ("[sweep]\nbatch = 1e9", "sweep.batch"),
        ("[sweep]\nbatch = 1.5", "sweep.batch: 1.5 is not a whole number"),
        ("[sweep]\nbatch = nan", "sweep.batch"),
        ("[sweep]\nbatch = true", "sweep.batch: True is not"),
        ("[sweep]\nbatch = '8'", "sweep.batch: '8' is not a whole number"),
        ("[sweep]\nbatch = [[1]]", "sweep.batch: [1] is not"),
        ("[sweep]\nbatch = 1979-05-27", "sweep.batch"),
        ("[sweep]\nbatch = {from = 1, to = 8}", "sweep.batch: a range needs from, to and step; 'step' is missing"),
        ("[sweep]\nbatch = {from = 1, to = 8, by = 1}", "sweep.batch: unknown range key 'by'"),
        ("[sweep]\nbatch = {from = 8, to = 1, step = 1}", "sweep.batch: the range from 8 to 1"),
        ("[sweep]\nbatch = {from = 1, to = 8, step = 0}", "sweep.batch: the range"),
        ("[sweep]\nbatch = {from = 1, to = 8, step = -1}", "sweep.batch: the range"),
        ("[sweep]\nbatch = {from = 1, to = 8, step = 'x'}", "sweep.batch: step = 'x' is not a number"),
        ("[sweep]\nbatch = {from = 1, to = inf, step = 1}", "sweep.batch: a range needs finite numbers"),
        ("[sweep]\nbatch = {from = 1, to = 8, step = inf}", "sweep.batch: a range needs finite numbers"),
        ("[sweep]\nbatch = {from = nan, to = 8, step = 1}", "sweep.batch: a range needs finite numbers"),
        ("[sweep]\nbatch = {from = 1, to = 2, step = 1e-320}", "sweep.batch"),
        ("[sweep]\nbatch = {from = nan, to = 2, step = 1}", "sweep.batch"),
        ("[sweep]\nbandwidth_mbps = '400 parsec'", "sweep.bandwidth_mbps: bandwidth '400 parsec': unknown unit"),
        ("[sweep]\nbandwidth_mbps = -400", "sweep.bandwidth_mbps"),
        ("[sweep]\nbandwidth_mbps = nan", "sweep.bandwidth_mbps"),
        ("[sweep]\nbandwidth_mbps = 1e30", "sweep.bandwidth_mbps"),
        ("[sweep]\ncompression_rate = 'x'", "sweep.compression_rate: 'x' is not a number"),
        ("[sweep]\ncompression_rate = nan", "compression"),
        ("[sweep]\ncompression_rate = 1e-320", "compression"),
        ("[sweep]\ncompression_rate = -3", "compression"),
        ("[sweep]\ncompression_rate = 40", "it would round to L = 2, CR 49.25"),
        ("[sweep]\nsegments = 100", "use at most 99"),
        ("[sweep]\nsegments = 0", "sweep.segments = 0 is out of range"),
        ("[sweep]\ndevices = 1", "needs 2 to 64 devices"),
        ("[sweep]\ndevices = 65", "needs 2 to 64 devices"),
        ("[speedup]\nstage = 2", "unknown key 'stage'; did you mean 'staging'"),
        ("[speedup]\nstaging = 0", "speedup of staging = 0"),
        ("[speedup]\nstaging = -1", "speedup of staging"),
        ("[speedup]\nstaging = nan", "speedup of staging"),
        ("[speedup]\nstaging = inf", "speedup of staging"),
        ("[speedup]\nstaging = '2'", "speedup.staging: '2' is not a number"),
        ("[speedup]\nstaging = []", "speedup.staging has no values"),
        ("max_points = 10", "more than max_points = 10"),
        ("[sweep]\nbatch = {from = 1, to = 900000, step = 1}", "more than max_points = 100,000"),
        ("[sweep]\nbatch = {from = 1, to = 1e12, step = 1}", "values; at most"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_that_names_the_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as refusal:
        points_of(text, tmp_path)
    said = str(refusal.value)
    assert message in said
    assert "\n" not in said


@pytest.mark.parametrize("text", ["nonsense = 1", "[sweep]\nbatch = 0", "[speedup]\nstaging = 0", "not toml"])
def test_a_refusal_names_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"study\.toml: "):
        study_of(text, tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"name = '\xe9'"])
def test_a_binary_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "study.toml").write_bytes(content)
    with pytest.raises(InputError, match=r"study\.toml: not a UTF-8 text file"):
        load_study(tmp_path / "study.toml")


def test_more_points_may_be_asked_for(tmp_path: Path) -> None:
    assert len(points_of("max_points = 432", tmp_path)) == 240  # counted with what local does not depend on
    with pytest.raises(InputError, match="432 points"):
        points_of("max_points = 431", tmp_path)
