"""Log the record of a score to MLflow, by the library `mlflow` or `mlflow-skinny`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from iis_engine.tracking.record import CURVE_STEP, RunRecord
from iis_engine.tracking.runs import LoggedRun, failures_of, require_package

if TYPE_CHECKING:
    from collections.abc import Mapping

PARAMETERS_PER_REQUEST = 100  # limit of MLflow's log-batch request
METRICS_PER_REQUEST = 1000


def log_mlflow_run(
    record: RunRecord, *, experiment: str | None = None, run_name: str | None = None, tags: Mapping[str, str] | None = None
) -> LoggedRun:
    """Log to the active run where no name is given and one is active, else to a new run.

    The tracking server is MLflow's own choice: `MLFLOW_TRACKING_URI`, or `mlflow.set_tracking_uri`.

    Parameters
    ----------
    experiment : of the new run, created where it does not exist; default: MLflow's (`MLFLOW_EXPERIMENT_NAME`)
    run_name : of the new run; default: a name that MLflow makes
    tags : beside those of the record

    Raises
    ------
    ImportError
        When MLflow is not installed.
    TrackerError
        When MLflow refuses the run or its server is out of reach.
    """
    mlflow = require_package("mlflow")
    with failures_of("MLflow", mlflow.exceptions.MlflowException):
        if experiment is None and run_name is None and (active := mlflow.active_run()) is not None:
            return _log(mlflow, active.info, record, tags or {})
        with _new_run(mlflow, experiment, run_name) as run:
            return _log(mlflow, run.info, record, tags or {})


def _new_run(mlflow: Any, experiment: str | None, run_name: str | None) -> Any:
    experiment_id = None
    if experiment is not None:
        found = mlflow.get_experiment_by_name(experiment)
        experiment_id = mlflow.create_experiment(experiment) if found is None else found.experiment_id
    return mlflow.start_run(experiment_id=experiment_id, run_name=run_name, nested=mlflow.active_run() is not None)


def _log(mlflow: Any, run: Any, record: RunRecord, tags: Mapping[str, str]) -> LoggedRun:
    entities, client = mlflow.entities, mlflow.MlflowClient()
    now = int(time.time() * 1000)  # milliseconds
    metrics = [entities.Metric(name, value, now, 0) for name, value in record.metrics.items()]
    for row in record.curve:
        step = int(row[CURVE_STEP])
        metrics += [entities.Metric(name, value, now, step) for name, value in row.items() if name != CURVE_STEP]
    parameters = [entities.Param(name, str(value)) for name, value in record.parameters.items()]
    all_tags = [entities.RunTag(name, value) for name, value in (record.tags | dict(tags)).items()]
    client.log_batch(run.run_id, tags=all_tags)
    for start in range(0, len(metrics), METRICS_PER_REQUEST):
        client.log_batch(run.run_id, metrics=metrics[start : start + METRICS_PER_REQUEST])
    for start in range(0, len(parameters), PARAMETERS_PER_REQUEST):
        client.log_batch(run.run_id, params=parameters[start : start + PARAMETERS_PER_REQUEST])
    for name, text in record.files.items():
        client.log_text(run.run_id, text, name)
    address = mlflow.get_tracking_uri()
    if address.startswith(("http://", "https://")):
        address = f"{address.rstrip('/')}/#/experiments/{run.experiment_id}/runs/{run.run_id}"
    return LoggedRun(run.run_id, address)
