"""Validation of vision-language models and of concept sets: dropped phrases and refusals."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import open_clip
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save

from app.queue import wake_worker
from iis_engine.vocabularies.phrases import Phrase, phrases_digest

if TYPE_CHECKING:
    from app.db.models import ConceptSetVersion
    from support.worker_service import Service

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
VISION = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8}
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
FLOWERS_AND_A_BIRD = ["daisy", "sunflower", "albatross"]


def tokens_of(*words: str) -> list[int]:
    return open_clip.tokenize(list(words))[:, 1].tolist()


def add_clip(service: Service, **text_cfg: Any) -> str:
    """An unchecked open_clip model of random weights with one embedding for the words bill and beak."""
    arguments: dict[str, Any] = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": {**TEXT, **text_cfg}}
    torch.manual_seed(0)
    weights = open_clip.create_model("ViT-B-32", pretrained_text=False, **arguments).state_dict()
    bill, beak = tokens_of("bill", "beak")
    if bill < arguments["text_cfg"]["vocab_size"]:
        weights["token_embedding.weight"][beak] = weights["token_embedding.weight"][bill]
    checkpoint = service.add_upload(save({name: tensor.contiguous() for name, tensor in weights.items()}), "clip.safetensors")
    return service.add_model("open_clip:ViT-B-32", role="vlm", arguments=arguments, upload_id=checkpoint)


def add_pair(service: Service, *, ids: int = 49408, dimension: int = 24) -> str:
    """An unchecked pair of ONNX files; the text tower sums one direction per word, so the order of words has no effect."""
    uploads = {"upload_id": service.add_upload(image_tower(), "image.onnx")}
    uploads["text_upload_id"] = service.add_upload(text_tower(ids, dimension), "text.onnx")
    return service.add_model("onnx", role="vlm", **uploads)


@cache
def image_tower() -> bytes:
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixel_values"], ["means"]),
        helper.make_node("Flatten", ["means"], ["colour"]),
        helper.make_node("MatMul", ["colour", "weights"], ["image_embeds"]),
    ]
    weights = np.random.default_rng(0).normal(size=(3, 24)).astype(np.float32)
    return onnx_file(nodes, ("pixel_values", TensorProto.FLOAT, ["n", 3, 32, 32]), ("image_embeds", 24), weights)


@cache
def text_tower(ids: int, dimension: int) -> bytes:
    """A text tower with zero weights for start, end and padding tokens and for the words of class prompts."""
    table = np.random.default_rng(0).normal(size=(ids, dimension)).astype(np.float32)
    ignored = [0, 49406, 49407, *tokens_of("a", "photo", "of")]
    table[[token for token in ignored if token < ids]] = 0
    nodes = [
        helper.make_node("Gather", ["weights", "input_ids"], ["words"]),
        helper.make_node("ReduceMean", ["words"], ["text_embeds"], axes=[1], keepdims=0),
    ]
    return onnx_file(nodes, ("input_ids", TensorProto.INT64, ["n", 16]), ("text_embeds", dimension), table)


def onnx_file(nodes: list[Any], given: tuple[str, int, list[Any]], found: tuple[str, int], weights: np.ndarray[Any, Any]) -> bytes:
    inputs = [helper.make_tensor_value_info(*given)]
    outputs = [helper.make_tensor_value_info(found[0], TensorProto.FLOAT, ["n", found[1]])]
    graph = helper.make_graph(nodes, "tower", inputs, outputs, [numpy_helper.from_array(weights, "weights")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def checked(service: Service, model_id: str) -> str:
    """Validate a model, which must succeed; returns its id."""
    check = service.add_job("check_model", None, model_id=model_id)
    assert service.run(check) == "succeeded", service.job(check).error
    return model_id


def add_classes(service: Service, *names: str) -> str:
    """A ready data set of these classes without images."""
    return service.add_dataset(None, state="ready", digest="0" * 64, info={"class_names": list(names)})


def ready_version(service: Service, job_id: str) -> ConceptSetVersion:
    """Validate a version, which must succeed; returns it."""
    assert service.run(job_id) == "succeeded", service.job(job_id).error
    version = service.checked_version(job_id)
    assert (version.state, version.error) == ("ready", None)
    assert version.checked_at is not None
    assert version.digest == phrases_digest([Phrase(text, group) for text, group in version.phrases])
    return version


def texts(version: ConceptSetVersion) -> list[str]:
    return [text for text, _ in version.phrases]


def stages(service: Service, job_id: str, state: str) -> list[str]:
    return [event["stage"] for event in service.events(job_id, "stage") if event["state"] == state]


# Models that compare images with phrases


@pytest.mark.parametrize(("add", "tokenizer"), [(add_clip, "ViT-B-32"), (add_pair, "CLIP")])
def test_a_valid_vision_language_model_becomes_ready_with_its_description(service: Service, add: Any, tokenizer: str) -> None:
    model = service.model(checked(service, add(service)))
    assert (model.state, model.error, len(model.digest or "")) == ("ready", None, 64)
    assert model.info is not None
    assert (model.info["embedding_dimension"], model.info["context_length"], model.info["tokenizer"]) == (24, 16, tokenizer)
    assert model.info["image_tower"]["num_features"] == 24
    assert model.info["parameter_count"] > 49408 * 24


@pytest.mark.parametrize(
    ("add", "values", "code", "sentence"),
    [
        (add_clip, {"proj_type": "none"}, "towers_disagree", "24 for images, 32 for phrases; send the two towers of one model."),
        (add_pair, {"dimension": 7}, "towers_disagree", "24 for images, 7 for phrases; send the two towers of one model."),
        (add_clip, {"vocab_size": 64}, "tokenizer_misfit", "has a vocabulary of 64; use a text tower with the vocabulary of its"),
        (add_pair, {"ids": 1000}, "tokenizer_misfit", "with ids up to 49,407"),
    ],
)
def test_towers_that_do_not_match_fail_the_model(service: Service, add: Any, values: dict[str, Any], code: str, sentence: str) -> None:
    model_id = add(service, **values)
    job_id = service.add_job("check_model", None, model_id=model_id)
    assert service.run(job_id) == "failed"
    job, model = service.job(job_id), service.model(model_id)
    assert (job.attempt, model.state, model.error, model.digest) == (1, "failed", job.error, None)
    assert model.error is not None
    assert model.error["code"] == code
    assert sentence in model.error["message"]


# Phrases that mean nearly the same


def test_a_phrase_with_the_embedding_of_an_earlier_phrase_is_dropped_and_names_it(service: Service) -> None:
    vlm = checked(service, add_clip(service))
    phrases = ["a hooked bill", "red eyes", "a hooked beak", "a barred tail", "webbed feet", "long whiskers"]
    job_id = service.add_concept_set(*phrases, vlm_id=vlm)
    version = ready_version(service, job_id)
    assert texts(version) == ["a hooked bill", "red eyes", "a barred tail", "webbed feet", "long whiskers"]
    assert version.dropped == [{"text": "a hooked beak", "reason": "near_phrase", "other": "a hooked bill", "similarity": 1.0}]
    assert stages(service, job_id, "started") == ["embed_phrases", "clean_phrases"]


def test_phrases_that_contain_or_mean_a_class_name_are_dropped(service: Service) -> None:
    vlm, dataset = checked(service, add_pair(service)), add_classes(service, "001.House_sparrow", "red finch")
    named = {"text": "a red finch", "reason": "class_name", "other": "red finch", "similarity": None}
    phrases = ["a hooked bill", "a sparrow house", "a barred tail", "a bill hooked"]
    version = ready_version(service, service.add_concept_set(*phrases, vlm_id=vlm, dataset_id=dataset, dropped=[named]))
    assert texts(version) == ["a hooked bill", "a barred tail"]
    assert version.dropped == [
        named,
        {"text": "a sparrow house", "reason": "near_class", "other": "001.House_sparrow", "similarity": 1.0},
        {"text": "a bill hooked", "reason": "near_phrase", "other": "a hooked bill", "similarity": 1.0},
    ]


def test_a_version_without_remaining_phrases_fails(service: Service) -> None:
    vlm, dataset = checked(service, add_pair(service)), add_classes(service, "house sparrow", "red finch")
    named = {"text": "a red finch", "reason": "class_name", "other": "red finch", "similarity": None}
    job_id = service.add_concept_set("sparrow house", "finch red", vlm_id=vlm, dataset_id=dataset, dropped=[named])
    assert service.run(job_id) == "failed"
    version = service.checked_version(job_id)
    assert (version.state, version.digest) == ("failed", None)
    assert version.error is not None
    assert version.error["code"] == "vocabulary_empty"
    assert version.error["message"] == (
        "Cleaning leaves no phrase: it drops 2 for meaning nearly the same as a class, 1 for holding a class name; send other ones."
    )


def test_a_model_embeds_the_same_phrases_once(service: Service) -> None:
    vlm = checked(service, add_pair(service))
    phrases = ["a hooked bill", "a bill hooked", "a barred tail"]
    first, second = (service.add_concept_set(*phrases, vlm_id=vlm) for _ in range(2))
    found = ready_version(service, first)
    assert stages(service, first, "finished") == ["embed_phrases"]
    again = ready_version(service, second)
    assert stages(service, second, "reused") == ["embed_phrases"]
    assert (again.phrases, again.dropped) == (found.phrases, found.dropped)
    other = service.add_concept_set(*phrases, vlm_id=checked(service, add_clip(service)))
    ready_version(service, other)
    assert stages(service, other, "reused") == []


# Phrases from the names of classes


def test_phrases_are_collected_from_class_names(service: Service) -> None:
    job_id = service.add_concept_set(from_classes=add_classes(service, *FLOWERS_AND_A_BIRD))
    version = ready_version(service, job_id)
    assert {"plant", "bird", "long narrow wings"} <= set(texts(version))
    assert {group for _, group in version.phrases} <= set(FLOWERS_AND_A_BIRD)
    assert not any(name in text for name in FLOWERS_AND_A_BIRD for text in texts(version))
    assert stages(service, job_id, "started") == ["gather_phrases"]


def test_dropped_phrases_list_both_data_sets_class_names(service: Service) -> None:
    job_id = service.add_concept_set(from_classes=add_classes(service, "albatross", "bird"), dataset_id=add_classes(service, "feather"))
    version = ready_version(service, job_id)
    assert [(one["text"], one["reason"], one["other"]) for one in version.dropped] == [
        ("large web-footed bird", "class_name", "bird"),
        ("bird", "class_name", "bird"),
        ("feathers", "class_name", "feather"),
    ]


def test_a_version_whose_phrases_all_contain_their_class_name_fails(service: Service) -> None:
    job_id = service.add_concept_set(from_classes=add_classes(service, "ruff"))
    assert service.run(job_id) == "failed"
    assert service.checked_version(job_id).error == {
        "code": "vocabulary_empty",
        "message": "Cleaning leaves no phrase: it drops 1 for holding a class name; choose a shipped vocabulary or send phrases.",
        "param": "from_classes",
    }


def test_validating_a_concept_set_has_the_deadline_of_a_job(service: Service) -> None:
    check = service.job(service.add_concept_set("a hooked bill"))
    assert check.deadline_seconds == service.runtime.settings.job_deadline_seconds > service.runtime.settings.check_deadline_seconds


def test_class_names_missing_from_the_dictionary_fail_the_version(service: Service) -> None:
    job_id = service.add_concept_set(from_classes=add_classes(service, *map(str, range(10))))
    assert service.run(job_id) == "failed"
    job, version = service.job(job_id), service.checked_version(job_id)
    assert (job.attempt, version.state, version.phrases, version.digest) == (1, "failed", [], None)
    error = service.error_of(job_id)
    assert version.error == error
    assert (error["code"], error["param"]) == ("classes_unknown", "from_classes")
    assert error["message"].startswith(
        "The dictionary has no entry for the classes 0, 1, 2, 3, 4 and 5 more. Name the classes after visible things"
    )


def test_phrases_from_one_data_sets_classes_are_dropped_for_class_names_of_another(service: Service) -> None:
    sources = add_classes(service, *FLOWERS_AND_A_BIRD)
    whole = ready_version(service, service.add_concept_set(from_classes=sources))
    kept_from_birds = service.add_concept_set(from_classes=sources, dataset_id=add_classes(service, "bird"))
    version = ready_version(service, kept_from_birds)
    assert version.dropped
    assert [phrase for phrase in whole.phrases if "bird" not in phrase[0]] == version.phrases
    assert {(one["text"], one["reason"], one["other"]) for one in version.dropped} == {
        (text, "class_name", "bird") for text in texts(whole) if "bird" in text
    }


def test_phrases_from_class_names_are_compared_by_a_model(service: Service) -> None:
    sources, avoided = add_classes(service, *FLOWERS_AND_A_BIRD), add_classes(service, "wings narrow long")
    whole = ready_version(service, service.add_concept_set(from_classes=sources))
    job_id = service.add_concept_set(from_classes=sources, dataset_id=avoided, vlm_id=checked(service, add_pair(service)))
    version = ready_version(service, job_id)
    assert version.phrases == [phrase for phrase in whole.phrases if phrase[0] != "long narrow wings"]
    assert version.dropped == [{"text": "long narrow wings", "reason": "near_class", "other": "wings narrow long", "similarity": 1.0}]
    assert stages(service, job_id, "started") == ["gather_phrases", "embed_phrases", "embed_classes", "clean_phrases"]


# Whatever happens to processes


@pytest.mark.slow
def test_a_version_stays_pending_when_its_worker_is_killed_until_another_worker_finishes(service: Service) -> None:
    worker, _ = service.start_worker_with_frozen_compute()
    job_id = service.add_concept_set(from_classes=add_classes(service, *FLOWERS_AND_A_BIRD))
    wake_worker(job_id)
    service.await_request(job_id)
    worker.kill()
    worker.wait()
    version = service.checked_version(job_id)
    assert (version.state, version.phrases) == ("pending", [])
    service.start_worker()
    assert service.await_state(job_id, "succeeded").attempt == 2
    finished = service.checked_version(job_id)
    assert (finished.state, len(finished.phrases) > 1) == ("ready", True)
    assert service.run(job_id) is None
    assert service.states(job_id) == ["queued", "running", "queued", "running", "succeeded"]
    assert service.checked_version(job_id).checked_at == finished.checked_at
