"""The sentence of `iis concepts` on a library without named concepts."""

from __future__ import annotations

from typing import Any

import pytest

from iis_client.cli.concepts import why_unnamed
from iis_schemas.concept_libraries import CONCEPT_EXAMPLE, ConceptView

CROP = {"image": "train/cat/1.png", "element": 4, "similarity": 0.9}
ELEMENT = {"element": 4, "similarity": 0.9}
SOUGHT = {"names": [{"phrase": "a tail", "score": 0.4, "cosine": 0.3}], "margin": 0.01, "named": False}


def concept(origin: str, *exemplars: dict[str, Any], details: dict[str, Any] | None = None) -> ConceptView:
    fields = {"origin": origin, "label": None, "details": details, "exemplars": list(exemplars)}
    return ConceptView.model_validate({**CONCEPT_EXAMPLE, **fields})


@pytest.mark.parametrize(
    ("concepts", "sentence"),
    [
        ([concept("cluster", CROP)], "score with --vlm and --vocabulary to name concepts."),
        ([concept("random"), concept("cluster", CROP)], "score with --vlm and --vocabulary to name concepts."),
        ([concept("random"), concept("cluster", CROP, details=SOUGHT)], "no phrase of the vocabulary is clearly closest."),
        ([concept("random"), concept("random")], "random directions are not named"),
        ([concept("prototype", ELEMENT)], "a data set of features has no images"),
    ],
)
def test_naming_is_advised_only_where_it_can_succeed(concepts: list[ConceptView], sentence: str) -> None:
    reason = why_unnamed(concepts)
    assert sentence in reason
    assert ("score with --vlm" in reason) == sentence.startswith("score with")
