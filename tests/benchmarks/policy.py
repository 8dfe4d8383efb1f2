"""Figures of the adaptive policy on made-up traces: `python -m tests.benchmarks.policy --link-noise 0.1`.

They depend on no clock: the same seeds give the same figures on every machine.
"""

from __future__ import annotations

import argparse
from statistics import mean

from prism.streams.generate import KINDS
from tests.benchmarks.figures import print_table
from tests.helpers.policy_trial import Trial, trial


def row(name: str, trials: list[Trial]) -> tuple[str, ...]:
    regrets = [one.comparison.regret_pct for one in trials]
    local = [one.comparison.vs_local_pct for one in trials]
    switches = 100 * sum(one.switches for one in trials) / sum(one.batches for one in trials)
    figures = (mean(regrets), max(regrets), mean(local), max(local), switches)
    return (name, str(len(trials)), *(f"{figure:.1f}" for figure in figures), "")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.policy", description=__doc__)
    parser.add_argument("--seeds", type=int, default=40, help="traces of each kind (default: 40)")
    parser.add_argument(
        "--link-noise", type=float, default=0.0, help="coefficient of variation of the link (default: 0)"
    )
    options = parser.parse_args()
    head = ("kind", "traces", "regret %", "worst", "to local %", "worst", "switches in 100", "")
    found = {
        kind: [one for seed in range(options.seeds) if (one := trial(kind, seed, options.link_noise)).changes]
        for kind in KINDS
    }
    rows = [row(kind, trials) for kind, trials in found.items()]
    rows.append(row("all", [one for trials in found.values() for one in trials]))
    print_table("The policy on traces whose best plan changes", head, rows)


if __name__ == "__main__":
    main()
