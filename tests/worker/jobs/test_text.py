"""Jobs with text concepts: kept and dropped phrases, names of visual concepts, and reused stages."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from app.db.ids import new_id
from app.db.models import Concept, ConceptLibrary, ConceptSet, ConceptSetVersion, DroppedPhrase, Model, Result
from demo import language_model as demo_language
from iis_engine.vocabularies.phrases import Phrase, phrases_digest
from iis_engine.vocabularies.shipped import shipped
from support.planted import ARCHITECTURE, ARGUMENTS, CLASS_NAMES, DECOYS, PHRASES, PREPROCESSING, Planted

if TYPE_CHECKING:
    from support.worker_service import Service

VOCABULARY = (*PHRASES, *DECOYS)
TEXT = {"kind": "text", "concept_count": 200, "parts": [], "clip_cutoff": 0.25, "interpretability_cutoff": 0.45, "native": False}
CLUSTER = {"kind": "cluster", "concept_count": 12, "parts": []}


@dataclass
class Words:
    """A service with the planted images, both models and a vocabulary."""

    service: Service
    dataset: str
    backbone: str
    own_tower: str  # the vision-language model's image tower as a backbone
    vlm: str

    def add_vocabulary(self, *phrases: str) -> dict[str, Any]:
        """A concept set of one version; returns its entry in the specification of a job."""
        concept_set = ConceptSet(id=new_id("concept_set"), owner_id=self.service.owner_id, name="set")
        digest = phrases_digest(Phrase(text) for text in phrases)
        version = ConceptSetVersion(
            concept_set_id=concept_set.id, number=1, phrases=[[text, None] for text in phrases], dropped=[], state="ready", digest=digest
        )
        with self.service.runtime.sessions.begin() as session:
            session.add(concept_set)
            session.flush()
            session.add(version)
        return {"id": concept_set.id, "version": 1, "digest": digest}

    def score(self, library: dict[str, Any], *, vocabulary: dict[str, Any] | None = None, model: str | None = None) -> str:
        """Run a job through; returns its id."""
        backbone = model or self.backbone
        chosen = vocabulary or self.add_vocabulary(*VOCABULARY)
        spec = {
            "model": backbone,
            "dataset": self.dataset,
            "library": library,
            "elements": {"kind": "patches", "images_per_class": 3, "seed": 0},
            "protocol": "reference",  # fewer fits, since the scores are not tested here
            "seed": 0,
            "vlm": self.vlm,
            "vocabulary": chosen,
        }
        set_id = chosen["id"] if chosen["id"].startswith("cst_") else None
        job_id = self.service.add_job("score", self.dataset, spec, model_id=backbone, vlm_id=self.vlm, concept_set_id=set_id)
        self.service.run(job_id)
        return job_id

    def stages(self, job_id: str, state: str) -> list[str]:
        return [event["stage"] for event in self.service.events(job_id, "stage") if event["state"] == state]

    def found(self, job_id: str) -> tuple[dict[str, Any], list[Concept], list[DroppedPhrase]]:
        """Report, concepts and dropped phrases."""
        assert self.service.job(job_id).state == "succeeded", self.service.job(job_id).error
        with self.service.runtime.sessions() as session:
            result = session.get_one(Result, job_id)
            of = result.library_id
            concepts = session.scalars(select(Concept).where(Concept.library_id == of).order_by(Concept.index)).all()
            dropped = session.scalars(select(DroppedPhrase).where(DroppedPhrase.library_id == of).order_by(DroppedPhrase.index)).all()
            return result.report, list(concepts), list(dropped)


def add_images(service: Service, planted: Planted, *, without: str = "") -> str:
    """The planted images as a checked data set, of all classes or without one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(planted.images.rglob("*.png")):
            if path.parent.name != without:
                archive.writestr(path.relative_to(planted.images).as_posix(), path.read_bytes())
    dataset = service.add_dataset(buffer.getvalue(), "planted.zip", "images")
    assert service.run(service.add_job("check_dataset", dataset)) == "succeeded"
    return dataset


def details_of(concept: Concept) -> dict[str, Any]:
    """The details of a concept of a text library or with names."""
    assert concept.details is not None
    return concept.details


@pytest.fixture
def words(service: Service, planted: Planted) -> Words:
    def add_model(content: bytes, **values: Any) -> str:
        upload = service.add_upload(content, "model.safetensors")
        model = Model(id=new_id("model"), owner_id=service.owner_id, name="model", upload_id=upload, **values)
        with service.runtime.sessions.begin() as session:
            session.add(model)
        check = service.add_job("check_model", None, {"model": model.id}, model_id=model.id)
        assert service.run(check) == "succeeded", service.job(check).error
        return model.id

    language, own = planted.language.read_bytes(), {"architecture": demo_language.ARCHITECTURE, "arguments": demo_language.ARGUMENTS}
    return Words(
        service,
        add_images(service, planted),
        add_model(planted.backbone.read_bytes(), architecture=ARCHITECTURE, arguments=ARGUMENTS, preprocessing=PREPROCESSING),
        add_model(language, **own),
        add_model(language, **own, role="vlm"),
    )


@pytest.mark.slow
def test_a_text_job_stores_kept_phrases_as_concepts_and_dropped_phrases_with_reasons(words: Words) -> None:
    job_id = words.score(TEXT)
    report, concepts, dropped = words.found(job_id)
    text = report["library"]["text"]
    assert {concept.label for concept in concepts} | {phrase.text for phrase in dropped} == set(VOCABULARY)
    assert (text["kept"], sum(text["dropped"].values())) == (len(concepts), len(dropped))
    assert set(DECOYS) <= {phrase.text for phrase in dropped}
    for concept in concepts:
        details = details_of(concept)
        assert concept.origin == "text"
        assert details["similarity"] >= 0.45
        assert details["clip_top5"] >= 0.25
    assert all(phrase.details.keys() & {"clip_top5", "cosine"} for phrase in dropped)
    with words.service.runtime.sessions() as session:
        notes = (session.get_one(Model, words.vlm).info or {})["notes"]
    assert notes  # that the preprocessing was assumed
    assert {f"Vision-language model: {note}" for note in notes} <= set(report["notes"])
    assert report["configuration"]["vision_language_model"]["id"] == words.vlm
    order = words.stages(job_id, "finished")
    assert (
        order.index("embed_images")
        < order.index("embed_phrases")
        < order.index("embed_classes")
        < order.index("libraries")
        < order.index("matched")
    )


@pytest.mark.slow
def test_image_embeddings_are_reused_for_every_vocabulary_and_backbone(words: Words) -> None:
    words.score(TEXT)
    fewer = words.score(TEXT, vocabulary=words.add_vocabulary(*PHRASES[:8]))
    assert words.stages(fewer, "reused") == ["extract", "embed_images", "embed_classes"]
    assert len(words.found(fewer)[1]) <= 8
    same = words.add_vocabulary(*VOCABULARY)  # another set with the same phrases
    other = words.score(TEXT | {"native": True}, vocabulary=same, model=words.own_tower)
    assert words.stages(other, "reused") == ["embed_images", "embed_phrases", "embed_classes"]
    assert words.found(other)[0]["library"]["text"]["native"]


@pytest.mark.slow
def test_phrases_are_embedded_once_for_all_data_sets(words: Words, planted: Planted) -> None:
    vocabulary = words.add_vocabulary(*VOCABULARY)
    words.score(TEXT, vocabulary=vocabulary)
    words.dataset = add_images(words.service, planted, without=CLASS_NAMES[-1])
    other = words.score(TEXT, vocabulary=vocabulary)
    assert words.found(other)[1]
    assert words.stages(other, "reused") == ["embed_phrases"]
    assert "embed_classes" in words.stages(other, "finished")


@pytest.mark.slow
def test_a_job_reuses_the_phrase_embeddings_of_its_concept_sets_validation(words: Words) -> None:
    check = words.service.add_concept_set(*PHRASES, vlm_id=words.vlm, dataset_id=words.dataset)
    assert words.service.run(check) == "succeeded", words.service.job(check).error
    version = words.service.checked_version(check)
    assert version.dropped == []  # otherwise other phrases would be embedded
    job_id = words.score(TEXT, vocabulary={"id": version.concept_set_id, "version": 1, "digest": version.digest})
    assert words.found(job_id)[1]
    assert words.stages(job_id, "reused") == ["embed_phrases", "embed_classes"]


@pytest.mark.slow
def test_a_native_library_of_another_backbone_fails(words: Words) -> None:
    job_id = words.score(TEXT | {"native": True})
    job, error = words.service.job(job_id), words.service.error_of(job_id)
    assert (job.state, job.attempt, error["code"]) == ("failed", 1, "library_not_native")
    assert "own image tower" in error["message"]


@pytest.mark.slow
def test_a_vocabulary_without_remaining_phrases_fails_with_cutoffs_and_reached_values(words: Words) -> None:
    job_id = words.score(TEXT, vocabulary=words.add_vocabulary(*DECOYS))
    error = words.service.error_of(job_id)
    assert (words.service.job(job_id).state, error["code"]) == ("failed", "library_empty")
    assert "clip_cutoff is 0.25" in error["message"]


@pytest.mark.slow
def test_visual_concepts_are_named_and_counted_in_the_report(words: Words) -> None:
    job_id = words.score(CLUSTER)
    report, concepts, dropped = words.found(job_id)
    assert dropped == []
    named = [concept for concept in concepts if concept.label is not None]
    assert report["library"]["names"] == {"named": len(named), "unnamed": 12 - len(named)}
    for concept in concepts:
        details = details_of(concept)
        assert concept.label == (details["names"][0]["phrase"] if details["named"] else None)
        assert len(details["names"]) == 5
    assert not {"embed_images", "embed_classes"} & set(words.stages(job_id, "finished"))  # only crops are embedded
    plain = words.service.add_score(words.dataset, words.backbone, library=CLUSTER, protocol="reference")
    assert words.service.run(plain) == "succeeded"
    assert all(concept.details is None for concept in words.found(plain)[1])


@pytest.mark.slow
def test_a_combined_library_stores_the_origin_of_each_concept(words: Words) -> None:
    parts = [TEXT | {"concept_count": 6}, {"kind": "prototype", "concept_count": 5}]
    job_id = words.score({"kind": "combined", "concept_count": 11, "parts": parts})
    report, concepts, _ = words.found(job_id)
    assert [concept.origin for concept in concepts] == ["text"] * 6 + ["prototype"] * 5
    assert report["library"]["parts"] == [{"kind": "text", "concept_count": 6}, {"kind": "prototype", "concept_count": 5}]
    assert all(details_of(concept).keys() == {"names", "margin", "named"} for concept in concepts[6:])
    assert report["library"]["names"]["named"] + report["library"]["names"]["unnamed"] == 5


@pytest.mark.slow
def test_a_text_library_of_an_earlier_job_needs_no_vision_language_model(words: Words) -> None:
    first = words.score(TEXT)
    with words.service.runtime.sessions() as session:
        library_id = session.get_one(Result, first).library_id
        kept = session.get_one(ConceptLibrary, library_id).concept_count
    again = words.service.add_score(words.dataset, words.backbone, library={"id": library_id}, protocol="reference", seed=1)
    assert words.service.run(again) == "succeeded", words.service.job(again).error
    assert not {"embed_images", "embed_phrases", "embed_classes", "libraries", "name"} & set(words.stages(again, "finished"))
    report, concepts, _ = words.found(again)
    assert report["library"]["concept_count"] == kept == len(concepts)
    assert [concept["phrase"] for concept in report["library"]["text"]["concepts"]] == [concept.label for concept in concepts]


@pytest.mark.slow
def test_a_shipped_vocabulary_is_read_from_the_package(words: Words) -> None:
    chosen = {"id": "shapes", "version": 1, "digest": phrases_digest(shipped("shapes").phrases)}
    job_id = words.score(TEXT | {"clip_cutoff": -1, "interpretability_cutoff": -1}, vocabulary=chosen)
    _, concepts, dropped = words.found(job_id)
    assert len(concepts) + len(dropped) == len(shipped("shapes").phrases)
    other = words.score(TEXT, vocabulary=chosen | {"digest": "0" * 64})
    assert words.service.error_of(other)["code"] == "vocabulary_changed"
