"""The HTML report of a corpus's validation."""

from __future__ import annotations

from collections.abc import Iterator

from prism.report.page import Block, Listing, Paragraph, Section, Table, plot, render
from validation.corpus.assess import Assessment, SplitResult
from validation.corpus.crossovers import Crossing
from validation.corpus.errors import ALL
from validation.corpus.gates import wrong_decisions
from validation.corpus.plots import lag_plot, learning_plot, measured_against_simulated, residuals, stage_bars
from validation.corpus.spans import lags, parting_blocks, partings

WORST_CASES = 15
WHAT_IS_HELD_OUT = {
    "folds": "Five folds: every plan of a model, batch and bandwidth is held out together, every case predicted once.",
    "batch": "Each batch size left out.",
    "bandwidth": "Each bandwidth left out.",
    "model": "Each model left out.",
    "ranks": "Fitted at one and two boards, three and more predicted.",
}


def corpus_report_html(assessment: Assessment, command: str) -> str:
    """The report as one file. `command` is what remakes it."""
    sections = [
        Section("Held-out errors", list(_errors(assessment))),
        Section("Stages", list(_stages(assessment))),
        Section("Decisions", list(_decisions(assessment))),
        Section("Where in the pass", list(_where(assessment))),
        Section("How many cases", list(_learning(assessment))),
        Section("Costs", list(_costs(assessment))),
        Section("Gates", list(_gates(assessment))),
    ]
    total = assessment.folds.modes[ALL].total
    lead = (
        f"{len(assessment.cases)} measured cases, each predicted by a calibration that never saw its place: mean "
        f"absolute error {total.mape_pct:.1f} %, noise floor {total.noise_floor_pct:.1f} %. "
        f"{'All gates passed.' if assessment.passed else 'A GATE FAILED.'}"
    )
    return render("Simulated against measured", lead, sections, command)


def _errors(assessment: Assessment) -> Iterator[Block]:
    yield plot(
        measured_against_simulated(assessment.folds.predictions),
        "Simulated against measured, five folds. Bars: where nine in ten medians should lie.",
    )
    yield plot(residuals(assessment.folds.predictions), "Error of the total, positive where the simulator is too slow.")
    for name, result in assessment.results.items():
        yield Table(
            ["", "cases", "MAPE %", "median %", "P90 %", "max %", "bias %", "noise floor %", "coverage %"],
            list(_error_rows(result)),
            caption=WHAT_IS_HELD_OUT[name],
        )
    worst = sorted(assessment.folds.predictions, key=lambda pair: -abs(pair.error_pct()))[:WORST_CASES]
    yield Table(
        ["case", "measured ms", "simulated ms", "error %", "repeat spread %"],
        [
            [
                pair.case.key.label,
                f"{pair.case.total_s * 1e3:.1f}",
                f"{pair.simulated.total_s * 1e3:.1f}",
                f"{pair.error_pct():+.1f}",
                f"{pair.case.spread_pct():.1f}",
            ]
            for pair in worst
        ],
        caption="The cases that are furthest off.",
    )


def _error_rows(result: SplitResult) -> Iterator[list[str]]:
    for mode, errors in result.modes.items():
        for stage, each in errors.stages.items():
            figures = (each.mape_pct, each.median_pct, each.p90_pct, each.max_pct)
            coverage = f"{errors.coverage_pct:.0f}" if stage == "total" else ""
            yield [
                f"{mode}, {stage}",
                str(each.cases),
                *(f"{figure:.2f}" for figure in figures),
                f"{each.bias_pct:+.2f}",
                f"{each.noise_floor_pct:.2f}",
                coverage,
            ]


def _stages(assessment: Assessment) -> Iterator[Block]:
    yield Paragraph("Staging on a CPU testbed is a memory copy. It is shown and not gated.", "note")
    yield plot(
        stage_bars(assessment.folds.predictions),
        "Mean stages of the terminal device. Plain bars are measured, hatched bars simulated, held out.",
    )


def _decisions(assessment: Assessment) -> Iterator[Block]:
    summary = assessment.folds.winners.get(ALL)
    if summary is None:
        yield Paragraph("The corpus holds no place where local and distributed were both measured.", "note")
        return
    agreement = "-" if summary.agreement_pct is None else f"{summary.agreement_pct:.1f} %"
    yield Paragraph(
        f"{summary.decisions} held-out decisions, {summary.won_by_local_pct:.0f} % won by local. {summary.clear} "
        f"differ by more than the noise; of these {agreement} were chosen as measured. Mean regret of all "
        f"{summary.mean_regret_pct:.2f} %, worst {summary.worst_regret_pct:.1f} %."
    )
    wrong = wrong_decisions(assessment.folds.decisions)
    if wrong:
        yield Listing(
            [
                f"{each.label}: best {each.best.case.key.plan.label}, chosen {each.chosen.case.key.plan.label}, "
                f"regret {each.regret_pct:.1f} %"
                for each in wrong
            ]
        )
    yield Table(
        ["crossover", "axis", "measured", "simulated", "error %"],
        [
            [
                line.label,
                line.axis,
                _crossing(line.measured),
                _crossing(line.simulated),
                "-" if line.error_pct is None else f"{line.error_pct:+.1f}",
            ]
            for line in assessment.crossovers
        ],
        caption="Where the best distributed plan is as fast as local, with 90 % intervals.",
    )


def _crossing(crossing: Crossing) -> str:
    if crossing.at is None:
        return f"none ({crossing.crosses_pct:.0f} % of draws)"
    if crossing.low is None or crossing.high is None:
        return f"{crossing.at:.3g}"
    return f"{crossing.at:.3g} ({crossing.low:.3g} to {crossing.high:.3g})"


def _where(assessment: Assessment) -> Iterator[Block]:
    pair = assessment.pair
    if pair is None:
        yield Paragraph("No run of this corpus kept its spans, so no pass can be laid beside its simulation.", "note")
        return
    yield Paragraph(
        f"{pair.measured.model}, batch {pair.measured.batch}, {pair.measured.bandwidth_mbps:g} Mbps, "
        f"{pair.measured.plan.label}: measured {pair.measured.total_s * 1e3:.1f} ms, simulated with the costs of all "
        f"cases {pair.simulated.total_s * 1e3:.1f} ms."
    )
    yield plot(lag_plot(lags(pair)), "How far the simulated pass is behind the measured one at the end of each block.")
    yield Table(
        ["rank, stage, step", "measured ms", "simulated ms", "apart ms"],
        [
            [
                f"{each.rank}, {each.stage}, {each.name}",
                f"{each.measured_s * 1e3:.2f}",
                f"{each.simulated_s * 1e3:.2f}",
                f"{each.apart_s * 1e3:+.2f}",
            ]
            for each in partings(pair)
        ],
        caption="All steps of a kind together, furthest apart first.",
    )
    blocks = [
        f"rank {lag.rank}, block {lag.block}: {added * 1e3:+.2f} ms" for lag, added in parting_blocks(lags(pair))[:5]
    ]
    yield Paragraph("Blocks in which the two part most: " + "; ".join(blocks) + ".")


def _learning(assessment: Assessment) -> Iterator[Block]:
    if not assessment.learning:
        yield Paragraph("Not asked for.")
        return
    yield plot(
        learning_plot(assessment.learning),
        "Held-out error of the total against the number of cases that the calibration has seen.",
    )
    yield Paragraph(
        "Designed: each next case is the one after which predictions are least uncertain, from amounts and rough "
        f"prices alone. Of the cases at hand, the one to measure again is {assessment.next_case}."
    )


def _costs(assessment: Assessment) -> Iterator[Block]:
    calibration = assessment.calibration
    fits = {"compute": calibration.compute, "staging": calibration.staging, "link": calibration.link.fit}
    rows = [
        [
            f"{stage}: {name}",
            f"{fit.price(name) * 1e3:.4g}",
            f"{fit.stderr(name) * 1e3:.2g}",
            f"{100 * fit.scatter:.1f}",
        ]
        for stage, fit in fits.items()
        if fit is not None
        for name in fit.names
    ]
    yield Table(["amount", "ms a unit", "standard error", "scatter %"], rows, caption="Fitted to all cases.")
    cache = "no limit shows" if calibration.cache_mb is None else f"{calibration.cache_mb:g} MB of tokens a step"
    knots = ", ".join(f"{1e3 * knot:g} KB" for knot in calibration.link.knots_mb) or "none"
    yield Paragraph(f"Cache: {cache}. Sizes of messages at which their price bends: {knots}.")
    overlap = calibration.link.preposted
    if overlap is not None:
        latency_s, mb_s, _ = overlap.values
        yield Paragraph(
            f"Receives posted ahead: latency {latency_s * 1e3:.3f} ms and {mb_s * 1e3:.2f} ms a MB; the first flow on "
            f"the air keeps {100 * overlap.weight / (1 + overlap.weight):.0f} % of it while it shares; scatter "
            f"{100 * overlap.scatter:.1f} %."
        )


def _gates(assessment: Assessment) -> Iterator[Block]:
    failed = sum(not gate.passed for gate in assessment.gates)
    verdict = f"{failed} gates failed." if failed else f"All {len(assessment.gates)} gates passed."
    yield Paragraph(verdict, "bad" if failed else "good")
    yield Table(
        ["gate", "value", "limit", "unit", ""],
        [
            [gate.name, f"{gate.value:.3g}", f"{gate.limit:.3g}", gate.unit, "passed" if gate.passed else "FAILED"]
            for gate in assessment.gates
        ],
        flags=["" if gate.passed else "bad" for gate in assessment.gates],
    )
