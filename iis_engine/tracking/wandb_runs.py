"""Log the record of a score to Weights & Biases, by the library `wandb`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from iis_engine.tracking.record import CURVE_STEP, RunRecord
from iis_engine.tracking.runs import LoggedRun, failures_of, require_package

if TYPE_CHECKING:
    from collections.abc import Mapping


def log_wandb_run(
    record: RunRecord, *, project: str | None = None, run_name: str | None = None, tags: Mapping[str, str] | None = None
) -> LoggedRun:
    """Log to the active run where no name is given and one is active, else to a new run, which is finished.

    Service, key, entity and mode (`WANDB_MODE=offline`) are chosen as always with W&B. The code of the verdict becomes a tag of the run;
    other tags, which are pairs, become configuration. The report is shown as HTML with its curve, and kept as an artifact of type
    `iis-report`.

    Parameters
    ----------
    project : of the new run; default: that of W&B (`WANDB_PROJECT`)
    run_name : of the new run; default: a name that W&B makes
    tags : beside those of the record

    Raises
    ------
    ImportError
        When wandb is not installed.
    TrackerError
        When W&B refuses the run or is out of reach.
    """
    wandb = require_package("wandb")
    with failures_of("Weights & Biases", wandb.errors.Error):
        if project is None and run_name is None and wandb.run is not None:
            return _log(wandb, wandb.run, record, tags or {})
        with wandb.init(project=project, name=run_name, job_type="iis", reinit="create_new") as run:
            return _log(wandb, run, record, tags or {})


def _log(wandb: Any, run: Any, record: RunRecord, tags: Mapping[str, str]) -> LoggedRun:
    pairs = record.tags | dict(tags)
    run.config.update({**record.parameters, **pairs}, allow_val_change=True)
    run.tags = (*(run.tags or ()), *([pairs["iis.verdict"]] if "iis.verdict" in pairs else ()))
    run.define_metric(CURVE_STEP)
    run.define_metric("iis_curve/*", step_metric=CURVE_STEP)
    for row in record.curve:
        run.log(row)
    run.log({"iis_report": wandb.Html(record.files["iis/report.html"], inject=False)})
    run.summary.update(record.metrics)
    artifact = wandb.Artifact(f"iis-report-{run.id}", type="iis-report")
    for name, text in record.files.items():
        with artifact.new_file(PurePosixPath(name).name, encoding="utf-8") as file:
            file.write(text)
    run.log_artifact(artifact)
    return LoggedRun(run.id, run.url or str(Path(run.dir).parent))
