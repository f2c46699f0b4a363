"""Names of visual concepts from synthetic embeddings of crops and phrases, and from a folder of images."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.naming import ConceptName, load_names, name_concepts, save_names
from iis_engine.libraries.phrase_report import TextReport
from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings
from iis_engine.vocabularies.phrases import Phrase

WORDS = ("red", "round", "striped", "tall")
AXES = torch.eye(6)
EMPTY_REPORT = TextReport(
    (), (), 0.25, 0.45, native=False, held_out_count=99, zero_shot_accuracy=0.5, zero_shot_low=0.4, zero_shot_high=0.6, chance=0.1
)


def crops(*showing: int) -> dict[int, Tensor]:
    """One crop per number: the word of that index, no word for 5; all crops share the first axis."""
    generator = torch.Generator().manual_seed(0)
    return {
        element: normalize(AXES[place] + 0.6 * AXES[4] + 0.05 * torch.randn(6, generator=generator), dim=0)
        for element, place in enumerate(showing)
    }


def phrases(*extra: tuple[str, Tensor]) -> PhraseEmbeddings:
    texts = [*WORDS, *(text for text, _ in extra)]
    vectors = normalize(torch.stack([*AXES[: len(WORDS)], *(vector for _, vector in extra)]) + 0.5 * AXES[4], dim=1)
    return PhraseEmbeddings(tuple(Phrase(text) for text in texts), vectors, (), torch.empty(0, 6))


def library(*shown_by: tuple[int, ...], origins: tuple[str, ...] | None = None) -> ConceptLibrary:
    exemplars = tuple(tuple((element, 0.9) for element in row) for row in shown_by)
    count = len(exemplars)
    return ConceptLibrary("cluster", AXES[:count], origins or ("cluster",) * count, exemplars, text_report=EMPTY_REPORT)


def test_a_concept_is_named_by_the_phrase_that_its_crops_show() -> None:
    names = name_concepts(library((0, 1), (2, 3), (4, 5)), crops(0, 0, 1, 1, 3, 3, 2, 2), phrases())
    assert [name and name.label for name in names] == ["red", "round", "tall"]
    assert names[0] is not None
    assert names[0].names[0].phrase == "red"
    assert len(names[0].names) == len(WORDS)
    assert names[0].margin == round(names[0].margin, 4) > 0


def test_crops_of_two_things_have_no_name() -> None:
    (name, *_) = name_concepts(library((0, 2), (4, 5)), crops(0, 0, 1, 1, 3, 3), phrases())
    assert name is not None
    assert not name.named
    assert name.label is None
    assert {phrase.phrase for phrase in name.names[:2]} == {"red", "round"}  # both candidates are still listed


def test_crops_that_show_nothing_of_the_vocabulary_have_no_name() -> None:
    (name, *_) = name_concepts(library((0, 1)), crops(5, 5, 1, 1, 3, 3, 0, 0), phrases())
    assert name is not None
    assert name.label is None


def test_a_phrase_near_to_every_image_is_not_a_name() -> None:
    names = name_concepts(library((0, 1), (2, 3)), crops(0, 0, 1, 1, 3, 3), phrases(("an image", 5 * AXES[4])))
    assert [name and name.label for name in names] == ["red", "round"]


def test_a_synonym_does_not_remove_the_margin() -> None:
    names = name_concepts(library((0, 1), (2, 3)), crops(0, 0, 1, 1, 3, 3), phrases(("crimson", AXES[0] + 0.02 * AXES[5])))
    assert names[0] is not None
    assert names[0].label == "red"


def test_text_concepts_and_concepts_without_exemplars_are_not_named() -> None:
    mixed = library((0, 1), (2, 3), (), origins=("cluster", "text", "random"))
    names = name_concepts(mixed, crops(0, 0, 1, 1), phrases())
    assert [name is None for name in names] == [False, True, True]


def test_a_single_phrase_is_compared_with_the_other_crops() -> None:
    one = phrases().select([0])
    (name, other) = name_concepts(library((0, 1), (2, 3)), crops(0, 0, 1, 1), one)
    assert name is not None
    assert other is not None
    assert name.names[0].score > 0 > other.names[0].score


def test_names_read_back_are_the_same(tmp_path: Path) -> None:
    names: list[ConceptName | None] = [*name_concepts(library((0, 1), (2, 3)), crops(0, 0, 1, 1), phrases()), None]
    save_names(names, tmp_path / "names.json")
    assert load_names(tmp_path / "names.json") == names


def test_a_model_with_random_embeddings_names_hardly_any_concept() -> None:
    generator = torch.Generator().manual_seed(3)
    groups = torch.randn(60, 32, generator=generator)
    crops_of = {5 * i + j: normalize(groups[i] + 0.5 * torch.randn(32, generator=generator), dim=0) for i in range(60) for j in range(5)}
    meaningless = normalize(torch.randn(80, 32, generator=generator), dim=1)
    random = PhraseEmbeddings(tuple(Phrase(f"word{i}") for i in range(80)), meaningless, (), torch.empty(0, 32))
    exemplars = tuple(tuple((5 * i + j, 0.9) for j in range(5)) for i in range(60))
    coherent = ConceptLibrary("cluster", torch.zeros(60, 32), ("cluster",) * 60, exemplars)
    names = name_concepts(coherent, crops_of, random)
    assert sum(name is not None and name.named for name in names) <= 6
