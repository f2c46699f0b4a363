"""Near-duplicate phrases by their embeddings."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine.libraries import near_duplicates as near_phrases
from iis_engine.libraries.near_duplicates import drop_near
from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings
from iis_engine.vocabularies.phrases import Phrase

CONE = torch.tensor([4.0, 0.0, 0.0, 0.0, 0.0])  # what all texts have in common
TEXTS = ("red", "crimson", "round", "tall", "striped")
MEANINGS = torch.tensor([[0, 1, 0, 0, 0], [0, 1, 0.1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]])


def embeddings(meanings: Tensor, classes: Tensor | None = None) -> PhraseEmbeddings:
    vectors = normalize(meanings + CONE, dim=1)
    class_vectors = torch.empty(0, 5) if classes is None else normalize(classes + CONE, dim=1)
    phrases = tuple(Phrase(text) for text in TEXTS[: len(meanings)])
    return PhraseEmbeddings(phrases, vectors, tuple(f"class {i}" for i in range(len(class_vectors))), class_vectors)


def test_a_component_common_to_all_phrases_makes_no_two_of_them_near_duplicates() -> None:
    given = embeddings(MEANINGS[[0, 2, 3, 4]])
    assert (given.vectors @ given.vectors.T).min() > 0.9  # the bare cosines would drop all but one
    assert drop_near(given) == ([0, 1, 2, 3], [])


def test_of_two_near_duplicates_the_first_is_kept() -> None:
    kept, dropped = drop_near(embeddings(MEANINGS))
    assert kept == [0, 2, 3, 4]
    assert [(one.phrase, one.reason, one.details["other"]) for one in dropped] == [("crimson", "near_phrase", "red")]


def test_a_phrase_near_a_class_name_is_dropped() -> None:
    kept, dropped = drop_near(embeddings(MEANINGS, classes=torch.tensor([[0, 0, 0, 1.0, 0]])))
    assert kept == [0, 2, 4]
    assert {one.phrase: one.reason for one in dropped} == {"crimson": "near_phrase", "tall": "near_class"}


def test_many_phrases_are_compared_in_parts_with_the_same_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = drop_near(embeddings(MEANINGS))
    monkeypatch.setattr(near_phrases, "ROWS_AT_ONCE", 2)
    assert drop_near(embeddings(MEANINGS)) == whole


def test_a_single_phrase_is_kept() -> None:
    assert drop_near(embeddings(MEANINGS[:1])) == ([0], [])


def test_phrases_with_equal_embeddings_are_near_duplicates_also_without_other_phrases() -> None:
    kept, dropped = drop_near(embeddings(MEANINGS[[0, 0]]))
    assert kept == [0]
    assert [(one.phrase, one.details) for one in dropped] == [("crimson", {"cosine": 1.0, "other": "red"})]
