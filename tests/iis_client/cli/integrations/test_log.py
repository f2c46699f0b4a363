"""Scores logged to a local MLflow server and to W&B in offline mode, by the command and into runs that are active."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.local.servers import free_port
from iis_client.answers import Result
from iis_schemas.results.results import RESULT_EXAMPLE
from support.servers import poll
from support.wandb_log import read_offline_run

if TYPE_CHECKING:
    from iis_client import IISClient
    from support.iis_command import RunCommand, StartCommand

pytestmark = pytest.mark.slow
START_SECONDS = 240
ENVIRONMENT = {"DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # neither telemetry nor jobs of its own


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a tracking server with a database and artifacts of its own."""
    pytest.importorskip("flask", reason="NOT TESTED: the server of MLflow is not installed; run make install")
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/runs.db", "--artifacts-destination", str(folder / "artifacts")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=os.environ | ENVIRONMENT)
    url = f"http://127.0.0.1:{port}"
    try:
        poll(lambda: _answers(url), START_SECONDS, "MLflow to answer")
        yield url
    finally:
        server.terminate()
        server.wait(60)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def mlflow(mlflow_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    library = pytest.importorskip("mlflow", reason="NOT TESTED: mlflow is not installed; run make install")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    library.set_tracking_uri(mlflow_server)
    yield library
    library.set_tracking_uri(None)


def test_the_command_logs_a_job_to_a_server_of_mlflow(mlflow: Any, iis: RunCommand, client: IISClient, image_job: str) -> None:
    done = iis("log", image_job, "--to", "mlflow", "--project", "vision", "--name", "epoch 90")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Job {image_job} is logged to MLflow as run ")

    (run,) = mlflow.search_runs(experiment_names=["vision"], output_format="list")
    assert run.info.run_id in done.stdout
    assert (run.info.run_name, run.info.status) == ("epoch 90", "FINISHED")
    report = client.result(image_job).report
    assert report.verdict is not None
    assert run.data.metrics["iis"] == report.iis
    assert run.data.metrics["iis_few_concepts_high"] == report.few_concepts_mean_high
    assert run.data.params["iis.library.kind"] == "cluster"
    assert run.data.params["iis.configuration.activations"] == "calibrated"
    assert (run.data.tags["iis.verdict"], run.data.tags["iis.job"]) == (report.verdict.code, image_job)
    assert run.data.tags["iis.dataset"] == "planted"

    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "iis_curve/arr")
    assert {point.step: point.value for point in history} == pytest.approx({point.kept: point.arr for point in report.points})
    assert {one.path for one in mlflow.MlflowClient().list_artifacts(run.info.run_id, "iis")} == {
        f"iis/{name}" for name in ("report.json", "report.html", "arr.svg")
    }
    logged = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/iis/report.json")
    assert json.loads(logged)["verdict"]["sentence"] == report.verdict.sentence


def test_a_result_is_logged_into_the_run_that_is_active(mlflow: Any) -> None:
    result = Result.model_validate(RESULT_EXAMPLE)
    with mlflow.start_run() as active:
        mlflow.log_param("seed", 3)
        assert result.log_to_mlflow(tags={"team": "vision"}).id == active.info.run_id
        mlflow.log_metric("loss", 0.5)
    run = mlflow.get_run(active.info.run_id)
    assert {name: run.data.metrics[name] for name in ("iis", "loss")} == {"iis": 0.921, "loss": 0.5}
    assert (run.data.params["seed"], run.data.params["iis.configuration.seed"], run.data.tags["team"]) == ("3", "0", "vision")


def test_a_tracker_out_of_reach_is_one_sentence(iis: RunCommand, image_job: str) -> None:
    pytest.importorskip("mlflow", reason="NOT TESTED: mlflow is not installed; run make install")
    nowhere = f"http://127.0.0.1:{free_port()}"
    done = iis("log", image_job, "--to", "mlflow", "--name", "x", MLFLOW_TRACKING_URI=nowhere, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert (done.returncode, done.stderr.count("Logging to MLflow failed:")) == (1, 1), done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_logs_a_job_to_wandb_in_offline_mode(
    start_iis: StartCommand, client: IISClient, image_job: str, tmp_path: Path
) -> None:
    pytest.importorskip("wandb", reason="NOT TESTED: wandb is not installed; run make install")
    offline = {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "WANDB_DATA_DIR": str(tmp_path / "data")}
    started = start_iis("log", image_job, "--to", "wandb", "--project", "vision", "--name", "epoch 90", **offline)
    printed, errors = started.communicate(timeout=120)
    assert started.returncode == 0, errors
    assert printed.startswith(f"Job {image_job} is logged to Weights & Biases as run ")

    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    assert str(folder) in printed
    report = client.result(image_job).report
    assert report.verdict is not None
    run = read_offline_run(next(folder.glob("run-*.wandb")))
    assert (run.name, run.project, run.tags) == ("epoch 90", "vision", (report.verdict.code,))
    assert (run.summary["iis"], run.summary["iis_few_concepts"]) == (report.iis, report.few_concepts_mean)
    curve = {row["iis_curve/kept"]: row["iis_curve/arr"] for row in run.history if "iis_curve/kept" in row}
    assert curve == pytest.approx({point.kept: point.arr for point in report.points})
    assert (run.config["iis.library.kind"], run.config["iis.job"]) == ("cluster", image_job)
    assert run.artifacts == ["iis-report"]
    (page,) = folder.glob("files/media/html/*.html")
    assert "5 to 30 concepts" in page.read_text(encoding="utf-8")


def test_the_tracker_must_be_one_of_those_that_are_known(iis: RunCommand, image_job: str) -> None:
    refused = iis("log", image_job, "--to", "tensorboard")
    assert refused.returncode == 2
    assert "mlflow" in refused.stderr
