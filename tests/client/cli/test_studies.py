"""`iis study` and `iis leaderboard` against a whole running service."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from planted import ARCHITECTURE, ARGUMENTS, PREPROCESSING, Planted

from client import IISClient
from client.cli.studies.file import read_study
from client.cli.studies.inputs import Row, known_phrases, provide_phrases
from client.records import Library
from client.terminal import Terminal

if TYPE_CHECKING:
    from conftest import BreakingProxy, RunCommand

LIBRARY: Library = {"kind": "prototype", "concept_count": 8}


def study_file(folder: Path, planted: Planted, **changed: Any) -> Path:
    """Two networks, trained and untrained, on the planted images, through two libraries."""
    content = {
        "name": "planted, twice",
        "model_defaults": {"architecture": ARCHITECTURE, "arguments": ARGUMENTS, "preprocessing": PREPROCESSING},
        "models": [{"path": str(planted.backbone), "label": "trained", "family": "small"}, {"initial_seed": 0, "label": "untrained"}],
        "datasets": [{"path": str(planted.images), "name": "planted twice"}],
        "libraries": ["prototype", "cluster"],
        "concept_counts": [12],
        "elements": {"images_per_class": 4},
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({**content, **changed}))
    return path


def test_a_file_is_run_once_goes_on_when_it_is_run_again_and_a_changed_one_uses_what_is_there(
    iis: RunCommand, client: IISClient, proxy: BreakingProxy, planted: Planted, tmp_path: Path
) -> None:
    file = study_file(tmp_path, planted)
    before = [row["id"] for row in client.models()]
    told = iis("study", "run", file, "--dry-run")
    assert told.returncode == 0, told.stderr
    seen = 2 * (8 * (40 + 20) + 8 * 4 * 16)
    assert f"Jobs: 4.\nImages and crops that networks have to see: {seen:,}.\n" in told.stdout
    assert [row["id"] for row in client.models()] == before

    done = iis("study", "run", file, "--out", "found")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "found"
    rows = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    assert [(row["label"], row["library"], row["untrained"]) for row in rows] == [
        (label, library, str(label == "untrained")) for label in ("trained", "untrained") for library in ("prototype", "cluster")
    ]
    analysis = json.loads((out / "analysis.json").read_text())
    assert (analysis["rows"], len(analysis["relation"]), len(analysis["untrained"])) == (4, 2, 2)
    assert (out / "table.parquet").read_bytes()[:4] == b"PAR1"
    assert (out / "iis_accuracy.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert b"<svg" in (out / "iis_accuracy.svg").read_bytes()
    assert not (out / "evolution.png").exists()
    assert "planted twice, cluster, M = 12: IIS and accuracy: " in done.stdout

    made = next(client.studies())
    assert (made["state"], made["jobs"]["succeeded"], made["name"]) == ("finished", 4, "planted, twice")
    jobs = [job["id"] for job in client.jobs()]
    proxy.mend()
    again = iis("study", "run", file, IIS_URL=proxy.url)
    assert again.returncode == 0, again.stderr
    assert f"Study {made['id']} is there already: 4 of 4 succeeded." in again.stderr
    assert proxy.sent_bytes < 100_000 < planted.backbone.stat().st_size  # asked for, not sent
    assert [job["id"] for job in client.jobs()] == jobs
    assert (tmp_path / "study" / "table.csv").read_text() == (out / "table.csv").read_text()

    grown = study_file(tmp_path, planted, libraries=["prototype"], seeds=[0, 1])
    estimated = iis("study", "run", grown, "--dry-run").stdout
    assert "Jobs: 4, of which 2 are there already." in estimated
    assert "Images and crops that networks have to see: 0." in estimated
    assert "Your last " in estimated
    assert iis("study", "run", grown).returncode == 0
    newest = next(client.studies())
    assert newest["id"] != made["id"]
    assert [cell["created"] for cell in client.study_cells(newest["id"])].count(False) == 2

    shown = iis("study", "show", made["id"])
    assert f"Study {made['id']}, planted, twice: 4 of 4 succeeded." in shown.stdout
    assert json.loads(iis("study", "show", made["id"], "--json").stdout) == client.study(made["id"])
    more = tmp_path / "more.yaml"
    more.write_text("seeds: [1]\n")
    extended = iis("study", "extend", made["id"], more)
    assert extended.returncode == 0, extended.stderr
    assert client.study(made["id"])["jobs"]["total"] == 8
    assert made["id"] in iis("study", "list").stdout
    assert [each["id"] for each in json.loads(iis("study", "list", "--limit", "2", "--json").stdout)] == [newest["id"], made["id"]]

    board = iis("leaderboard", "--dataset", made["grid"]["datasets"][0], "--library", "cluster", "--concepts", "12")
    assert board.returncode == 0, board.stderr
    assert "planted twice, cluster, M = 12, exact" in board.stdout
    assert " other board" in board.stdout
    best = client.leaderboard(dataset=made["grid"]["datasets"][0], library="cluster", concept_count=12)
    assert {entry["jobs"] for entry in best["data"]} == {2}
    assert json.loads(iis("leaderboard", "--library", "no such", "--json").stdout)["board"] is None


def test_features_are_studied_without_a_model_and_a_canceled_study_is_tried_again(
    iis: RunCommand, client: IISClient, digits_features: Path, tmp_path: Path
) -> None:
    file = tmp_path / "ready.yaml"
    file.write_text(yaml.safe_dump({"datasets": [{"features": str(digits_features)}], "libraries": [LIBRARY], "seeds": [5, 6]}))
    dataset = client.wait_until_ready(client.create_dataset(digits_features, kind="features"), 120)["id"]
    study = client.create_study([], [dataset], [LIBRARY], name="ready", seeds=[5, 6])
    canceled = iis("study", "cancel", study["id"])
    assert canceled.returncode == 0, canceled.stderr
    client.wait_for_study(study["id"], 60)
    done = iis("study", "run", file, "--out", "found")
    assert done.returncode == 0, done.stderr
    assert f"Study {study['id']} is there already" in done.stderr
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
    made = provide_phrases(client, terminal, study, rows)
    assert made is not None
    assert client.concept_set(made.partition("@")[0])["name"].startswith("phrases.txt ")
    assert provide_phrases(client, terminal, study, rows) == known_phrases(client, study, rows) == made
    (tmp_path / "phrases.txt").write_text("round eyes\n")
    assert provide_phrases(client, terminal, study, rows) != made


def test_a_file_with_a_mistake_is_refused_before_anything_is_sent(
    iis: RunCommand, client: IISClient, planted: Planted, tmp_path: Path
) -> None:
    uploads = [row["id"] for row in client.datasets()], [row["id"] for row in client.models()]
    for changed, sentence in (
        ({"seeds": ["one"]}, "Error: study.yaml: seeds[0] must be a whole number from 0 to 2147483647, not 'one'."),
        ({"datasets": ["missing"]}, "Error: study.yaml: datasets[0]: there is nothing at "),
        ({"evolution": True, "models": [{"initial_seed": 0}]}, "an evolution is over two checkpoints or more"),
    ):
        refused = iis("study", "run", study_file(tmp_path, planted, **changed))
        assert refused.returncode == 1
        assert sentence in refused.stderr
    assert ([row["id"] for row in client.datasets()], [row["id"] for row in client.models()]) == uploads


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
