"""Vocabularies derived from class names of real data sets."""

from __future__ import annotations

import pytest

from iis_engine.errors import LibraryError
from iis_engine.vocabularies.class_attributes import phrases_from_classes
from iis_engine.vocabularies.cleaning import CONCEPT_CHARACTERS_MAX, DroppedPhrase
from iis_engine.vocabularies.phrases import Phrase


def texts(*class_names: str) -> list[str]:
    return [phrase.text for phrase in phrases_from_classes(class_names)[0]]


def test_an_albatross_has_the_attributes_and_the_kind_of_its_definition() -> None:
    phrases, _ = phrases_from_classes(["001.Black_footed_Albatross"])
    assert set(phrases) == {
        Phrase(text, "001.Black_footed_Albatross")
        for text in ("black feet", "albatross", "large web-footed bird", "long narrow wings", "bird")
    }


@pytest.mark.parametrize(
    ("class_name", "expected"),
    [
        ("daisy", {"flower heads", "plant"}),
        ("Sunflower", {"dark disk florets", "showy yellow rays", "plant"}),
        ("aeroplane", {"fixed wing", "aircraft", "vehicle"}),
        ("flying machine, aeroplane", {"fixed wing", "aircraft"}),
        ("n02058221", {"long narrow wings", "bird"}),
        ("n01443537_goldfish", {"scales", "fish"}),
        ("107.Common_Raven", {"large black bird", "long wedge-shaped tail"}),
        ("FireEngine", {"truck"}),
    ],
)
def test_class_folder_names_are_looked_up(class_name: str, expected: set[str]) -> None:
    assert expected <= set(texts(class_name))


def test_an_unknown_class_is_looked_up_by_the_end_of_its_name() -> None:
    assert "long narrow wings" in texts("002.Laysan_Albatross")
    assert "short legs" not in texts("002.Laysan_Albatross")


def test_every_meaning_of_a_name_is_used() -> None:
    assert {"large long-necked wading bird", "bird"} <= set(texts("crane"))
    assert {"cocktail", "hand tool"} <= set(texts("screwdriver"))


def test_no_phrase_contains_a_class_name() -> None:
    """A kind that is itself a class is dropped, also with a folder number before its name."""
    alone, beside = texts("n02058221_albatross"), texts("n02058221_albatross", "n01503061_bird")
    assert {"bird", "large web-footed bird"} <= set(alone)
    assert not any("bird" in text for text in beside)


def test_dropped_phrases_are_returned_with_their_reason_even_if_none_is_kept() -> None:
    kept, dropped = phrases_from_classes(["n02058221_albatross", "bird"])
    assert {DroppedPhrase("bird", "class_name", "bird"), DroppedPhrase("large web-footed bird", "class_name", "bird")} <= set(dropped)
    assert not {one.text for one in dropped} & {phrase.text for phrase in kept}
    assert phrases_from_classes(["ruff"]) == ((), (DroppedPhrase("erectile neck ruff", "class_name", "ruff"),))


def test_a_phrase_occurs_once_in_the_group_of_its_first_class() -> None:
    phrases, dropped = phrases_from_classes(["albatross", "pelican", "albatross"])
    assert len({phrase.text for phrase in phrases}) == len(phrases)
    assert Phrase("bird", "albatross") in phrases
    assert {phrase.group for phrase in phrases} == {"albatross", "pelican"}
    assert dropped == ()  # a repetition between classes is not a dropped phrase


@pytest.mark.parametrize("class_names", [[str(digit) for digit in range(10)], ["banded", "blotchy"], ["", " "], []])
def test_classes_without_a_dictionary_entry_are_refused(class_names: list[str]) -> None:
    with pytest.raises(LibraryError, match="has no entry for the classes") as caught:
        phrases_from_classes(class_names)
    assert caught.value.code == "classes_unknown"
    assert str(caught.value).endswith(".")


def test_a_class_without_a_dictionary_entry_does_not_affect_the_others() -> None:
    assert texts("7", "albatross") == texts("albatross")


def test_thousands_of_classes_yield_short_phrases() -> None:
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    phrases, _ = phrases_from_classes([info.label_name_to_description(label) for label in info.label_names()])
    assert len(phrases) > 1000
    assert all(0 < len(phrase.text) <= CONCEPT_CHARACTERS_MAX and phrase.text == phrase.text.strip() for phrase in phrases)
