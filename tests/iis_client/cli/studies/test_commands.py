"""`iis study` and `iis leaderboard` against a running service."""

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
from iis_client.cli.studies.commands import SECTIONS
from iis_client.cli.studies.file import read_study
from iis_client.cli.studies.inputs import RegisteredInputs, register_phrases, registered_phrases
from iis_client.transport.messages import answer_json
from iis_schemas.concept_sets import SET_EXAMPLE, VERSION_EXAMPLE
from iis_schemas.datasets import DATASET_EXAMPLE
from iis_schemas.models import MODEL_EXAMPLE
from iis_schemas.names import STUDY_FIGURES, StudyFigure
from iis_schemas.studies.analyses import AnalysisView
from iis_schemas.studies.views import STUDY_EXAMPLE
from support.planted import ARCHITECTURE, ARGUMENTS, PREPROCESSING, Planted

if TYPE_CHECKING:
    from support.breaking_proxy import BreakingProxy
    from support.iis_command import RunCommand
    from support.scripted_service import ScriptedService

LIBRARY = {"kind": "prototype", "concept_count": 6}
TRAIN, TEST, CUT = 12, 8, 4  # images of a class
STUDY = "std_00000000000000000000000001"


@pytest.mark.parametrize("figure", STUDY_FIGURES)
def test_every_figure_has_a_section_of_the_analysis(figure: StudyFigure) -> None:
    assert SECTIONS.get(figure, figure) in AnalysisView.model_fields


def study_file(folder: Path, planted: Planted, **changed: Any) -> Path:
    """Two networks, trained and untrained, on a few of the planted images."""
    content = {
        "name": "planted, twice",
        "model_defaults": {"architecture": ARCHITECTURE, "arguments": ARGUMENTS, "preprocessing": PREPROCESSING},
        "models": [{"path": str(planted.backbone), "label": "trained", "family": "small"}, {"initial_seed": 0, "label": "untrained"}],
        "datasets": [{"path": str(few_images(folder, planted)), "name": "planted [twice]"}],
        "libraries": ["prototype"],
        "concept_counts": [12],
        "elements": {"scales": [4], "images_per_class": CUT},
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({**content, **changed}))
    return path


def few_images(folder: Path, planted: Planted) -> Path:
    """Images of two classes only, so that heads fit quickly."""
    few = folder / "few"
    for split, count in (("train", TRAIN), ("test", TEST)):
        for name in ("warm circle", "cold cross"):
            (few / split / name).mkdir(parents=True, exist_ok=True)
            for path in sorted((planted.images / split / name).iterdir())[:count]:
                (few / split / name / path.name).write_bytes(path.read_bytes())
    return few


def features_file(folder: Path, seed: int) -> Path:
    """Features of three classes, small enough for jobs of seconds."""
    generator = np.random.default_rng(seed)
    centres, labels = 2 * generator.normal(size=(3, 6)), np.repeat(np.arange(3), 20)
    names = ("X_train", "X_test", "concepts")
    arrays: dict[str, Any] = {name: (centres[labels] + generator.normal(size=(60, 6))).astype(np.float32) for name in names}
    path = folder / f"ready{seed}.npz"
    np.savez(path, y_train=labels, y_test=labels, **arrays)
    return path


def page_of(item: dict[str, Any]) -> dict[str, Any]:
    return {"data": [item], "has_more": False}


@pytest.mark.slow
def test_a_study_of_networks_is_run_once_and_resumed_by_a_second_run(
    iis: RunCommand, client: IISClient, proxy: BreakingProxy, planted: Planted, tmp_path: Path
) -> None:
    file = study_file(tmp_path, planted)
    before = [row.id for row in client.models()]
    estimated = iis("study", "run", file, "--dry-run")
    assert estimated.returncode == 0, estimated.stderr
    processed = 2 * 2 * (TRAIN + TEST + CUT * 16)
    assert f"Jobs: 2, of which 0 exist already.\nImages and crops to process: {processed:,}.\n" in estimated.stdout
    assert [row.id for row in client.models()] == before

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
    assert "planted [twice], prototype, M = 12, edition 2: IIS and accuracy: " in done.stdout

    made = next(client.studies())
    assert (made.state, made.jobs.succeeded, made.name) == ("finished", 2, "planted, twice")
    jobs = [job.id for job in client.jobs()]
    proxy.mend()
    again = iis("study", "run", file, IIS_URL=proxy.url)
    assert again.returncode == 0, again.stderr
    assert f"Study {made.id} exists already: 2 of 2 succeeded." in again.stderr
    assert proxy.sent_bytes < 100_000 < planted.backbone.stat().st_size  # read, not uploaded
    assert [job.id for job in client.jobs()] == jobs
    assert (tmp_path / "study" / "table.csv").read_text() == (out / "table.csv").read_text()

    dataset = made.grid.datasets[0]
    board = iis("leaderboard", "--dataset", dataset, "--library", "prototype", "--concepts", "12")
    assert board.returncode == 0, board.stderr
    assert "planted [twice], prototype, M = 12, exact" in board.stdout
    assert len(client.leaderboard(dataset=dataset, library="prototype", concept_count=12).data) == 2
    assert json.loads(iis("leaderboard", "--library", "no such", "--json").stdout)["board"] is None

    estimated = iis("study", "run", study_file(tmp_path, planted, seeds=[0, 1]), "--dry-run").stdout
    assert "Jobs: 4, of which 2 exist already." in estimated
    assert "Images and crops to process: 0." in estimated
    assert "Your last " in estimated


@pytest.mark.slow
def test_a_study_of_features_needs_no_model_and_reuses_jobs(iis: RunCommand, client: IISClient, tmp_path: Path) -> None:
    content = {"datasets": [{"features": str(features_file(tmp_path, seed))} for seed in (0, 1)], "libraries": [LIBRARY]}
    file = tmp_path / "ready.yaml"
    file.write_text(yaml.safe_dump(content))
    done = iis("study", "run", file)
    assert done.returncode == 0, done.stderr
    made = next(client.studies())
    assert made.jobs.total == made.jobs.succeeded == 2

    file.write_text(yaml.safe_dump({**content, "datasets": content["datasets"][:1], "seeds": [0, 1]}))
    assert iis("study", "run", file).returncode == 0
    newest = next(client.studies())
    assert newest.id != made.id
    assert [cell.created for cell in client.study_cells(newest.id)] == [False, True]
    more = tmp_path / "more.yaml"
    more.write_text("seeds: [1]\n")
    extended = iis("study", "extend", made.id, more)
    assert extended.returncode == 0, extended.stderr
    assert client.study(made.id).jobs.total == 4

    shown = iis("study", "show", made.id)
    assert f"Study {made.id}, ready: 4 of 4 succeeded." in shown.stdout
    assert "ready features, prototype, M = 6" in shown.stdout
    assert json.loads(iis("study", "show", made.id, "--json").stdout) == answer_json(client.study(made.id))
    assert made.id in iis("study", "list").stdout
    assert [each["id"] for each in json.loads(iis("study", "list", "--limit", "2", "--json").stdout)] == [newest.id, made.id]


@pytest.mark.slow
def test_a_canceled_study_is_completed_by_a_second_run(iis: RunCommand, client: IISClient, tmp_path: Path) -> None:
    features = features_file(tmp_path, 2)
    file = tmp_path / "ready.yaml"
    file.write_text(yaml.safe_dump({"datasets": [{"features": str(features)}], "libraries": [LIBRARY], "seeds": [5, 6]}))
    dataset = client.wait_until_ready(client.create_dataset(features, kind="features"), 120)
    study = client.create_study([], [dataset], [LIBRARY], name="ready", seeds=[5, 6])
    canceled = iis("study", "cancel", study.id)
    assert canceled.returncode == 0, canceled.stderr
    done = iis("study", "run", file, "--out", "found")
    assert done.returncode == 0, done.stderr
    assert f"Study {study.id} exists already" in done.stderr
    assert client.study(study.id).jobs.succeeded == 2
    assert [row["seed"] for row in csv.DictReader((tmp_path / "found" / "table.csv").read_text().splitlines())] == ["5", "6"]


def test_a_file_of_phrases_becomes_one_concept_set_in_repeated_runs(client: IISClient, cats_and_owls: str, tmp_path: Path) -> None:
    (tmp_path / "phrases.txt").write_text("round eyes\na striped coat\nlong whiskers\n")
    file = tmp_path / "words.yaml"
    file.write_text(yaml.safe_dump({"datasets": [cats_and_owls], "libraries": ["text"], "vlm": "mdl_1", "vocabulary": "phrases.txt"}))
    study = read_study(file)
    terminal = Terminal(quiet=True)
    assert registered_phrases(client, study, cats_and_owls) is None
    made = register_phrases(client, terminal, study, cats_and_owls)
    assert made is not None
    assert client.concept_set(made.partition("@")[0]).name.startswith("phrases.txt ")
    assert register_phrases(client, terminal, study, cats_and_owls) == registered_phrases(client, study, cats_and_owls) == made
    (tmp_path / "phrases.txt").write_text("round eyes\n")
    assert register_phrases(client, terminal, study, cats_and_owls) != made


def test_a_failed_concept_set_is_created_again(impatient: Any, scripted: ScriptedService, tmp_path: Path) -> None:
    file = tmp_path / "words.yaml"
    file.write_text("{datasets: [dst_1], libraries: [text], vlm: mdl_1, vocabulary: from-classes}")
    study = read_study(file)

    def version(concept_set: str, state: str) -> dict[str, Any]:
        link = {"self": f"/v1/concept-sets/{concept_set}/versions/1"}
        return {**VERSION_EXAMPLE, "concept_set": concept_set, "number": 1, "state": state, "links": link}

    scripted.answer("GET /v1/concept-sets?limit=100", (200, page_of({**SET_EXAMPLE, "id": "cst_2", "name": "classes of dst_1"})))
    scripted.answer("GET /v1/concept-sets/cst_2/versions/1", (200, version("cst_2", "failed")))
    scripted.answer("POST /v1/concept-sets", (201, {**SET_EXAMPLE, "id": "cst_3", "version": version("cst_3", "ready")}))
    scripted.answer("GET /v1/concept-sets/cst_3/versions/1", (200, version("cst_3", "ready")))
    with IISClient(transport=impatient) as client:
        assert registered_phrases(client, study, "dst_1") is None
        assert register_phrases(client, Terminal(quiet=True), study, "dst_1") == "cst_3@1"


def test_a_server_path_is_found_regardless_of_slashes_and_dots(impatient: Any, scripted: ScriptedService, tmp_path: Path) -> None:
    dataset = {**DATASET_EXAMPLE, "id": "dst_1", "name": "ImageNet", "upload": None, "server_path": "/data/imagenet/"}
    scripted.answer("GET /v1/datasets?limit=100", (200, page_of(dataset)))
    file = tmp_path / "study.yaml"
    with IISClient(transport=impatient) as client:
        for written, found in (("/data/imagenet", True), ("/data//imagenet/./", True), ("/data/link/../imagenet", False)):
            file.write_text(yaml.safe_dump({"datasets": [{"server_path": written}]}))
            study = read_study(file)
            assert (RegisteredInputs(client, study).find("datasets[0]", study.content.datasets[0]) is not None) == found


@pytest.mark.slow
def test_an_invalid_file_is_refused_before_anything_is_uploaded(
    iis: RunCommand, client: IISClient, planted: Planted, tmp_path: Path
) -> None:
    uploads = [row.id for row in client.datasets()], [row.id for row in client.models()]
    for changed, sentence in (
        ({"seeds": ["one"]}, "Error: study.yaml: seeds[0] must be a valid integer, not 'one'."),
        ({"datasets": ["missing"]}, "Error: study.yaml: datasets[0]: there is no folder of class folders or archive of one at "),
        ({"evolution": True, "models": [{"initial_seed": 0}]}, "An evolution needs two checkpoints or more"),
        ({"datasets": ["dst_none"]}, "Error: study.yaml: datasets[0]: There is no data set dst_none."),
    ):
        refused = iis("study", "run", study_file(tmp_path, planted, **changed))
        assert refused.returncode == 1
        assert sentence in refused.stderr
    assert ([row.id for row in client.datasets()], [row.id for row in client.models()]) == uploads


def test_additions_to_a_study_are_checked_before_anything_is_uploaded(
    iis: RunCommand, client: IISClient, scripted: ScriptedService, tmp_path: Path
) -> None:
    more = tmp_path / "more.yaml"
    more.write_text("{concept_counts: [20], libraries: [{kind: cluster, concept_count: 5}]}")
    refused = iis("study", "extend", STUDY, more, IIS_URL=scripted.url)
    assert refused.returncode == 1
    assert "more.yaml: concept_counts: The number of concepts is given twice" in refused.stderr
    study = {**STUDY_EXAMPLE, "id": STUDY, "grid": {**STUDY_EXAMPLE["grid"], "datasets": ["dst_1", "dst_2"]}}
    scripted.answer(f"GET /v1/studies/{STUDY}", (200, study))
    more.write_text("{libraries: [text], vlm: mdl_1, vocabulary: from-classes}")
    refused = iis("study", "extend", STUDY, more, IIS_URL=scripted.url)
    assert refused.returncode == 1
    assert "more.yaml: vocabulary: from-classes requires a single data set, and the study would have several" in refused.stderr
    assert scripted.asked == [f"GET /v1/studies/{STUDY}"]


def test_from_classes_in_an_extension_uses_the_data_set_of_the_study(iis: RunCommand, scripted: ScriptedService, tmp_path: Path) -> None:
    jobs = dict.fromkeys(("total", "queued", "running", "canceling", "succeeded", "failed", "canceled"), 0)
    grid = {**STUDY_EXAMPLE["grid"], "datasets": ["dst_1"]}
    finished = {**STUDY_EXAMPLE, "id": STUDY, "state": "finished", "jobs": jobs, "grid": grid}
    vlm = {**MODEL_EXAMPLE, "id": "mdl_1", "role": "vlm", "links": {"self": "/v1/models/mdl_1"}}
    version = {**VERSION_EXAMPLE, "concept_set": "cst_1", "number": 1, "links": {"self": "/v1/concept-sets/cst_1/versions/1"}}
    scripted.answer(f"GET /v1/studies/{STUDY}", (200, finished))
    scripted.answer("GET /v1/models/mdl_1", (200, vlm))
    scripted.answer("GET /v1/concept-sets?limit=100", (200, page_of({**SET_EXAMPLE, "id": "cst_1", "name": "classes of dst_1"})))
    scripted.answer("GET /v1/concept-sets/cst_1/versions/1", (200, version))
    scripted.answer(f"POST /v1/studies/{STUDY}/extend", (200, finished))
    more = tmp_path / "more.yaml"
    more.write_text("{libraries: [text], vlm: mdl_1, vocabulary: from-classes}")
    done = iis("study", "extend", STUDY, more, IIS_URL=scripted.url)
    assert done.returncode == 0, done.stderr
    assert scripted.times(f"POST /v1/studies/{STUDY}/extend") == 1


@pytest.mark.slow
def test_the_same_checkpoint_twice_is_refused_with_both_keys(iis: RunCommand, client: IISClient, planted: Planted, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(planted.backbone.read_bytes())
    file = study_file(tmp_path, planted, models=[{"path": str(planted.backbone)}, {"path": "copy.safetensors"}])
    studies = sum(1 for _ in client.studies())
    refused = iis("study", "run", file)
    assert refused.returncode == 1
    assert "study.yaml: models[0] and study.yaml: models[1] have the same content; name each model once." in refused.stderr
    assert sum(1 for _ in client.studies()) == studies


@pytest.mark.parametrize("command", [["show"], ["cancel"], ["extend"]])
def test_an_unknown_study_is_one_sentence(iis: RunCommand, command: list[str]) -> None:
    refused = iis("study", *command, "std_00000000000000000000000000")
    assert refused.returncode == 1
    assert "There is no study std_00000000000000000000000000" in refused.stderr
