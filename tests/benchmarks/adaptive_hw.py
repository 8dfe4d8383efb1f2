"""The policy on a testbed's live link, beside fixed choices measured in the same session, and beside the simulator.

`python -m tests.benchmarks.adaptive_hw` as root, on two cores that do nothing else. A small sweep makes the map and
calibrates the simulator. From the map come three bandwidths between which the best mode changes. The policy serves
requests while the link goes through them; the fixed choices are measured at each before and after that, in random
order. Then the simulator serves the same requests on the same trace. Figures, no verdicts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from statistics import fmean, median

import numpy as np

from calibration.corpus.build import calibrate_corpus
from calibration.corpus.cases import cases_of
from calibration.recorded import recorded_facts
from hw.runtime.settings import Settings
from hw.runtime.terminal import Terminal
from prism.catalogue import shape_of
from prism.cli.boards import Boards, on_testbed
from prism.cli.run_backends import live_backend
from prism.plan import Plan
from prism.policy.adaptive import AdaptivePolicy, State
from prism.policy.agreement import Agreement, agreement, agreement_summary
from prism.policy.build_map import build_map
from prism.policy.log import LogLine, RunFacts, decision_log, log_text
from prism.policy.loop import Requests, Served, serve
from prism.policy.names import plan_name
from prism.policy.objective import Objective
from prism.policy.performance_map import PerformanceMap, write_map
from prism.policy.summary import MapTruth, compare, summary
from prism.profile import SystemProfile, profile_json
from prism.record import Measurement, write_measurements
from prism.streams.arrivals import Batching
from prism.streams.bandwidth import BandwidthTrace
from sim.streams.backend import SimBackend
from tests.benchmarks.figures import print_table
from tests.benchmarks.machine import machine_facts
from tests.benchmarks.phases import choose_phases, lead

LOCAL = Plan()
#: How much longer a phase lasts than its requests should take, so that they fit into it.
SLACK = 1.06
#: What a terminal device measures with; a pass at 20 Mbps takes seconds.
TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Asked:
    """What is measured, and how much of it."""

    model: str
    batch: int
    plans: tuple[Plan, ...]
    bandwidths_mbps: tuple[float, ...]
    rounds: int
    passes: int
    fixed_passes: int
    requests: int
    margin: float
    phases_mbps: tuple[float, ...] | None


# ------------------------------------------------------------------------------------------------------- fixed choices


def measured(
    terminal: Terminal, asked: Asked, bandwidths_mbps: Sequence[float], passes: int, order: np.random.Generator
) -> list[Measurement]:
    """So many passes of each plan at each bandwidth, the visits in random order, each after one unrecorded pass."""
    cases = [(LOCAL, bandwidths_mbps[-1])]
    cases += [(plan, mbps) for plan in asked.plans for mbps in bandwidths_mbps]
    records = []
    for index in order.permutation(len(cases)):
        plan, mbps = cases[index]
        terminal.set_bandwidth(mbps)
        prepared = terminal.prepare(plan, asked.batch)
        prepared.run()
        records += [prepared.run().record for _ in range(passes)]
    return records


def by_case(records: Sequence[Measurement]) -> dict[tuple[Plan, float], list[float]]:
    """Seconds of each plan at each bandwidth; of local at 0, since it takes none."""
    found: dict[tuple[Plan, float], list[float]] = {}
    for record in records:
        mbps = record.bandwidth_mbps if record.plan.devices > 1 else 0.0
        found.setdefault((record.plan, mbps), []).append(record.total_s)
    return found


# ---------------------------------------------------------------------------------------------------------- both runs


@dataclass(frozen=True)
class Run:
    """One backend's run and its log."""

    policy: AdaptivePolicy
    served: list[Served]
    state: State
    log: list[LogLine]


def task(table: PerformanceMap, asked: Asked, phases_mbps: Sequence[float]) -> tuple[BandwidthTrace, Requests]:
    """A trace on which about so many requests fit into each phase, and as many requests as fill it."""
    lengths = [SLACK * asked.requests * lead(table, asked.batch, mbps).best_s for mbps in phases_mbps]
    starts = tuple(float(start) for start in np.cumsum([0.0, *lengths[:-1]]).round(2))
    trace = BandwidthTrace(starts, tuple(phases_mbps), "three phases")
    return trace, Requests(round(SLACK * 3 * asked.requests), None, Batching(asked.batch))


def facts_of(backend: str, table: PerformanceMap, trace: BandwidthTrace, requests: Requests) -> RunFacts:
    return RunFacts(backend, table.model, Objective().label, requests.label, trace.name, trace.digest)


def on_hardware(boards: Boards, table: PerformanceMap, trace: BandwidthTrace, requests: Requests) -> Run:
    policy = AdaptivePolicy(table, Objective(), 1)
    with live_backend(boards, trace) as backend:
        served, state = serve(policy, backend, requests)
    return Run(policy, served, state, decision_log(served, facts_of("hw", table, trace, requests), trace))


def in_simulation(profile: SystemProfile, table: PerformanceMap, trace: BandwidthTrace, requests: Requests) -> Run:
    policy = AdaptivePolicy(table, Objective(), 1)
    served, state = serve(policy, SimBackend(shape_of(table.model), profile, trace), requests)
    return Run(policy, served, state, decision_log(served, facts_of("sim", table, trace, requests), trace))


# ------------------------------------------------------------------------------------------------------------ figures


@dataclass(frozen=True)
class Phase:
    """What was paid in one phase, and what each plan takes for a batch in it, in seconds."""

    mbps: float
    batches: int
    paid_s: float
    plans_s: dict[Plan, float]

    @property
    def best(self) -> Plan:
        return min(self.plans_s, key=lambda plan: self.plans_s[plan])

    @property
    def lead(self) -> float:
        """How much longer the best plan of the other mode takes than the best of all, relatively."""
        other_s = min(seconds for plan, seconds in self.plans_s.items() if plan.mode != self.best.mode)
        return other_s / self.plans_s[self.best] - 1


def phases_of(run: Run, trace: BandwidthTrace, fixed: dict[tuple[Plan, float], list[float]]) -> list[Phase]:
    found = []
    for begin_s, _, mbps in trace.pieces():
        mine = [line for line in run.log if line.link.since_s == begin_s]
        paid_s = sum(line.outcome.restore_s + line.outcome.total_s for line in mine)
        plans_s = {plan: fmean(times) for (plan, at), times in fixed.items() if at in (0.0, mbps)}
        found.append(Phase(mbps, len(mine), paid_s, plans_s))
    return found


def totals(phases: Sequence[Phase], between_s: float) -> dict[str, float]:
    """Seconds for the batches that the policy served: its own, with what it spent between them, and fixed choices'."""
    means = [plan for plan in phases[0].plans_s if plan != LOCAL]
    return {
        "policy": sum(phase.paid_s for phase in phases) + between_s,
        "best of each phase": sum(phase.batches * phase.plans_s[phase.best] for phase in phases),
        "always local": sum(phase.batches * phase.plans_s[LOCAL] for phase in phases),
    } | {f"always {plan_name(plan)}": sum(phase.batches * phase.plans_s[plan] for phase in phases) for plan in means}


def print_phases(phases: Sequence[Phase]) -> None:
    plans = list(phases[0].plans_s)
    print_table(
        "Phases: milliseconds of a batch, fixed choices measured before and after (means)",
        ("Mbps", "batches", "policy", *map(plan_name, plans), "lead %", "best"),
        [
            (
                f"{phase.mbps:g}",
                str(phase.batches),
                f"{1e3 * phase.paid_s / phase.batches:.1f}" if phase.batches else "-",
                *(f"{1e3 * phase.plans_s[plan]:.1f}" for plan in plans),
                f"{100 * phase.lead:.1f}",
                plan_name(phase.best),
            )
            for phase in phases
        ],
    )


def print_totals(seconds: dict[str, float]) -> None:
    best_s = seconds["best of each phase"]
    rows = [(name, f"{each:.1f}", f"{100 * (each / best_s - 1):+.1f}", "") for name, each in seconds.items()]
    print_table("Total for the same requests", ("", "s", "over the best %", ""), rows)


def print_agreement(found: Agreement) -> None:
    rows = [
        (
            f"{phase.bandwidth_mbps:g}",
            *map(str, (*phase.batches, phase.agree, phase.inside_noise, phase.disagree)),
            "-" if phase.latency_ratio is None else f"{phase.latency_ratio:.3f}",
            "",
        )
        for phase in found.phases
    ]
    head = ("Mbps", "batches hw", "sim", "agree", "in noise", "disagree", "hw / sim", "")
    print_table("Testbed against simulator", head, rows)
    share = "-" if found.agreement_pct is None else f"{found.agreement_pct:.1f}"
    print(f"\nOf the decisions outside the noise {share} % agree; total time, testbed / simulator: "
          f"{found.latency_ratio:.3f}")  # fmt: skip


def print_spread(fixed: dict[tuple[Plan, float], list[float]]) -> None:
    rows = [
        (
            f"{plan_name(plan)}{f' at {mbps:g} Mbps' if mbps else ''}",
            str(len(times)),
            *(f"{1e3 * each:.1f}" for each in (min(times), median(times), fmean(times), max(times))),
            "",
        )
        for (plan, mbps), times in sorted(fixed.items(), key=lambda pair: (repr(pair[0][0]), pair[0][1]))
    ]
    print_table("Fixed choices, ms", ("", "passes", "min", "median", "mean", "max", ""), rows)


# --------------------------------------------------------------------------------------------------------------- main


def measure(asked: Asked, out: Path, say: Callable[[str], None]) -> None:
    """Everything on the boards, then everything that needs none, then the tables."""
    order = np.random.default_rng(0)
    settings = Settings(asked.model, timeout_s=TIMEOUT_S)
    with on_testbed(settings, 2, asked.bandwidths_mbps[-1], "--meter", "none") as boards:
        terminal = boards.terminal
        print_table("Testbed", ("", ""), terminal.facts().items())
        say("sweep")
        sweep = [
            record
            for _ in range(asked.rounds)
            for record in measured(terminal, asked, asked.bandwidths_mbps, asked.passes, order)
        ]
        table = build_map(sweep, {}, datetime.now(timezone.utc))
        write_measurements(out / "sweep.jsonl", sweep)
        write_map(out / "map.json", table)
        phases_mbps = asked.phases_mbps or choose_phases(table, asked.batch, asked.margin)
        if phases_mbps is None:
            print_spread(by_case(sweep))
            raise SystemExit(f"no three bandwidths on which the best mode changes by {asked.margin:.0%}; see above")
        trace, requests = task(table, asked, phases_mbps)
        say(f"phases {', '.join(f'{mbps:g}' for mbps in phases_mbps)} Mbps from {trace.time_s} s")
        distinct = tuple(dict.fromkeys(phases_mbps))
        fixed = measured(terminal, asked, distinct, asked.fixed_passes, order)
        say("the policy")
        run = on_hardware(boards, table, trace, requests)
        say("fixed choices again")
        terminal.close()  # its group may have been given up in the run
        medium = boards.bed if terminal.settings.throttle == "none" else None
        with Terminal(terminal.settings, model=terminal.model, medium=medium) as again:
            fixed += measured(again, asked, distinct, asked.fixed_passes, order)
    say("the simulator")
    profile = calibrate_corpus(cases_of(sweep), recorded_facts(sweep, "adaptive_hw", 8.0)).profile
    (out / "hw.jsonl").write_text(log_text(run.log), encoding="utf-8")
    (out / "profile.json").write_text(profile_json(profile), encoding="utf-8")
    simulated = in_simulation(profile, table, trace, requests)
    (out / "sim.jsonl").write_text(log_text(simulated.log), encoding="utf-8")
    tell(run, simulated, trace, by_case(fixed), out)


def tell(
    run: Run, simulated: Run, trace: BandwidthTrace, fixed: dict[tuple[Plan, float], list[float]], out: Path
) -> None:
    print_spread(fixed)
    phases = phases_of(run, trace, fixed)
    print_phases(phases)
    seconds = totals(phases, run.state.probed_s + run.state.restored_s)
    print_totals(seconds)
    comparison = compare(run.policy, run.served, run.state, MapTruth(run.policy.table, trace))
    result = summary(run.policy, run.served, run.state, comparison)
    keys = ("requests", "lost", "served_locally_after_failure", "regret_pct", "vs_local_pct", "switches", "probes_pct")
    print_table("The policy's run, by the map", ("", ""), [(key, f"{result[key]:.4g}") for key in keys])
    print_table("Its decisions", ("", ""), [(name, str(count)) for name, count in result["decisions"].items()])
    alike = agreement(run.log, simulated.log)
    print_agreement(alike)
    figures = {"totals_s": seconds, "run": result, "against_simulator": agreement_summary(alike)}
    (out / "figures.json").write_text(json.dumps(figures, indent=2), encoding="utf-8")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="tests.benchmarks.adaptive_hw", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="vit_small_patch16_224")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--segments", default="10,20", help="L of the split plans (default: 10,20)")
    parser.add_argument("--bandwidths", default="20,35,60,120,250,450,900", help="of the sweep, in Mbps")
    parser.add_argument("--rounds", type=int, default=2, help="of the sweep (default: 2)")
    parser.add_argument("--passes", type=int, default=2, help="timed in each visit of the sweep (default: 2)")
    parser.add_argument(
        "--fixed-passes", type=int, default=8, help="of each fixed choice, before and after (default: 8)"
    )
    parser.add_argument("--requests", type=int, default=100, help="about so many a phase (default: 100)")
    parser.add_argument("--margin", type=float, default=0.15, help="by which a phase's best mode leads in the map")
    parser.add_argument("--phases", help="three bandwidths instead of those that the map says, such as 400,25,200")
    parser.add_argument("--out", type=Path, default=Path("out/adaptive_hw"), help="folder for map, logs and figures")
    options = parser.parse_args()
    asked = Asked(
        options.model,
        options.batch,
        tuple(Plan("segment_means", 2, int(each), exchange="preposted") for each in options.segments.split(",")),
        tuple(sorted(float(each) for each in options.bandwidths.split(","))),
        options.rounds,
        options.passes,
        options.fixed_passes,
        options.requests,
        options.margin,
        None if options.phases is None else tuple(float(each) for each in options.phases.split(",")),
    )
    options.out.mkdir(parents=True, exist_ok=True)
    began_s = time.monotonic()
    print_table("Machine", ("", ""), machine_facts())
    measure(asked, options.out, lambda what: print(f"\n[{time.monotonic() - began_s:.0f} s] {what}", flush=True))
    print(f"\nThe whole took {time.monotonic() - began_s:.0f} s.")


if __name__ == "__main__":
    main()
