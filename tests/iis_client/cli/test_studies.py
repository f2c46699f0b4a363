"""`iis study` and `iis leaderboard` against a whole running service."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from iis_client import IISClient
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.studies.file import read_study
from iis_client.cli.studies.inputs import Registered, Row, known_phrases, provide_phrases
from iis_client.types.scores import Library
from support.planted import ARCHITECTURE, ARGUMENTS, PREPROCESSING, Planted

if TYPE_CHECKING:
    from support.breaking_proxy import BreakingProxy
    from support.iis_command import RunCommand
    from support.scripted_service import ScriptedService

LIBRARY: Library = {"kind": "prototype", "concept_count": 6}


TRAIN, TEST, CUT = 12, 8, 4  # images of a class


def study_file(folder: Path, planted: Planted, **changed: Any) -> Path:
    """Two networks, trained and untrained, on a few of the planted images."""
    content = {
        "name": "planted, twice",
        "model_defaults": {"architecture": ARCHITECTURE, "arguments": ARGUMENTS, "preprocessing": PREPROCESSING},
        "models": [{"path": str(planted.backbone), "label": "trained", "family": "small"}, {"initial_seed": 0, "label": "untrained"}],
        "datasets": [{"path": str(few_images(folder, planted)), "name": "planted [twice]"}],
        "libraries": ["prototype"],
        "concept_counts": [12],
        "elements": {"images_per_class": CUT},
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({**content, **changed}))
    return path


def few_images(folder: Path, planted: Planted) -> Path:
    """Images of two classes: how long heads take to fit goes with their number."""
    few = folder / "few"
    for split, count in (("train", TRAIN), ("test", TEST)):
        for name in ("warm circle", "cold cross"):
            (few / split / name).mkdir(parents=True, exist_ok=True)
            for path in sorted((planted.images / split / name).iterdir())[:count]:
                (few / split / name / path.name).write_bytes(path.read_bytes())
    return few


def features_file(folder: Path, seed: int) -> Path:
    """Ready features of three classes, small enough for jobs of seconds."""
    generator = np.random.default_rng(seed)
    centres, labels = 2 * generator.normal(size=(3, 6)), np.repeat(np.arange(3), 20)
    arrays = {name: (centres[labels] + generator.normal(size=(60, 6))).astype(np.float32) for name in ("X_train", "X_test", "concepts")}
    path = folder / f"ready{seed}.npz"
    np.savez(path, y_train=labels, y_test=labels, **arrays)
    return path


@pytest.mark.slow
def test_a_file_of_networks_is_run_once_and_goes_on_when_it_is_run_again(
    iis: RunCommand, client: IISClient, proxy: BreakingProxy, planted: Planted, tmp_path: Path
) -> None:
    file = study_file(tmp_path, planted)
    before = [row["id"] for row in client.models()]
    told = iis("study", "run", file, "--dry-run")
    assert told.returncode == 0, told.stderr
    seen = 2 * 2 * (TRAIN + TEST + CUT * 16)
    assert f"Jobs: 2.\nImages and crops to process: {seen:,}.\n" in told.stdout
    assert [row["id"] for row in client.models()] == before

    done = iis("study", "run", file, "--out", "found")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "found"
    rows = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    assert [(row["label"], row["untrained"]) for row in rows] == [("trained", "False"), ("untrained", "True")]
    analysis = json.loads((out / "analysis.json").read_text())
    assert (analysis["rows"], len(analysis["relation"]), len(analysis["untrained"])) == (2, 1, 1)
    assert (out / "table.parquet").read_bytes()[:4] == b"PAR1"
    assert (out / "iis_accuracy.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert b"<svg" in (out / "iis_accuracy.svg").read_bytes()
    assert not (out / "evolution.png").exists()
    assert "planted [twice], prototype, M = 12: IIS and accuracy: " in done.stdout

    made = next(client.studies())
    assert (made["state"], made["jobs"]["succeeded"], made["name"]) == ("finished", 2, "planted, twice")
    jobs = [job["id"] for job in client.jobs()]
    proxy.mend()
    again = iis("study", "run", file, IIS_URL=proxy.url)
    assert again.returncode == 0, again.stderr
    assert f"Study {made['id']} exists already: 2 of 2 succeeded." in again.stderr
    assert proxy.sent_bytes < 100_000 < planted.backbone.stat().st_size  # asked for, not sent
    assert [job["id"] for job in client.jobs()] == jobs
    assert (tmp_path / "study" / "table.csv").read_text() == (out / "table.csv").read_text()

    dataset = made["grid"]["datasets"][0]
    board = iis("leaderboard", "--dataset", dataset, "--library", "prototype", "--concepts", "12")
    assert board.returncode == 0, board.stderr
    assert "planted [twice], prototype, M = 12, exact" in board.stdout
    assert len(client.leaderboard(dataset=dataset, library="prototype", concept_count=12)["data"]) == 2
    assert json.loads(iis("leaderboard", "--library", "no such", "--json").stdout)["board"] is None

    estimated = iis("study", "run", study_file(tmp_path, planted, seeds=[0, 1]), "--dry-run").stdout
    assert "Jobs: 4, of which 2 exist already." in estimated
    assert "Images and crops to process: 0." in estimated
    assert "Your last " in estimated


@pytest.mark.slow
def test_features_are_studied_without_a_model_and_whatever_is_there_is_used_again(
    iis: RunCommand, client: IISClient, tmp_path: Path
) -> None:
    content = {"datasets": [{"features": str(features_file(tmp_path, seed))} for seed in (0, 1)], "libraries": [LIBRARY]}
    file = tmp_path / "ready.yaml"
    file.write_text(yaml.safe_dump(content))
    done = iis("study", "run", file)
    assert done.returncode == 0, done.stderr
    made = next(client.studies())
    assert made["jobs"]["total"] == made["jobs"]["succeeded"] == 2

    file.write_text(yaml.safe_dump({**content, "datasets": content["datasets"][:1], "seeds": [0, 1]}))
    assert iis("study", "run", file).returncode == 0
    newest = next(client.studies())
    assert newest["id"] != made["id"]
    assert [cell["created"] for cell in client.study_cells(newest["id"])] == [False, True]
    more = tmp_path / "more.yaml"
    more.write_text("seeds: [1]\n")
    extended = iis("study", "extend", made["id"], more)
    assert extended.returncode == 0, extended.stderr
    assert client.study(made["id"])["jobs"]["total"] == 4

    shown = iis("study", "show", made["id"])
    assert f"Study {made['id']}, ready: 4 of 4 succeeded." in shown.stdout
    assert "ready features, prototype, M = 6" in shown.stdout
    assert json.loads(iis("study", "show", made["id"], "--json").stdout) == client.study(made["id"])
    assert made["id"] in iis("study", "list").stdout
    assert [each["id"] for each in json.loads(iis("study", "list", "--limit", "2", "--json").stdout)] == [newest["id"], made["id"]]


def test_a_study_that_was_canceled_just_now_is_run_to_its_end(iis: RunCommand, client: IISClient, tmp_path: Path) -> None:
    features = features_file(tmp_path, 2)
    file = tmp_path / "ready.yaml"
    file.write_text(yaml.safe_dump({"datasets": [{"features": str(features)}], "libraries": [LIBRARY], "seeds": [5, 6]}))
    dataset = client.wait_until_ready(client.create_dataset(features, kind="features"), 120)["id"]
    study = client.create_study([], [dataset], [LIBRARY], name="ready", seeds=[5, 6])
    canceled = iis("study", "cancel", study["id"])
    assert canceled.returncode == 0, canceled.stderr
    done = iis("study", "run", file, "--out", "found")
    assert done.returncode == 0, done.stderr
    assert f"Study {study['id']} exists already" in done.stderr
    assert client.study(study["id"])["jobs"]["succeeded"] == 2
    assert [row["seed"] for row in csv.DictReader((tmp_path / "found" / "table.csv").read_text().splitlines())] == ["5", "6"]


def test_phrases_of_a_file_become_one_concept_set_however_often_they_are_used(
    client: IISClient, cats_and_owls: str, tmp_path: Path
) -> None:
    (tmp_path / "phrases.txt").write_text("round eyes\na striped coat\nlong whiskers\n")
    file = tmp_path / "words.yaml"
    file.write_text(yaml.safe_dump({"datasets": [cats_and_owls], "libraries": ["text"], "vlm": "mdl_1", "vocabulary": "phrases.txt"}))
    study = read_study(file)
    rows: dict[str, Row] = {study.datasets[0].at: client.dataset(cats_and_owls)}
    terminal = Terminal(quiet=True)
    assert known_phrases(client, study, rows) is None
    made = provide_phrases(client, terminal, study, cats_and_owls)
    assert made is not None
    assert client.concept_set(made.partition("@")[0])["name"].startswith("phrases.txt ")
    assert provide_phrases(client, terminal, study, cats_and_owls) == known_phrases(client, study, rows) == made
    (tmp_path / "phrases.txt").write_text("round eyes\n")
    assert provide_phrases(client, terminal, study, cats_and_owls) != made


def test_phrases_that_failed_once_are_made_again(impatient: Any, scripted: ScriptedService, tmp_path: Path) -> None:
    file = tmp_path / "words.yaml"
    file.write_text("{datasets: [dst_1], libraries: [text], vlm: mdl_1, vocabulary: from-classes}")
    study = read_study(file)
    rows: dict[str, Any] = {study.datasets[0].at: {"id": "dst_1"}}

    def version(concept_set: str, state: str) -> dict[str, Any]:
        link = {"self": f"/v1/concept-sets/{concept_set}/versions/1"}
        return {"concept_set": concept_set, "number": 1, "state": state, "error": None, "links": link}

    scripted.answer("GET /v1/concept-sets?limit=100", (200, {"data": [{"id": "cst_2", "name": "classes of dst_1"}], "has_more": False}))
    scripted.answer("GET /v1/concept-sets/cst_2/versions/1", (200, version("cst_2", "failed")))
    scripted.answer("POST /v1/concept-sets", (201, {"id": "cst_3", "version": version("cst_3", "ready")}))
    scripted.answer("GET /v1/concept-sets/cst_3/versions/1", (200, version("cst_3", "ready")))
    with IISClient(transport=impatient) as client:
        assert known_phrases(client, study, rows) is None
        assert provide_phrases(client, Terminal(quiet=True), study, "dst_1") == "cst_3@1"


def test_a_path_on_the_server_is_found_again_however_its_slashes_are_written(
    impatient: Any, scripted: ScriptedService, tmp_path: Path
) -> None:
    row = {"id": "dst_1", "state": "ready", "kind": "images", "name": "ImageNet", "upload": None, "hub": None}
    split = {"test_share": 0.2, "split_seed": 0}
    scripted.answer("GET /v1/datasets?limit=100", (200, {"data": [{**row, **split, "server_path": "/data/imagenet/"}], "has_more": False}))
    file = tmp_path / "study.yaml"
    with IISClient(transport=impatient) as client:
        for written, found in (("/data/imagenet", True), ("/data//imagenet/./", True), ("/data/link/../imagenet", False)):
            file.write_text(yaml.safe_dump({"datasets": [{"server_path": written}]}))
            assert (Registered(client).find(read_study(file).datasets[0]) is not None) == found


def test_a_file_with_a_mistake_is_refused_before_anything_is_sent(
    iis: RunCommand, client: IISClient, planted: Planted, tmp_path: Path
) -> None:
    uploads = [row["id"] for row in client.datasets()], [row["id"] for row in client.models()]
    for changed, sentence in (
        ({"seeds": ["one"]}, "Error: study.yaml: seeds[0] must be a whole number from 0 to 2147483647, not 'one'."),
        ({"datasets": ["missing"]}, "Error: study.yaml: datasets[0]: there is nothing at "),
        ({"evolution": True, "models": [{"initial_seed": 0}]}, "an evolution is over two checkpoints or more"),
        ({"datasets": ["dst_none"]}, "Error: study.yaml: datasets[0]: There is no data set dst_none."),
    ):
        refused = iis("study", "run", study_file(tmp_path, planted, **changed))
        assert refused.returncode == 1
        assert sentence in refused.stderr
    assert ([row["id"] for row in client.datasets()], [row["id"] for row in client.models()]) == uploads


def test_what_is_added_to_a_study_is_checked_before_anything_is_sent(
    iis: RunCommand, client: IISClient, scripted: ScriptedService, tmp_path: Path
) -> None:
    more = tmp_path / "more.yaml"
    more.write_text("{concept_counts: [20], libraries: [{kind: cluster, concept_count: 5}]}")
    refused = iis("study", "extend", "std_1", more, IIS_URL=scripted.url)
    assert refused.returncode == 1
    assert "more.yaml: libraries[0].concept_count says again what concept_counts says" in refused.stderr
    scripted.answer("GET /v1/studies/std_1", (200, {"id": "std_1", "grid": {"datasets": ["dst_1", "dst_2"]}}))
    more.write_text("{libraries: [text], vlm: mdl_1, vocabulary: from-classes}")
    refused = iis("study", "extend", "std_1", more, IIS_URL=scripted.url)
    assert refused.returncode == 1
    assert "more.yaml: vocabulary: from-classes takes the classes of one data set, and the study would have several" in refused.stderr
    assert scripted.asked == ["GET /v1/studies/std_1"]


def test_words_of_an_extension_come_from_the_classes_that_the_study_has(iis: RunCommand, scripted: ScriptedService, tmp_path: Path) -> None:
    jobs = dict.fromkeys(("total", "queued", "running", "canceling", "succeeded", "failed", "canceled"), 0)
    finished = {"id": "std_1", "state": "finished", "jobs": jobs, "grid": {"datasets": ["dst_1"]}}
    vlm = {"id": "mdl_1", "role": "vlm", "state": "ready", "error": None, "links": {"self": "/v1/models/mdl_1"}}
    version = {"concept_set": "cst_1", "number": 1, "state": "ready", "error": None, "links": {"self": "/v1/concept-sets/cst_1/versions/1"}}
    scripted.answer("GET /v1/studies/std_1", (200, finished))
    scripted.answer("GET /v1/models/mdl_1", (200, vlm))
    scripted.answer("GET /v1/concept-sets?limit=100", (200, {"data": [{"id": "cst_1", "name": "classes of dst_1"}], "has_more": False}))
    scripted.answer("GET /v1/concept-sets/cst_1/versions/1", (200, version))
    scripted.answer("POST /v1/studies/std_1/extend", (200, finished))
    more = tmp_path / "more.yaml"
    more.write_text("{libraries: [text], vlm: mdl_1, vocabulary: from-classes}")
    done = iis("study", "extend", "std_1", more, IIS_URL=scripted.url)
    assert done.returncode == 0, done.stderr
    assert scripted.times("POST /v1/studies/std_1/extend") == 1


def test_weights_that_a_file_names_twice_are_told_by_both_their_places(
    iis: RunCommand, client: IISClient, planted: Planted, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(planted.backbone.read_bytes())
    file = study_file(tmp_path, planted, models=[{"path": str(planted.backbone)}, {"path": "copy.safetensors"}])
    studies = sum(1 for _ in client.studies())
    refused = iis("study", "run", file)
    assert refused.returncode == 1
    assert "study.yaml: models[0] and study.yaml: models[1] are the same model by content; name it once." in refused.stderr
    assert sum(1 for _ in client.studies()) == studies


@pytest.mark.parametrize("command", [["show"], ["cancel"], ["extend"]])
def test_a_study_that_is_not_there_is_said_so(iis: RunCommand, command: list[str]) -> None:
    refused = iis("study", *command, "std_00000000000000000000000000")
    assert refused.returncode == 1
    assert "There is no study std_00000000000000000000000000" in refused.stderr
