"""What `iis concepts` says of a library in which nothing has a name."""

from __future__ import annotations

from typing import Any, cast

import pytest

from iis_client.cli.concepts import why_unnamed
from iis_client.types.concepts import Concept

CROP = {"image": "train/cat/1.png", "element": 4, "similarity": 0.9}
ELEMENT = {"element": 4, "similarity": 0.9}
SOUGHT = {"names": [{"phrase": "a tail", "score": 0.4, "cosine": 0.3}], "margin": 0.01, "named": False}


def concept(origin: str, *exemplars: dict[str, Any], details: dict[str, Any] | None = None) -> Concept:
    return cast("Concept", {"index": 0, "origin": origin, "label": None, "details": details, "exemplars": list(exemplars)})


@pytest.mark.parametrize(
    ("concepts", "sentence"),
    [
        ([concept("cluster", CROP)], "score with --vlm and --vocabulary to look for names."),
        ([concept("random"), concept("cluster", CROP)], "score with --vlm and --vocabulary to look for names."),
        ([concept("random"), concept("cluster", CROP, details=SOUGHT)], "no phrase of the vocabulary stands out."),
        ([concept("random"), concept("random")], "random directions are no concepts"),
        ([concept("prototype", ELEMENT)], "a data set of features has no images"),
    ],
)
def test_the_reason_is_said_and_a_search_is_advised_only_where_it_could_find_a_name(concepts: list[Concept], sentence: str) -> None:
    said = why_unnamed(concepts)
    assert sentence in said
    assert ("score with --vlm" in said) == sentence.startswith("score with")
