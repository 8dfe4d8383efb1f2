"""`prism calibrate`: measurements in, profile out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prism.cli.output import json_option, print_json, print_table, say

if TYPE_CHECKING:
    from calibration.build import Calibration, ProfileFacts
    from calibration.corpus.build import CorpusCalibration
    from prism.profile import SystemProfile
    from prism.record import Measurement

#: How far a rebuilt coefficient may lie from the shipped one.
COEFFICIENT_TOLERANCE = 1e-6


@click.command(
    epilog="Example: prism calibrate (rebuilds the shipped profile and compares); "
    "prism calibrate runs.jsonl --out my_pair.json"
)
@click.argument("measurements", type=Path, required=False)
@click.option("--out", type=Path, help="Write the profile here.")
@click.option("--name", help="Name of the profile.  [default: the name of --out or of the measurements]")
@click.option("--memory-gb", type=float, default=8.0, show_default=True, help="Memory of a board, 1e9 bytes.")
@json_option
def calibrate(measurements: Path | None, out: Path | None, name: str | None, memory_gb: float, as_json: bool) -> None:
    """Fit a system profile to MEASUREMENTS (JSON lines), or rebuild the published Orin Nano profile without any.

    Measured runs are taken as a corpus: medians of cases, of any models, with one price list for all of them.
    Without MEASUREMENTS the exit code is 1 if a rebuilt coefficient differs from the shipped one by more than 1e-6.
    """
    from calibration.build import calibrate as fit
    from calibration.published import PUBLISHED_FACTS, published_measurements
    from calibration.recorded import recorded_facts
    from prism.files import write_text
    from prism.profile import profile_json
    from prism.record import read_measurements

    if measurements is None:
        calibration = fit(published_measurements(), PUBLISHED_FACTS)
        difference: float | None = _difference_from_shipped(calibration.profile)
    else:
        runs = read_measurements(measurements)
        facts = recorded_facts(runs, name or (out or measurements).stem, memory_gb)
        if all(run.source == "measured" for run in runs):
            _calibrate_corpus(runs, facts, out, as_json=as_json)
            return
        calibration = fit(runs, facts)
        difference = None
    if out is not None:
        write_text(out, profile_json(calibration.profile))
        say(f"profile written to {out}")
    if as_json:
        print_json(_summary(calibration, difference))
    else:
        _print(calibration, difference)
    if difference is not None and difference > COEFFICIENT_TOLERANCE:
        say(f"error: a coefficient differs from the shipped profile by {difference:.2g}")
        click.get_current_context().exit(1)


def _calibrate_corpus(runs: list[Measurement], facts: ProfileFacts, out: Path | None, *, as_json: bool) -> None:
    """Fit one price list to measured runs of any models and plans, and say which case to measure next."""
    from calibration.corpus.build import calibrate_corpus
    from calibration.corpus.cases import cases_of
    from calibration.corpus.design import measuring_order
    from prism.files import write_text
    from prism.profile import profile_json

    cases = cases_of(runs)
    calibration = calibrate_corpus(cases, facts)
    if out is not None:
        write_text(out, profile_json(calibration.profile))
        say(f"profile written to {out}")
    scenarios = [case.scenario for case in cases]
    next_case = cases[measuring_order(scenarios, calibration, scenarios, count=1)[0]].key.label
    if as_json:
        print_json(_corpus_summary(calibration, len(cases), next_case))
        return
    fits = {"compute": calibration.compute, "staging": calibration.staging, "link": calibration.link.fit}
    print_table(
        f"{facts.name}: seconds of a stage are amounts times prices, fitted to medians of {len(cases)} cases",
        ["amount", "ms a unit", "standard error", "scatter of cases %"],
        [
            [f"{stage} {name}", f"{fit.price(name) * 1e3:.4g}", f"{fit.stderr(name) * 1e3:.2g}", f"{fit.scatter:.1%}"]
            for stage, fit in fits.items()
            if fit is not None
            for name in fit.names
        ],
    )
    click.echo(f"Of these cases, the one to measure again first: {next_case}.")


def _corpus_summary(calibration: CorpusCalibration, cases: int, next_case: str) -> dict[str, Any]:
    fits = {"compute": calibration.compute, "staging": calibration.staging, "link": calibration.link.fit}
    overlap = calibration.link.preposted
    return {
        "profile": calibration.profile.name,
        "cases": cases,
        "reference_bandwidth_mbps": calibration.reference_mbps,
        "prices_s": {
            stage: {name: {"price": fit.price(name), "stderr": fit.stderr(name)} for name in fit.names}
            for stage, fit in fits.items()
            if fit is not None
        },
        "cache_mb": calibration.cache_mb,
        "bends_mb": list(calibration.link.knots_mb),
        "preposted": None
        if overlap is None
        else {
            "latency_s": float(overlap.values[0]),
            "message_mb_s": float(overlap.values[1]),
            "first_flow_weight": overlap.weight,
        },
        "scatter_pct": calibration.profile.provenance.rms_residual_pct,
        "next_case": next_case,
    }


def _difference_from_shipped(profile: SystemProfile) -> float:
    """Largest relative difference of a coefficient from the shipped profile of the same name."""
    from prism.cost import COEFFICIENTS
    from prism.profile import load_profile

    shipped = load_profile(profile.name).cost_models()
    differences = []
    for stage, model in profile.cost_models().items():
        for name in COEFFICIENTS:
            new, old = getattr(model, name), getattr(shipped[stage], name)
            differences.append(abs(new - old) / max(abs(old), 1e-12))
    return float(max(differences))


def _summary(calibration: Calibration, difference: float | None) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "profile": calibration.profile.name,
        "coefficients": {
            stage: {
                "form": model.form,
                "fixed_s": model.fixed_s,
                "scale_s": model.scale_s,
                "exponent": model.exponent,
                "stderr": model.stderr,
                "driver": model.driver,
                "valid_from": model.valid_from,
                "valid_to": model.valid_to,
                "rms_residual_pct": calibration.profile.provenance.rms_residual_pct[stage],
            }
            for stage, model in calibration.profile.cost_models().items()
        },
        "effective_link": _link(calibration.profile),
        "forms_tried": {stage: [asdict(score) for score in scores] for stage, scores in calibration.scores.items()},
        "largest_difference_from_shipped": difference,
    }


def _link(profile: SystemProfile) -> dict[str, float]:
    link = profile.link
    rates = {
        f"goodput_{size_kb}_kb_mbps": link.goodput_mbps(size_kb * 1e3, link.reference_bandwidth_mbps)
        for size_kb in (30, 300, 3000)
    }
    return {"throttle_label_mbps": link.reference_bandwidth_mbps, **rates}


def _print(calibration: Calibration, difference: float | None) -> None:
    profile = calibration.profile
    rows = []
    for stage, model in profile.cost_models().items():
        tried = ", ".join(f"{score.form} {score.rms_pct:.1f}" for score in calibration.scores[stage])
        rows.append(
            [
                stage,
                model.form,
                _with_error(model, "fixed_s", 1e3),
                _with_error(model, "scale_s", 1e3),
                _with_error(model, "exponent", 1),
                model.driver,
                f"{model.valid_from:.3g} - {model.valid_to:.3g}",
                f"{profile.provenance.rms_residual_pct[stage]:.1f}",
                tried,
            ]
        )
    columns = ["stage", "form", "fixed ms", "scale ms", "exponent", "driver", "measured range", "residual %"]
    print_table(
        f"{profile.name}: fixed + scale * driver ^ exponent a step, +- standard error",
        [*columns, "left-out error % of each form tried"],
        rows,
    )
    link = _link(profile)
    click.echo(
        f"Effective link, a message alone on the medium: {link['goodput_30_kb_mbps']:.0f} / "
        f"{link['goodput_300_kb_mbps']:.0f} / {link['goodput_3000_kb_mbps']:.0f} Mbps at 30 KB / 300 KB / 3 MB "
        f"(the throttle's label says {link['throttle_label_mbps']:g})."
    )
    if difference is not None:
        click.echo(f"Largest relative difference of a coefficient from the shipped profile: {difference:.1e}.")


def _with_error(model: Any, name: str, factor: float) -> str:
    value = f"{getattr(model, name) * factor:.4g}"
    error = model.stderr.get(name)
    return value if error is None else f"{value} +- {error * factor:.2g}"
