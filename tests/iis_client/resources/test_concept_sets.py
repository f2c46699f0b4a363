"""Concept sets from Python, against a running service."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from iis_client import (
    CheckFailedError,
    ConfigurationError,
    ConflictError,
    IISClient,
    InvalidInputError,
    LocalFileError,
    NotFoundError,
    WaitTimeoutError,
)
from iis_client.transport.http import Transport
from iis_schemas.concept_sets import VERSION_EXAMPLE, ConceptSetCreated, ConceptSetVersionView, PhraseView

if TYPE_CHECKING:
    from support.scripted_service import ScriptedService

PHRASES = ["a hooked bill", "a barred tail", "hooked bills", "x" * 100]


@pytest.fixture
def birds(client: IISClient) -> Iterator[ConceptSetCreated]:
    """Four phrases, two of which are excluded."""
    made = client.create_concept_set(phrases=PHRASES, name="birds of the garden", description="Seen from the kitchen window.")
    yield made
    if made.id in {each.id for each in client.concept_sets()}:
        client.delete_concept_set(made)


def written(phrases: Iterator[PhraseView]) -> list[tuple[str, str | None]]:
    return [(phrase.text, phrase.group) for phrase in phrases]


def test_shipped_sets_are_read_by_name(client: IISClient) -> None:
    shipped = {each.id: each for each in client.shipped_concept_sets()}
    assert {"broad", "birds", "colours"} <= set(shipped)
    assert client.concept_set("birds") == shipped["birds"]
    assert shipped["birds"].origin == "shipped"
    version = client.concept_set_version("birds")
    assert version.number == 1
    phrases = written(client.phrases("birds"))
    assert len(phrases) == len(set(phrases)) == version.phrase_count > 100
    assert list(client.dropped_phrases("birds")) == []


def test_a_shipped_set_is_neither_changed_nor_deleted(client: IISClient) -> None:
    with pytest.raises(ConflictError, match="comes with the service"):
        client.add_concept_set_version("birds", phrases=["a red bill"])
    with pytest.raises(ConflictError, match="comes with the service"):
        client.delete_concept_set("birds")


@pytest.mark.parametrize("phrase_format", ["txt", "json", "csv"])
def test_a_download_can_be_uploaded_again_unchanged(client: IISClient, tmp_path: Path, phrase_format: Any) -> None:
    file = tmp_path / f"birds.{phrase_format}"
    file.write_bytes(client.download_concept_set("birds", phrase_format))
    made = client.create_concept_set(file)
    assert made.name == file.name
    assert made.version.digest == client.concept_set_version("birds").digest
    assert made.version.dropped == []


def test_excluded_phrases_are_listed_with_reasons(client: IISClient, birds: ConceptSetCreated) -> None:
    version = birds.version
    assert (version.number, version.state, version.phrase_count) == (1, "ready", 2)
    found = {phrase.text: (phrase.reason, phrase.other) for phrase in version.dropped}
    assert found == {"hooked bills": ("repeated", "a hooked bill"), "x" * 100: ("too_long", None)}
    assert list(client.dropped_phrases(birds)) == version.dropped
    assert client.wait_until_ready(version, 60) == version
    assert (birds.name, birds.description) == ("birds of the garden", "Seen from the kitchen window.")


def test_a_new_version_does_not_change_earlier_ones(client: IISClient, birds: ConceptSetCreated) -> None:
    made = client.add_concept_set_version(birds.id, phrases=[{"text": "red eyes", "group": "eyes"}, "a white rump"])
    assert made.version.number == 2
    assert [version.number for version in client.concept_set_versions(birds)] == [2, 1]
    assert written(client.phrases(birds)) == [("red eyes", "eyes"), ("a white rump", None)]
    assert written(client.phrases(birds.id, 1)) == [("a hooked bill", None), ("a barred tail", None)]
    assert json.loads(client.download_concept_set(birds, "json", 1))[0]["text"] == "a hooked bill"
    assert client.concept_set(birds).latest_version == 2


def test_your_sets_are_listed_newest_first_until_they_are_deleted(client: IISClient, birds: ConceptSetCreated) -> None:
    newer = client.create_concept_set(phrases=["a white rump"])
    listed = [each.id for each in client.concept_sets()]
    assert listed.index(newer.id) < listed.index(birds.id)
    client.delete_concept_set(newer.id)
    assert newer.id not in {each.id for each in client.concept_sets()}
    with pytest.raises(NotFoundError):
        client.concept_set(newer.id)


def test_phrases_that_contain_a_class_name_are_excluded(client: IISClient, cats_and_owls: str) -> None:
    made = client.create_concept_set(phrases=["an owl", "round eyes"], dataset=cats_and_owls)
    assert written(client.phrases(made.id)) == [("round eyes", None)]
    (dropped,) = made.version.dropped
    assert (dropped.text, dropped.reason, dropped.other, dropped.similarity) == ("an owl", "class_name", "owl", None)


@pytest.mark.slow
def test_phrases_are_generated_from_class_names(client: IISClient, cats_and_owls: str) -> None:
    made = client.create_concept_set(from_classes=cats_and_owls)
    assert (made.version.state, made.version.dataset) == ("pending", cats_and_owls)
    version = client.wait_until_ready(made.version, 120)
    texts = [phrase.text for phrase in client.phrases(made.id)]
    assert len(texts) == version.phrase_count > 1
    assert not {"cat", "owl"} & set(texts)


def test_class_names_outside_the_dictionary_are_rejected(client: IISClient, digits_features: Path) -> None:
    digits = client.wait_until_ready(client.create_dataset(digits_features, kind="features"), 120)
    version = client.create_concept_set(from_classes=digits.id).version
    with pytest.raises(CheckFailedError, match="The dictionary has no entry for the classes 0, 1, 2") as refused:
        client.wait_until_ready(version, 120)
    assert (refused.value.code, refused.value.param) == ("classes_unknown", "from_classes")
    assert client.concept_set_version(version.concept_set).state == "failed"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b" \n\n", "contains no phrases"), (b"a" * 10_000, "10,000 characters"), (b"a\nb\n" * 20_001, "20,000"), (b"\xff\xfe", "UTF-8")],
)
def test_unreadable_phrases_are_refused_in_one_sentence(client: IISClient, tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "phrases.txt"
    file.write_bytes(content)
    with pytest.raises(InvalidInputError, match=sentence) as refused:
        client.create_concept_set(file)
    assert refused.value.errors[0].param == "upload"


def test_an_empty_file_is_refused_before_the_upload(client: IISClient, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    with pytest.raises(LocalFileError, match="is empty"):
        client.create_concept_set(tmp_path / "empty.txt")


def test_the_format_follows_the_name_of_the_file_not_of_an_earlier_upload(client: IISClient, tmp_path: Path) -> None:
    content = json.dumps([secrets.token_hex(8), "round eyes"])
    for name in ("phrases.bin", "phrases.json"):
        (tmp_path / name).write_text(content)
    with pytest.raises(InvalidInputError, match=r"phrases\.bin"):
        client.create_concept_set(tmp_path / "phrases.bin")
    assert client.create_concept_set(tmp_path / "phrases.json").version.phrase_count == 2


def test_two_sources_at_once_are_refused(client: IISClient, cats_and_owls: str) -> None:
    with pytest.raises(ConfigurationError, match="Give exactly one of phrases, upload and from_classes"):
        client.create_concept_set(phrases=["round eyes"], from_classes=cats_and_owls)


def version_in(state: str, error: dict[str, Any] | None = None) -> dict[str, Any]:
    links = {"self": "/v1/concept-sets/cst_1/versions/2"}
    return {**VERSION_EXAMPLE, "concept_set": "cst_1", "number": 2, "state": state, "error": error, "links": links}


def test_a_rejected_version_is_named_with_its_number(scripted: ScriptedService, impatient: Transport) -> None:
    refusal = {"code": "vocabulary_empty", "message": "No phrase is left.", "param": None}
    answers = (200, version_in("pending")), (200, version_in("failed", refusal))
    scripted.answer("GET /v1/concept-sets/cst_1/versions/2", *answers)
    version = ConceptSetVersionView.model_validate(version_in("pending"))
    with IISClient(transport=impatient) as client, pytest.raises(CheckFailedError, match="No phrase is left") as refused:
        client.wait_until_ready(version, 30)
    assert refused.value.resource == "cst_1@2"


def test_a_version_that_stays_pending_is_named_with_its_number(scripted: ScriptedService, impatient: Transport) -> None:
    scripted.answer("GET /v1/concept-sets/cst_1/versions/2", (200, version_in("pending")))
    with IISClient(transport=impatient) as client, pytest.raises(WaitTimeoutError, match="cst_1@2 is still pending"):
        client.wait_until_ready(ConceptSetVersionView.model_validate(version_in("pending")), 0)
