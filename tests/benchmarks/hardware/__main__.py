"""Prism's exchange beside the plain all_gather loop, on a testbed, in one run, taken in turn. Figures, no verdicts.

Run by `tox -e bench-hw`. Two ranks of vit_base at 400 Mbps; every contestant is prepared anew in each round, warmed up,
and then timed, so that what disturbs the machine for a while hits them all.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hw.runtime.rank_pass import Carrier
from hw.runtime.settings import Settings
from hw.runtime.terminal import Answer, Terminal
from prism.cli.boards import on_testbed
from prism.plan import ExchangeKind, InputDistribution, Mode, Plan
from prism.schedule import Exchange
from tests.benchmarks.figures import print_table
from tests.benchmarks.machine import machine_facts

MODEL, RANKS, BANDWIDTH_MBPS = "vit_base_patch16_224", 2, 400.0


@dataclass(frozen=True)
class Case:
    """One message size: what is exchanged, and how many samples a pass has."""

    mode: Mode
    segments: int | None
    batch: int

    def plan(self, exchange: ExchangeKind, distribution: InputDistribution = "replicated") -> Plan:
        return Plan(self.mode, RANKS, self.segments, exchange=exchange, input_distribution=distribution)


@dataclass(frozen=True)
class Contestant:
    """Who carries the exchanges, how they are posted and how the input gets to the workers."""

    carrier: Carrier
    exchange: ExchangeKind
    distribution: InputDistribution = "replicated"

    @property
    def label(self) -> str:
        who = "all_gather" if self.carrier == "all_gather" else self.exchange
        return who if self.distribution == "replicated" else f"{who}, input sent as {self.distribution}"


CASES = (Case("segment_means", 10, 1), Case("segment_means", 10, 4), Case("full_tensor", None, 1))
COMPARATOR = Contestant("all_gather", "blocking")
CONTESTANTS = (
    COMPARATOR,
    Contestant("prism", "blocking"),
    Contestant("prism", "preposted"),
    Contestant("prism", "preposted", "tokens"),
)


@dataclass(frozen=True)
class Taken:
    """What a timed pass gave, in seconds."""

    total_s: float
    wait_s: float
    runtime_share: float
    exchanges_s: tuple[float, ...]


def taken(answer: Answer) -> Taken:
    steps = [step for step in answer.timelines[0] if isinstance(step.step, Exchange)]
    exchanges = tuple(step.end_s - step.entered_s for step in steps)
    record = answer.record
    assert record.runtime_s is not None
    return Taken(record.total_s, sum(exchanges), record.runtime_s / record.total_s, exchanges)


def measure(terminal: Terminal, rounds: int, passes: int) -> dict[tuple[Case | int, Contestant | None], list[Taken]]:
    """Passes of every case by every contestant, and local ones by batch."""
    found: defaultdict[tuple[Case | int, Contestant | None], list[Taken]] = defaultdict(list)
    entries: list[tuple[Case | int, Contestant | None]] = [(case, who) for case in CASES for who in CONTESTANTS]
    entries += [(batch, None) for batch in sorted({case.batch for case in CASES})]
    order = np.random.default_rng(0)
    for _ in range(rounds):
        for index in order.permutation(len(entries)):
            case, who = entries[index]
            if isinstance(case, int) or who is None:
                assert isinstance(case, int)
                prepared = terminal.prepare(Plan("local"), case)
            else:
                plan = case.plan(who.exchange, who.distribution)
                prepared = terminal.prepare(plan, case.batch, carrier=who.carrier)
            prepared.run()
            found[entries[index]] += [taken(prepared.run()) for _ in range(passes)]
    return dict(found)


def spread(values: Sequence[float], form: str, scale: float = 1.0) -> tuple[str, ...]:
    """Least, median, P90 and greatest."""
    return tuple(form.format(value * scale) for value in np.percentile(values, (0, 50, 90, 100)))


def print_case(case: Case, found: dict[tuple[Case | int, Contestant | None], list[Taken]]) -> dict[str, object]:
    """Tables of one message size; returns its ratios."""
    nbytes = case.plan("blocking").sent_tokens(197)[1] * 768 * 4 * case.batch
    print_table(
        f"{case.mode}, batch {case.batch}: {RANKS} messages of {nbytes / 1e3:.0f} KB an exchange. "
        "Exchange wait in a pass, ms",
        ("", "min", "median", "P90", "max", ""),
        [(who.label, *spread([one.wait_s for one in found[case, who]], "{:.1f}", 1e3), "") for who in CONTESTANTS],
    )
    local = np.median([one.total_s for one in found[case.batch, None]])
    base = [one.wait_s for one in found[case, COMPARATOR]]
    rows, ratios = [], {}
    for who in CONTESTANTS:
        mine = found[case, who]
        waits = [one.wait_s for one in mine]
        ratio = {
            "wait_median": float(np.median(waits) / np.median(base)),
            "wait_p90": float(np.percentile(waits, 90) / np.percentile(base, 90)),
            "over_local": float(np.median([one.total_s for one in mine]) / local),
            "runtime_share": float(np.median([one.runtime_share for one in mine])),
        }
        ratios[who.label] = ratio
        rows.append((who.label, *(f"{value:.3f}" for value in ratio.values()), ""))
    print_table(
        "Ratios: exchange wait to the comparator's (median, P90), pass to local's, the runtime's own share of a pass",
        ("", "median", "P90", "over local", "own share", ""),
        rows,
    )
    return {"case": f"{case.mode} batch {case.batch}", "message_bytes": nbytes, "ratios": ratios}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.hardware", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="rounds, in each of which everyone runs (default: 10)")
    parser.add_argument("--passes", type=int, default=3, help="timed passes of each in a round (default: 3)")
    parser.add_argument("--json", type=Path, help="write the ratios here as well")
    options = parser.parse_args()
    print_table("Machine", ("", ""), machine_facts())
    with on_testbed(Settings(MODEL, timeout_s=30), RANKS, BANDWIDTH_MBPS, "--meter", "none") as boards:
        boards.terminal.set_bandwidth(BANDWIDTH_MBPS)
        print_table("Testbed", ("", ""), boards.terminal.facts().items())
        found = measure(boards.terminal, options.rounds, options.passes)
    results = [print_case(case, found) for case in CASES]
    if options.json:
        options.json.write_text(json.dumps(results, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
