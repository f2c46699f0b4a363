"""One grammar over all resources: list, show, rename, tag and delete, with names, beginnings of ids and @last."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from iis_client.cli.inputs.references import suggested
from iis_client.transport.address import Address
from iis_schemas.jobs.views import SCORE_JOB_EXAMPLE
from support.iis_command import run_iis, start_iis_program
from support.scripted_service import ScriptedService

if TYPE_CHECKING:
    from iis_client import IISClient
    from support.iis_command import RunCommand

GROUPS = {
    "models": {"list", "show", "create", "rename", "tag", "delete"},
    "datasets": {"list", "show", "create", "rename", "tag", "delete"},
    "libraries": {"list", "show", "rename", "tag", "delete"},
    "jobs": {"list", "show", "rename", "tag", "delete", "cancel"},
    "studies": {"list", "show", "run", "rename", "tag", "delete", "cancel"},
    "vocabularies": {"list", "show", "add", "delete"},
    "webhooks": {"list", "show", "create", "rotate", "delete"},
    "keys": {"list", "show", "create", "rotate", "revoke"},
    "shares": {"list", "show", "revoke"},
}


@pytest.fixture
def offline(scripted: ScriptedService, tmp_path: Path) -> RunCommand:
    """Runs `iis` against a service that answers nothing that is not scripted."""
    return lambda *arguments, **environment: run_iis(Address(scripted.url, "iis_key"), tmp_path, *arguments, **environment)


@pytest.mark.parametrize("group", GROUPS)
def test_each_group_has_its_commands(offline: RunCommand, group: str) -> None:
    shown = offline(group, "--help").stdout
    assert {command for command in GROUPS[group] if f" {command} " in shown} == GROUPS[group]


def test_the_version_is_that_of_the_package(offline: RunCommand) -> None:
    assert offline("--version").stdout == f"iis {version('iis')}\n"


def test_a_group_without_a_command_lists(offline: RunCommand, scripted: ScriptedService) -> None:
    scripted.answer("GET /v1/jobs?limit=100&state=failed", (200, {"data": [], "has_more": False}))
    scripted.answer("GET /v1/webhooks?limit=100", (200, {"data": [], "has_more": False}))
    assert json.loads(offline("jobs", "--state", "failed", "--json").stdout) == []
    assert offline("webhooks").returncode == 0
    assert scripted.asked == ["GET /v1/jobs?limit=100&state=failed", "GET /v1/webhooks?limit=100"]


def test_settings_of_a_score_are_checked_before_anything_is_sent(offline: RunCommand, scripted: ScriptedService, tmp_path: Path) -> None:
    (tmp_path / "net.safetensors").write_bytes(b"weights")
    (tmp_path / "photos").mkdir()
    source = ["score", tmp_path / "net.safetensors", "--arch", "timm:resnet18", "--data", tmp_path / "photos"]
    wrong = offline(*source, "--scales", "99")
    reference = offline(*source, "--protocol", "reference", "--activations", "layernorm")
    network = offline(*source, "--preprocess", "input_size=5")
    for done, words in ((wrong, "scales"), (reference, "The reference protocol has the authors' activations"), (network, "input_size")):
        assert done.returncode == 1
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not any(word in done.stderr for word in ("pydantic", "validation error", "type=", "Input should"))
    assert scripted.asked == []


def test_jobs_without_a_score_cannot_be_compared(offline: RunCommand, scripted: ScriptedService) -> None:
    assert "Give two jobs or more to compare." in offline("compare", SCORE_JOB_EXAMPLE["id"]).stderr
    scripted.answer(f"GET /v1/jobs/{SCORE_JOB_EXAMPLE['id']}", (200, SCORE_JOB_EXAMPLE))
    refused = offline("compare", SCORE_JOB_EXAMPLE["id"], SCORE_JOB_EXAMPLE["id"])
    assert refused.stderr == f"Error: Job {SCORE_JOB_EXAMPLE['id']} (score, running) has no score to compare.\n"


def test_the_page_of_the_newest_job_is_opened_or_named(scripted: ScriptedService, tmp_path: Path) -> None:
    scripted.answer("GET /v1/jobs?limit=1", (200, {"data": [{"id": SCORE_JOB_EXAMPLE["id"]}], "has_more": False}))
    service = Address(scripted.url, "iis_key")
    opening = start_iis_program(service, tmp_path, "open", "@last", BROWSER="/nowhere/browser", PATH="/nowhere")
    assert opening.communicate(timeout=60)[1] == f"No browser found; the address is {scripted.url}/jobs/{SCORE_JOB_EXAMPLE['id']}\n"


def test_a_shell_completes_the_id_of_a_job(scripted: ScriptedService, tmp_path: Path) -> None:
    scripted.answer("GET /v1/jobs?limit=100", (200, {"data": [{"id": SCORE_JOB_EXAMPLE["id"], "name": "seed 0"}], "has_more": False}))
    words = {"_IIS_COMPLETE": "complete_bash", "COMP_WORDS": "iis result job", "COMP_CWORD": "2"}
    completing = start_iis_program(Address(scripted.url, "iis_key"), tmp_path, **words)
    assert completing.communicate(timeout=60) == (f"{SCORE_JOB_EXAMPLE['id']}\n", "")


def test_a_profile_is_used_and_removed(offline: RunCommand, scripted: ScriptedService, tmp_path: Path) -> None:
    configuration = {"XDG_CONFIG_HOME": str(tmp_path), "IIS_URL": "", "IIS_API_KEY": "", "IIS_DATA_FOLDER": str(tmp_path / "none")}
    (tmp_path / "iis").mkdir()
    (tmp_path / "iis" / "config.toml").write_text(f'[profiles.lab]\nurl = "{scripted.url}"\napi_key = "iis_key"\n')
    scripted.answer("GET /v1/models?limit=100", (200, {"data": [], "has_more": False}))
    assert "No service found" in offline("models", "list", **configuration).stderr
    assert json.loads(offline("--profile", "lab", "models", "list", "--json", **configuration).stdout) == []
    assert offline("logout", "lab", **configuration).stdout == "Profile 'lab' is removed.\n"
    assert "There is no profile 'lab'" in offline("--profile", "lab", "models", "list", **configuration).stderr


def test_ids_and_names_are_completed(client: IISClient, tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", X_train=np.eye(4), y_train=[0, 1, 0, 1], X_test=np.eye(4), y_test=[0, 1, 0, 1])
    made = client.create_dataset(tmp_path / "f.npz", kind="features", name="completed by the shell")
    assert (made.id, "completed by the shell") in suggested(client, "dataset", made.id[:12])
    assert suggested(client, "dataset", "completed by") == [("completed by the shell", made.id)]
    assert suggested(client, "dataset", "@") == [("@last", "the newest")]
    assert ("birds", "birds") not in suggested(client, "vocabulary", "cst_")
    client.delete_dataset(made)


def test_a_resource_is_named_tagged_shown_and_deleted_by_name_beginning_and_last(
    iis: RunCommand, client: IISClient, tmp_path: Path
) -> None:
    noise = np.random.default_rng(7)
    np.savez(
        tmp_path / "grammar.npz",
        X_train=noise.normal(size=(8, 3)).astype(np.float32),
        y_train=[0, 1] * 4,
        X_test=noise.normal(size=(4, 3)).astype(np.float32),
        y_test=[0, 1] * 2,
    )
    made = iis("datasets", "create", tmp_path / "grammar.npz", "--features", "--tag", "toy", "--json")
    assert made.returncode == 0, made.stderr
    dataset = json.loads(made.stdout)["id"]
    again = iis("datasets", "create", tmp_path / "grammar.npz", "--features")
    assert f"Data set: {dataset} (grammar.npz) has the same content and settings and is used again." in again.stderr

    assert iis("datasets", "rename", "@last", "toy features").stdout == f"Data set {dataset} is named toy features.\n"
    tagged = iis("datasets", "tag", "toy features", "small", "--remove", "toy")
    assert tagged.stdout == f"Data set {dataset} has the tags small.\n"
    listed = iis("datasets", "list", "--tag", "small", "--name", "toy feat", "--output", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(listed)))
    assert [(row["id"], row["name"], row["tags"]) for row in rows] == [(dataset, "toy features", "small")]
    assert json.loads(iis("datasets", "show", dataset[:-3], "--json").stdout)["id"] == dataset
    assert "toy features" in iis("datasets", "show", dataset[4:], "--output", "csv").stdout
    assert "info.train" in iis("datasets", "show", "toy features").stdout

    assert iis("datasets", "delete", "toy features").stdout == f"Data set {dataset} is deleted.\n"
    gone = iis("datasets", "show", "toy features")
    assert (gone.returncode, len(gone.stderr.splitlines())) == (1, 1)
    assert "There is no data set 'toy features'" in gone.stderr


def test_a_login_stores_a_working_key_and_refuses_another(iis: RunCommand, service: Address, tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    script = "import sys; sys.argv = ['iis', 'login', 'lab', '--url', sys.argv[1]]; from iis_client.cli import main; main()"
    words = [sys.executable, "-c", script, service.url]

    def log_in(key: str) -> subprocess.CompletedProcess[str]:
        variables = {**environment, "PYTHONPATH": ":".join(sys.path)}
        return subprocess.run(words, input=f"{key}\n", capture_output=True, text=True, env=variables, check=False)

    assert log_in("iis_wrong").returncode == 1
    assert not (tmp_path / "config").exists()
    stored = log_in(service.api_key)
    assert stored.returncode == 0, stored.stderr
    assert "profile 'lab'" in stored.stdout
    listed = iis("jobs", "list", "--json", IIS_URL="", IIS_API_KEY="", **environment)
    assert listed.returncode == 0, listed.stderr
