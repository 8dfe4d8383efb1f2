"""Figures for speed, with the machine and the spread beside them. No verdicts: clocks are not for tests to judge.

Run by `tox -e bench`, or `python -m tests.benchmarks` where Prism is installed.
"""

from __future__ import annotations

import argparse

from tests.benchmarks.commands import command_figures
from tests.benchmarks.figures import print_table
from tests.benchmarks.machine import machine_facts
from tests.benchmarks.performance_map import lookup_figures
from tests.benchmarks.simulator import event_counts, simulator_figures
from tests.benchmarks.twin import twin_figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="repeats of each figure (default: 15)")
    parser.add_argument("--scenarios", type=int, default=320, help="scenarios a round (default: 320)")
    options = parser.parse_args()

    print_table("Machine", ("", ""), machine_facts())
    print_table("SimPy events a scenario (ViT-B, two boards, L = 10)", ("", "events"), event_counts())
    rates, ratio = simulator_figures(options.rounds, options.scenarios)
    head = ("", "min", "median", "max", "target")
    title = f"Scenarios a second on one core, {options.rounds} rounds of {options.scenarios}, taken in turn"
    print_table(title, head, [figures.row("{:,.0f}") for figures in rates])
    print_table("Time of a scenario over time of the bare toy, round by round", head, [ratio.row("{:.2f}")])
    title, rates, faster = twin_figures(options.rounds, options.scenarios)
    print_table(title, head, [figures.row("{:,.0f}") for figures in rates])
    print_table(
        "Time of a scenario through SimPy over that through the twin, round by round", head, [faster.row("{:,.0f}")]
    )
    lookups = [figure.row("{:.1f}") for figure in lookup_figures(options.rounds)]
    print_table("Asking a performance map, microseconds", head, lookups)
    for title, figures in command_figures(options.rounds):
        print_table(title, head, [figure.row("{:.2f}") for figure in figures])


if __name__ == "__main__":
    main()
