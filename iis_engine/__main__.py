"""Command line: score a features file and print the report."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from iis_engine.errors import EngineError, SettingError
from iis_engine.report import IISReport
from iis_engine.specs import ACTIVATIONS_NAMES, PROTOCOL_NAMES, VISUAL_KINDS, LibrarySpec, ScoreSpec


def main(arguments: list[str] | None = None) -> int:
    """Score a features file; return the exit status, 0 or, with a message on stderr, 2."""
    parser = argparse.ArgumentParser(prog="python -m iis_engine", description="Inherent Interpretability Score of a features file.")
    parser.add_argument("features", type=Path, help="npz or safetensors with X_train, y_train, X_test, y_test and concepts")
    parser.add_argument("--library", choices=(*VISUAL_KINDS, "random"), default="prototype")
    parser.add_argument("--concepts", type=int, default=200, metavar="M", help="number of concepts (default 200)")
    parser.add_argument("--protocol", choices=PROTOCOL_NAMES, default="exact")
    parser.add_argument(
        "--activations", choices=ACTIVATIONS_NAMES, default="calibrated", help="layernorm: the first edition, as an ablation"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--json", action="store_true", help="print the whole report as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="save the ARR figure (png or svg)")
    options = parser.parse_args(arguments)
    try:
        _run(options)
    except EngineError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _run(options: argparse.Namespace) -> None:
    from iis_engine.backbones.devices import choose_device
    from iis_engine.features.feature_set import read_features
    from iis_engine.figures.report import PLOT_SUFFIXES, save_plot
    from iis_engine.scoring.score import score

    # Invalid options are rejected before reading and scoring, which can take minutes.
    spec = ScoreSpec(
        LibrarySpec(options.library, options.concepts), protocol=options.protocol, seed=options.seed, activations=options.activations
    )
    choose_device(options.device)
    plot: Path | None = options.plot
    if plot is not None and plot.suffix not in PLOT_SUFFIXES:
        raise SettingError(f"A figure must be a {' or '.join(PLOT_SUFFIXES)} file; {plot.name} is not.", param="plot")
    if plot is not None and not plot.parent.is_dir():
        raise SettingError(f"The folder {plot.parent} of the figure does not exist; create it or choose another.", param="plot")
    report = score(read_features(options.features), spec, device=options.device)
    print(json.dumps(report.to_dict()) if options.json else _table(report))
    if plot is not None:
        try:
            save_plot(report.to_dict(), "arr", plot)
        except OSError as error:
            raise SettingError(f"The figure could not be saved ({error}); choose another file.", param="plot") from error


def _table(report: IISReport) -> str:
    def show(value: float | None) -> str:
        return "  none" if value is None else f"{value:.4f}"

    def signed(value: float | None, low: float | None, high: float | None) -> str:
        return "none" if value is None or low is None or high is None else f"{value:+.4f} [{low:+.4f}, {high:+.4f}]"

    quantity = report.quantity.replace("_", " ").removeprefix("mean ")
    lines = [
        f"{quantity} of the representation  {report.accuracy_representation:.4f}  (chance {report.chance:.4f})",
        f"IIS                             {show(report.iis)}  [{show(report.iis_low)}, {show(report.iis_high)}]",
        f"mean {quantity} at 5..30 kept     {show(report.few_concepts_mean)}  [{show(report.few_concepts_mean_low)}, "
        f"{show(report.few_concepts_mean_high)}]",
        *(
            f"over {name:10s} directions: IIS {signed(control.gain, control.gain_low, control.gain_high)}, at few concepts "
            f"{signed(control.few_gain, control.few_gain_low, control.few_gain_high)}"
            for name, control in report.controls.items()
        ),
        report.verdict["sentence"],
        "",
        "sparsity   kept  accuracy     ARR",
        *(f"{p.sparsity:8.3f}  {p.kept:5d}  {p.accuracy:8.4f}  {p.arr:6.4f}" for p in report.points),
        *(f"note: {text}" for text in report.notes),
        *(f"warning: {text}" for text in report.warnings),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
