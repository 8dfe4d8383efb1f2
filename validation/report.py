"""The HTML report of a validation."""

from __future__ import annotations

from collections.abc import Iterator

from prism.record import STAGES
from prism.report.page import Block, Listing, Paragraph, Section, Table, plot, render
from validation.compare import TOTAL, Comparison
from validation.plots import measured_against_simulated, stage_bars
from validation.validate import Validation


def report_html(validation: Validation, command: str = "prism validate --report FILE") -> str:
    """The report as one file. `command` is what remakes it."""
    sections = [
        Section("Held-out errors", list(_held_out(validation))),
        Section("Stage by stage", list(_stages(validation))),
        Section("The published answer", list(_gains(validation))),
        Section("Forms tried", list(_forms(validation))),
        Section("Closed forms", list(_closed_forms(validation))),
        Section("Oddities of the published tables", [Listing(validation.oddities)]),
        Section("Gates", list(_gates(validation))),
    ]
    errors = ", ".join(f"{mode} {summary.total.mape_pct:.1f} %" for mode, summary in validation.modes.items())
    lead = (
        f"Mean absolute error of the total latency of batch sizes that calibration never saw: {errors}. "
        f"{'All gates passed.' if validation.passed else 'A GATE FAILED.'}"
    )
    return render("Simulated against published: two Orin Nano boards", lead, sections, command)


def _held_out(validation: Validation) -> Iterator[Block]:
    yield Paragraph(
        "Each batch size is left out of every mode in turn; costs and their forms are chosen and fitted on the other "
        "five, and SimPy simulates the one left out. The published figures are means of 20 runs without a spread, so "
        "there is no noise floor to set the errors against. Input is replicated on both boards."
    )
    yield plot(
        measured_against_simulated(validation.held_out),
        "Left: simulated against published total latency of left-out batches. Right: relative error; the band is 10 %.",
    )
    rows = []
    for mode, summary in validation.modes.items():
        for stage, errors in {TOTAL: summary.total, **summary.stages}.items():
            rows.append([f"{mode}, {stage}", *map(_pct, (errors.mape_pct, errors.max_pct, errors.bias_pct))])
    yield Table(["", "MAPE %", "worst %", "bias %"], rows, caption="Errors of left-out batches; bias keeps the sign.")


def _stages(validation: Validation) -> Iterator[Block]:
    yield plot(
        stage_bars(validation.held_out),
        "Stages of left-out batches, a sample. Plain bars are published, hatched bars simulated.",
    )
    yield Table(
        ["case", *(f"{stage} ms" for stage in (*STAGES, TOTAL))],
        [_case_row(pair) for pair in sorted(validation.held_out, key=lambda pair: (pair.mode, pair.measured.batch))],
        caption="Every left-out case: published, simulated and error.",
    )


def _case_row(pair: Comparison) -> list[str]:
    row = [f"{pair.measured.plan.label}, batch {pair.measured.batch}"]
    for stage in (*STAGES, TOTAL):
        measured_s, simulated_s = pair.measured.stage_s(stage), pair.simulated.stage_s(stage)
        both = f"{measured_s * 1e3:.1f} / {simulated_s * 1e3:.1f}"
        row.append(f"{both} ({pair.error_pct(stage):+.1f} %)" if measured_s > 0 else "-")
    return row


def _gains(validation: Validation) -> Iterator[Block]:
    yield Paragraph("Fitted to all data: what the fastest mode saves against full_tensor, and which mode that is.")
    yield Table(
        [
            "batch",
            "latency published %",
            "simulated %",
            "energy published %",
            "fitted %",
            "choice published",
            "simulated",
        ],
        [
            [
                str(gain.batch),
                f"{gain.published_latency_pct:.1f}",
                f"{gain.simulated_latency_pct:.1f}",
                f"{gain.published_energy_pct:.1f}",
                "-" if gain.simulated_energy_pct is None else f"{gain.simulated_energy_pct:.1f}",
                gain.published_choice,
                gain.simulated_choice,
            ]
            for gain in validation.gains
        ],
    )
    yield Paragraph(
        "Energy is a fit of one power per mode and is not gated: the source states neither the boards nor the rails "
        "that its energies count.",
        "note",
    )


def _forms(validation: Validation) -> Iterator[Block]:
    yield Paragraph(
        "Root mean square error in percent of each form on batch sizes left out within the training rows; the chosen "
        "form has a star. The first column is the fit to all data, the others are the folds, each without one batch "
        "size. The list of forms and the "
        "rule were written with the whole table in view; choosing and fitting in a fold see its training rows only."
    )
    everything = {"all data": validation.calibration.scores}
    everything |= {f"without {fold.batch}": fold.scores for fold in validation.folds}
    rows = []
    for stage, scores in validation.calibration.scores.items():
        for score in scores:
            cells = []
            for by_stage in everything.values():
                match = next((other for other in by_stage[stage] if other.form == score.form), None)
                cells.append("-" if match is None else f"{match.rms_pct:.1f}{' *' if match.chosen else ''}")
            rows.append([f"{stage}: {score.form}", *cells])
    yield Table(["stage: form", *everything], rows)


def _closed_forms(validation: Validation) -> Iterator[Block]:
    yield Paragraph("The simulator on made-up systems whose answer can be written on paper.")
    yield Table(
        ["system", "on paper s", "simulated s", "relative difference"],
        [
            [check.name, f"{check.expected_s:.9f}", f"{check.simulated_s:.9f}", f"{check.relative_error:.1e}"]
            for check in validation.closed_forms
        ],
    )


def _gates(validation: Validation) -> Iterator[Block]:
    failed = sum(not gate.passed for gate in validation.gates)
    verdict = f"{failed} gates failed." if failed else f"All {len(validation.gates)} gates passed."
    yield Paragraph(verdict, "bad" if failed else "good")
    yield Table(
        ["gate", "value", "limit", "unit", ""],
        [
            [gate.name, f"{gate.value:.3g}", f"{gate.limit:.3g}", gate.unit, "passed" if gate.passed else "FAILED"]
            for gate in validation.gates
        ],
        flags=["" if gate.passed else "bad" for gate in validation.gates],
    )


def _pct(value: float) -> str:
    return f"{value:.2f}"
