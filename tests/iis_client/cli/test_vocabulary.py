"""The `iis vocabulary` commands against a running service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from iis_client import IISClient
from iis_client.cli.output.listing import minute
from iis_client.transport.messages import answer_json

if TYPE_CHECKING:
    from support.iis_command import RunCommand

PHRASES = "[bill]\na [hooked] bill\n[tail]\na barred tail\nbarred tails\n"


@pytest.fixture
def phrases(tmp_path: Path) -> Path:
    path = tmp_path / "garden.txt"
    path.write_text(PHRASES)
    return path


def test_a_file_is_added_shown_listed_downloaded_and_deleted(iis: RunCommand, client: IISClient, phrases: Path, tmp_path: Path) -> None:
    added = iis("vocabulary", "add", phrases)
    assert added.returncode == 0, added.stderr
    assert "garden.txt" in added.stdout
    assert "2 phrases; 1 excluded: 1 repeated." in added.stdout
    made = next(client.concept_sets()).id
    shown = iis("vocabulary", "show", made)
    assert shown.stdout == added.stdout
    for words in (f"{made}, version 1 of 1, ready: garden.txt", "barred tails", "a barred tail"):
        assert words in shown.stdout
    assert made in iis("vocabulary", "list").stdout

    saved = iis("vocabulary", "download", made, "-o", "again.csv")
    assert saved.returncode == 0, saved.stderr
    assert (tmp_path / "again.csv").read_text().splitlines() == ["phrase,group", "a [hooked] bill,bill", "a barred tail,tail"]
    assert "[tail]\na barred tail\n" in iis("vocabulary", "download", made).stdout
    assert json.loads(iis("vocabulary", "download", made, "--format", "json").stdout)[1] == {"text": "a barred tail", "group": "tail"}

    assert iis("vocabulary", "delete", made).returncode == 0
    assert made not in {each.id for each in client.concept_sets()}


def test_a_second_file_becomes_the_next_version(iis: RunCommand, phrases: Path, tmp_path: Path) -> None:
    made = json.loads(iis("vocabulary", "add", phrases, "--name", "garden", "--json").stdout)
    assert (made["name"], made["version"]["number"], len(made["version"]["dropped"])) == ("garden", 1, 1)
    (tmp_path / "more.json").write_text('["red eyes"]')
    again = iis("vocabulary", "add", tmp_path / "more.json", "--to", made["id"])
    assert again.returncode == 0, again.stderr
    assert f"{made['id']}, version 2 of 2, ready: garden" in again.stdout
    assert "red eyes" in iis("vocabulary", "download", made["id"]).stdout
    assert "a barred tail" in iis("vocabulary", "download", f"{made['id']}@1").stdout
    assert json.loads(iis("vocabulary", "show", f"{made['id']}@1", "--json").stdout)["version"]["phrase_count"] == 2


def test_deleting_a_single_version_is_refused(iis: RunCommand, client: IISClient) -> None:
    made = client.create_concept_set(phrases=["red eyes"]).id
    assert iis("vocabulary", "delete", f"{made}@1").returncode == 1
    assert client.concept_set(made).versions == 1


def test_versions_are_listed_newest_first_with_phrase_counts(iis: RunCommand, client: IISClient) -> None:
    made = client.create_concept_set(phrases=["a barred tail", "barred tails"])
    client.add_concept_set_version(made, phrases=["red eyes", "a white rump"])
    listed = iis("vocabulary", "versions", made.id)
    assert listed.returncode == 0, listed.stderr
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in listed.stdout.splitlines() if "│" in line]
    assert [row[:4] for row in rows] == [["2", "ready", "2", "0"], ["1", "ready", "1", "1"]]
    assert rows[1][4] == minute(made.version.created_at) != ""
    assert json.loads(iis("vocabulary", "versions", made.id, "--json").stdout) == answer_json(client.concept_set_versions(made))
    assert "ready" in iis("vocabulary", "versions", "birds").stdout


@pytest.mark.slow
def test_vocabularies_and_versions_are_generated_from_class_names(iis: RunCommand, client: IISClient, cats_and_owls: str) -> None:
    added = iis("vocabulary", "add", "--from-classes", cats_and_owls, "--name", "pets", "--json")
    assert added.returncode == 0, added.stderr
    made = json.loads(added.stdout)
    assert (made["name"], made["version"]["state"], made["version"]["dataset"]) == ("pets", "ready", cats_and_owls)
    assert made["version"]["phrase_count"] > 1
    again = iis("vocabulary", "add", "--from-classes", cats_and_owls, "--to", made["id"])
    assert again.returncode == 0, again.stderr
    assert f"{made['id']}, version 2 of 2, ready: pets" in again.stdout


def test_shipped_vocabularies_are_listed_with_descriptions_and_shown_by_name(iis: RunCommand) -> None:
    listed = json.loads(iis("vocabulary", "list", "--json").stdout)
    birds = next(each for each in listed if each["id"] == "birds")
    assert "birds" in iis("vocabulary", "list").stdout
    shown = iis("vocabulary", "show", "birds").stdout
    assert "birds, version 1 of 1, ready: birds" in shown
    assert birds["description"].split()[0] in shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "brids"], "There is no vocabulary 'brids': no name is this, and no id begins so"),
        (["show", "birds@2"], "has no version 2"),
        (["show", "a/b"], "There is no vocabulary 'a/b'"),
        (["add", "missing.txt"], "There is no file or folder at missing.txt."),
        (["versions", "birds@1"], "A version has no versions; give the concept set, birds, not birds@1."),
        (["add"], "Give either a FILE of phrases or --from-classes DATASET (dst_…)."),
        (["add", "{phrases}", "--from-classes", "dst_1"], "Give either a FILE of phrases or --from-classes DATASET (dst_…)."),
        (["add", "--from-classes", "dst_00000000000000000000000000"], "There is no data set dst_00000000000000000000000000"),
        (["add", "{phrases}", "--to", "cst_1", "--name", "garden"], "leave out --name or --to"),
        (["add", "{phrases}", "--to", "birds"], "comes with the service"),
        (["add", "{phrases}", "--vlm", "open_clip:ViT-B-16"], "--vlm takes open_clip:NAME@CHECKPOINT"),
        (["add", "{phrases}", "--vlm-arg", "embed_dim=32"], "--vlm-arg, --vlm-preprocess and --vlm-weights-of require --vlm"),
        (["download", "birds", "-o", "birds.pdf"], "give --format"),
        (["download", "birds", "-o", "missing/birds.txt"], "missing/birds.txt: No such file or directory."),
        (["delete", "birds"], "comes with the service"),
        (["delete", "cst_1@2"], "A single version cannot be deleted; give the concept set, cst_1, not cst_1@2."),
    ],
)
def test_errors_are_one_sentence_with_exit_code_1(iis: RunCommand, phrases: Path, arguments: list[str], sentence: str) -> None:
    done = iis("vocabulary", *[word.format(phrases=phrases) for word in arguments])
    assert done.returncode == 1
    assert done.stdout == ""
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
