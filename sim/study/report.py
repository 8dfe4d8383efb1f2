"""The HTML report of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pandas as pd

from prism.profile import SystemProfile
from prism.report.page import Block, Listing, Paragraph, Section, Table, plot, render
from prism.report.plot import figure_svg
from sim.study.plots import MAX_SERIES, breakdown, crossover_map, per_sample
from sim.study.result import StudyResult
from sim.study.summary import TextTable, bandwidth_rows, batch_rows, headline, plan_labels, views


def report_html(result: StudyResult, command: str) -> str:
    """The report as one file. `command` is what remakes it."""
    sections = [
        Section("Where splitting is worth it", list(_maps(result))),
        Section("Crossovers, solved for", list(_crossovers(result))),
        Section("Where the time goes", list(_breakdowns(result))),
        Section("One sample", list(_samples(result))),
        Section("What is published, fitted and assumed", list(_inputs(result.profile))),
        Section("What is extrapolated or infeasible", list(_limits(result))),
    ]
    return render(result.study.name, headline(result), sections, command)


def map_svg(result: StudyResult) -> str | None:
    """The crossover map of the study's first model and system as a file of its own; None where no plan fits."""
    feasible = next(_feasible_views(result), None)
    if feasible is None:
        return None
    label, rows = feasible
    return figure_svg(crossover_map(rows), f"Fastest plan over batch and bandwidth, simulated: {label}.")


def _feasible_views(result: StudyResult) -> Iterator[tuple[str, pd.DataFrame]]:
    yield from views(result.table[result.table["feasible"]])


def _reference_mbps(result: StudyResult) -> float:
    reference = result.profile.link.reference_bandwidth_mbps
    bandwidths: list[float] = sorted(result.table["bandwidth_mbps"].unique())
    return min(bandwidths, key=lambda mbps: abs(mbps - reference))


def _maps(result: StudyResult) -> Iterator[Block]:
    distributions = ", ".join(result.study.sweep["input_distribution"])
    yield Paragraph(
        f"Simulated with profile {result.profile.name}; input distribution: {distributions}. A cell names the plan "
        "with the least latency and its change against local execution of the same batch.",
    )
    for label, rows in _feasible_views(result):
        yield plot(crossover_map(rows), f"Fastest plan: {label}.")


def _crossovers(result: StudyResult) -> Iterator[Block]:
    yield Paragraph(
        "Not read off the grid: batch sizes are whole numbers that were simulated or bisected between, bandwidths "
        "come from root finding on simulated latency. Beyond the measured bandwidth a crossover is extrapolated."
    )
    yield _table(batch_rows(result))
    yield _table(bandwidth_rows(result))


def _breakdowns(result: StudyResult) -> Iterator[Block]:
    mbps = _reference_mbps(result)
    for label, rows in _feasible_views(result):
        shown = plan_labels(rows).nunique()
        rest = f" The first {MAX_SERIES} of {shown} plans; the table has the rest." if shown > MAX_SERIES else ""
        yield plot(breakdown(rows, mbps), f"Stages of the terminal device's timeline at {mbps:g} Mbps: {label}.{rest}")


def _samples(result: StudyResult) -> Iterator[Block]:
    mbps = _reference_mbps(result)
    for label, rows in _feasible_views(result):
        yield plot(per_sample(rows, mbps), f"Latency and energy of one sample at {mbps:g} Mbps: {label}.")
    if result.profile.power is not None:
        yield Paragraph(
            f"Energy is one power per mode times the simulated latency; scope: {result.profile.power.scope}.", "note"
        )


def _inputs(profile: SystemProfile) -> Iterator[Block]:
    provenance = profile.provenance
    yield Paragraph(
        f"Published: {provenance.source} ({provenance.licence}). {provenance.machine}. {provenance.software}."
    )
    yield Paragraph(f"Fitted: the cost models below, to {provenance.cases} cases of {provenance.runs} runs in all.")
    yield Table(
        ["stage", "form", "fixed ms", "scale ms", "exponent", "driver", "measured range", "residual %"],
        [
            [
                stage,
                model.form,
                f"{model.fixed_s * 1e3:.3f}",
                f"{model.scale_s * 1e3:.3f}",
                f"{model.exponent:.3f}",
                model.driver,
                f"{model.valid_from:.3g} to {model.valid_to:.3g}",
                f"{provenance.rms_residual_pct[stage]:.1f}" if stage in provenance.rms_residual_pct else "-",
            ]
            for stage, model in profile.cost_models().items()
        ],
        caption="Seconds of one step = fixed + scale * driver ^ exponent. Airtime scales with 1 / bandwidth.",
    )
    yield Paragraph("Assumed, neither published nor fitted:")
    yield Listing(profile.assumed)


def _limits(result: StudyResult) -> Iterator[Block]:
    table = result.table
    feasible = table[table["feasible"]]
    reasons: Counter[str] = Counter()
    for text in feasible["extrapolated"]:
        reasons.update(reason for reason in text.split("; ") if reason)
    count = int((feasible["extrapolated"] != "").sum())
    yield Paragraph(
        f"{count} of {len(feasible)} results lie outside what was measured or change the system, in these ways:", "note"
    )
    if reasons:
        yield Table(["reason", "results"], [[reason, str(number)] for reason, number in reasons.most_common(25)])
    infeasible = table[~table["feasible"]]
    if len(infeasible):
        yield Paragraph(f"{len(infeasible)} plans do not fit in memory and were not simulated.", "note")
        worst = infeasible.drop_duplicates("infeasible_because").head(10)
        yield Table(["model", "reason"], [[row["model"], row["infeasible_because"]] for _, row in worst.iterrows()])


def _table(table: TextTable) -> Table:
    title, columns, rows = table
    return Table(columns, rows, caption=title)
