"""Methods that log a score to experiment trackers, of reports and results of engine and client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from iis_engine.tracking.mlflow_runs import log_mlflow_run
from iis_engine.tracking.record import run_record
from iis_engine.tracking.runs import LoggedRun
from iis_engine.tracking.wandb_runs import log_wandb_run


class Score(Protocol):
    """A report, or an answer with the key `report`."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values of the score."""
        ...


class LoggableScore:
    """Adds the methods to a score."""

    def log_to_mlflow(
        self: Score, *, experiment: str | None = None, run_name: str | None = None, tags: Mapping[str, str] | None = None
    ) -> LoggedRun:
        """Log numbers, curve, configuration, verdict, report and figure to MLflow.

        Without a name they go to the active run, where there is one; else to a new run, at the server that MLflow is configured for.

        Raises
        ------
        ImportError
            When MLflow is not installed.
        TrackerError
            When MLflow refuses the run or its server is out of reach.
        """
        return log_mlflow_run(run_record(self.to_dict()), experiment=experiment, run_name=run_name, tags=tags)

    def log_to_wandb(
        self: Score, *, project: str | None = None, run_name: str | None = None, tags: Mapping[str, str] | None = None
    ) -> LoggedRun:
        """Log numbers, curve, configuration, verdict, report and figure to Weights & Biases.

        Without a name they go to the active run, where there is one; else to a new run, which is finished.

        Raises
        ------
        ImportError
            When wandb is not installed.
        TrackerError
            When W&B refuses the run or is out of reach.
        """
        return log_wandb_run(run_record(self.to_dict()), project=project, run_name=run_name, tags=tags)
