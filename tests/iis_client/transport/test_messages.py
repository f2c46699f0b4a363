"""Requests and answers as models: validation, unknown fields, names of resources."""

from __future__ import annotations

import json
from typing import Any

import pytest

from iis_client import ConfigurationError
from iis_client.errors import UnexpectedAnswerError
from iis_client.transport.messages import answer_json, build_request, id_of, parse_answer, request_body
from iis_schemas.api_keys import ApiKeyCreate
from iis_schemas.explanations.images import CLASS_EXAMPLE, EXPLANATION_EXAMPLE, ExplanationView
from iis_schemas.jobs.requests import ScoreCreate
from iis_schemas.jobs.views import SCORE_JOB_EXAMPLE, AnyJob, ScoreJobView
from iis_schemas.models import ModelCreate

FIELDS: dict[str, Any] = {"kind": "score", "model": "mdl_1", "dataset": "dst_1", "library": {"kind": "cluster"}}


def test_a_request_contains_only_the_fields_that_were_given() -> None:
    request = build_request(ScoreCreate, {**FIELDS, "seed": None, "protocol": "exact"})
    assert request_body(request) == {**FIELDS, "protocol": "exact"}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"seed": -1}, "seed must be greater than or equal to 0, not -1."),
        ({"library": {"kind": "cluster", "concept_count": 1}}, "library.concept_count must be greater than or equal to 2, not 1."),
        ({"library": {"kind": "text"}}, "A text library is made of phrases that a model knows: give vlm and vocabulary."),
        ({"tags": ["a,b"]}, "tags[0] has characters that are not accepted here, or too many: 'a,b'."),
        ({"metadata": {"a b": "c"}}, "metadata.a b has characters that are not accepted here, or too many: 'a b'."),
        ({"sed": 1}, "'sed' is not a valid key here (did you mean 'seed'?)."),
    ],
)
def test_an_invalid_request_is_refused_in_one_sentence(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        build_request(ScoreCreate, {**FIELDS, **changed})
    assert str(refused.value) == sentence


def test_the_members_of_a_union_are_not_part_of_a_path() -> None:
    with pytest.raises(ConfigurationError) as refused:
        build_request(ModelCreate, {"architecture": "timm:resnet18", "preprocessing": {"input_size": 5}})
    assert str(refused.value) == "preprocessing.input_size must be greater than or equal to 8, not 5."


def test_a_time_that_is_none_is_refused_with_an_example() -> None:
    with pytest.raises(ConfigurationError) as refused:
        build_request(ApiKeyCreate, {"name": "robot", "expires_at": "tomorrow"})
    assert str(refused.value) == "expires_at must be a time such as 2027-01-12T00:00:00Z, not 'tomorrow'."


def test_fields_of_a_newer_service_survive_in_the_json_of_an_answer() -> None:
    library = {**SCORE_JOB_EXAMPLE["library"], "later": {"a": 1}}
    progress = {**SCORE_JOB_EXAMPLE["progress"], "later": 3}
    answer = {**SCORE_JOB_EXAMPLE, "library": library, "progress": progress, "later": [1, 2.0, None]}
    job = parse_answer(AnyJob, answer).root
    assert json.dumps(answer_json(job), sort_keys=True) == json.dumps(answer, sort_keys=True)
    assert answer_json([job]) == [answer]


def test_fields_of_a_newer_service_survive_in_lists() -> None:
    top = [{**CLASS_EXAMPLE, "later": True}]
    answer = {**EXPLANATION_EXAMPLE, "interpretation": {**CLASS_EXAMPLE, "top": top}}
    assert answer_json(parse_answer(ExplanationView, answer)) == answer


def test_an_answer_that_does_not_match_names_the_field() -> None:
    with pytest.raises(UnexpectedAnswerError, match=r"install the service's version\. \(attempt "):
        parse_answer(ScoreJobView, {**SCORE_JOB_EXAMPLE, "attempt": "first"})


def test_a_resource_is_named_by_id_or_by_its_answer() -> None:
    job = ScoreJobView.model_validate(SCORE_JOB_EXAMPLE)
    assert id_of(job) == id_of(job.id) == SCORE_JOB_EXAMPLE["id"]
