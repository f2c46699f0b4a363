"""Fine-tuning from Python and by the `iis` command, against a running service: a small network and three seeds."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from safetensors.torch import load_file

from iis_client import ConfigurationError, ConflictError, IISClient, NotFoundError
from iis_client.transport.address import Address
from iis_schemas.datasets import DatasetView
from iis_schemas.jobs.views import FINETUNE_JOB_EXAMPLE, FinetuneJobView
from iis_schemas.models import ModelView
from support.planted import ARCHITECTURE, ARGUMENTS, PREPROCESSING

if TYPE_CHECKING:
    from support.iis_command import RunCommand, StartCommand
    from support.planted import Planted
    from support.scripted_service import ScriptedService

EPOCHS = 2


@pytest.fixture(scope="module")
def inputs(service: Address, planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelView, DatasetView]:
    """A ready model and a ready data set of a few of the planted images."""
    folder = tmp_path_factory.mktemp("few")
    for path in sorted(planted.images.glob("*/*/*.png")):
        split, name = path.parts[-3:-1]
        target = folder / split / name
        target.mkdir(parents=True, exist_ok=True)
        if len(list(target.iterdir())) < 10:
            (target / path.name).write_bytes(path.read_bytes())
    with IISClient(service.url, service.api_key) as client:
        model = client.create_model(ARCHITECTURE, checkpoint=planted.backbone, arguments=ARGUMENTS, preprocessing=PREPROCESSING)
        dataset = client.create_dataset(folder)
        return client.wait_until_ready(model), client.wait_until_ready(dataset)


@pytest.fixture(scope="module")
def finetuned(service: Address, inputs: tuple[ModelView, DatasetView]) -> FinetuneJobView:
    """A job that has succeeded."""
    with IISClient(service.url, service.api_key) as client:
        job = client.finetune(*inputs, {"kind": "cluster", "concept_count": 6}, epochs=EPOCHS, batch_size=32, learning_rate=1e-3)
        client.wait(job.id, 280)
        return job


@pytest.mark.slow
def test_result_events_and_checkpoint_of_a_finished_job(
    client: IISClient, finetuned: FinetuneJobView, planted: Planted, tmp_path: Path
) -> None:
    assert (finetuned.weight, finetuned.seeds) == (1.0, [0, 1, 2])
    found = client.finetune_result(finetuned.id)
    differences = found.differences.iis.treatment_minus_control
    assert len(differences.values) == len(found.treatment) == len(found.control) == 3
    assert differences.sentence in found.words
    epochs = [event.data for event in client.events(finetuned.id) if event.type == "epoch"]
    seen = {(epoch["arm"], epoch["seed"], epoch["epoch"]) for epoch in epochs}
    assert seen == {(arm, seed, epoch) for arm in ("treatment", "control") for seed in (0, 1, 2) for epoch in range(1, EPOCHS + 1)}
    assert len(seen) == len(epochs)

    made = client.model(found.model)
    assert made.lineage is not None
    assert (made.lineage.job, made.lineage.parent) == (finetuned.id, finetuned.model)
    client.save_checkpoint(made.id, tmp_path / "tuned.safetensors")
    tuned, parent = load_file(tmp_path / "tuned.safetensors"), load_file(planted.backbone)
    assert {name: tensor.shape for name, tensor in tuned.items()} == {name: tensor.shape for name, tensor in parent.items()}
    assert any(not tensor.equal(parent[name]) for name, tensor in tuned.items())
    assert list(tmp_path.iterdir()) == [tmp_path / "tuned.safetensors"]
    again = client.create_model(ARCHITECTURE, checkpoint=tmp_path / "tuned.safetensors", arguments=ARGUMENTS, preprocessing=PREPROCESSING)
    assert client.wait_until_ready(again).digest == made.digest


@pytest.mark.slow
def test_an_uploaded_checkpoint_is_downloaded_unchanged(
    client: IISClient, finetuned: FinetuneJobView, planted: Planted, tmp_path: Path
) -> None:
    client.save_checkpoint(finetuned.model or "", tmp_path / "parent.safetensors")
    assert digest(tmp_path / "parent.safetensors") == digest(planted.backbone)


def test_a_missing_checkpoint_leaves_no_file(client: IISClient, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        client.save_checkpoint("mdl_1", tmp_path / "none.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_command_fine_tunes_and_saves_checkpoints(iis: RunCommand, finetuned: FinetuneJobView, tmp_path: Path) -> None:
    words = ["--concepts", "6", "--epochs", str(EPOCHS), "--batch-size", "32", "--learning-rate", "0.001", "--to", "tuned.safetensors"]
    done = iis("finetune", finetuned.model or "", finetuned.dataset, *words)  # all stages are cached, so this is quick
    assert done.returncode == 0, done.stderr
    assert "control (lambda = 0)" in done.stdout
    assert "before fine-tuning" in done.stdout
    assert (tmp_path / "tuned.safetensors").stat().st_size > 0
    shown = iis("result", finetuned.id, "--json")
    assert json.loads(shown.stdout)["kind"] == "finetune"
    listed = iis("jobs")
    assert "fine-tunes, " in " ".join(listed.stdout.split())
    saved = iis("checkpoint", finetuned.model or "", "--to", "parent.safetensors")
    assert (saved.returncode, (tmp_path / "parent.safetensors").exists()) == (0, True)


def test_ctrl_c_while_watching_says_that_the_job_continues(start_iis: StartCommand, scripted: ScriptedService) -> None:
    job = {**FINETUNE_JOB_EXAMPLE, "id": "job_1"}
    scripted.answer("POST /v1/jobs", (201, job | {"state": "queued"}))
    scripted.answer("GET /v1/jobs/job_1/events", (200, ": waiting\n\n"))  # a stream without a final event
    scripted.answer("GET /v1/jobs/job_1", (200, job | {"state": "running"}))
    watching = start_iis("finetune", "mdl_00000000000000000000000001", "dst_00000000000000000000000001", "--watch", IIS_URL=scripted.url)
    deadline = time.monotonic() + 60
    while not scripted.times("GET /v1/jobs/job_1/events"):
        assert time.monotonic() < deadline, watching.communicate()
        time.sleep(0.05)
    watching.send_signal(signal.SIGINT)
    messages = watching.communicate(timeout=60)[1]
    assert watching.returncode == 130
    assert "Job job_1 continues at the service; watch it with: iis result job_1 --watch" in messages


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--lambda", "0"], "lambda = 0 is the control"),
        (["--lambda", "-1"], "must be above 0"),
        (["--seeds", "0,1"], "3 to 20"),
        (["--seeds", "0,one,2"], "whole numbers separated by commas"),
        (["--epochs", "0"], "1 or more"),
        (["--to", "nowhere/tuned.safetensors"], "There is no folder nowhere"),
    ],
)
def test_invalid_options_are_one_sentence(iis: RunCommand, finetuned: FinetuneJobView, options: list[str], words: str) -> None:
    done = iis("finetune", finetuned.model or "", finetuned.dataset, *options)
    assert done.returncode == 1
    assert words in " ".join(done.stderr.split())


@pytest.mark.slow
def test_calls_for_other_kinds_of_jobs_are_refused(client: IISClient, iis: RunCommand, finetuned: FinetuneJobView) -> None:
    with pytest.raises(ConflictError, match="of kind finetune"):
        client.curves(finetuned)
    with pytest.raises(ConfigurationError, match=r"is of kind finetune; read its result by finetune_result\(\)"):
        client.result(finetuned)
    with pytest.raises(ConfigurationError, match="lambda"):
        client.finetune(finetuned.model or "", finetuned.dataset, {"kind": "cluster"}, weight=-1)
    done = iis("result", finetuned.id, "--plot", "arr.png")
    assert "no curve to plot" in " ".join(done.stderr.split())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
