"""Cleaning phrases: long ones, class names and repetitions are dropped with their reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iis_engine.vocabularies.cleaning import DroppedPhrase, clean
from iis_engine.vocabularies.phrases import Phrase
from iis_engine.vocabularies.shipped import shipped

phrase_texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=30)
shipped_phrases = st.sampled_from(shipped("broad").phrases)
REWRITES: list[Callable[[str], str]] = [str.upper, str.title, lambda text: f"the  {text}", lambda text: text.replace(" ", "_")]


def dropped(*texts: str, class_names: tuple[str, ...] = ()) -> list[DroppedPhrase]:
    return list(clean([Phrase(text) for text in texts], class_names)[1])


def test_long_phrases_are_dropped() -> None:
    assert dropped("x" * 60, "y" * 61) == [DroppedPhrase("y" * 61, "too_long")]


@pytest.mark.parametrize("again", ["A Striped Wing", "striped wing", "striped  wings", "the striped-wing", "Stripedwings"])
def test_a_phrase_that_differs_in_case_spacing_article_or_plural_is_a_repetition(again: str) -> None:
    assert dropped("a striped wing", "a spotted wing", again) == [DroppedPhrase(again, "repeated", "a striped wing")]


def test_the_first_of_equal_phrases_is_kept_with_its_group() -> None:
    first, second = Phrase("a wing", "parts"), Phrase("wings", "birds")
    assert clean([first, second, first]) == (
        (first,),
        (DroppedPhrase("wings", "repeated", "a wing"), DroppedPhrase("a wing", "repeated", "a wing")),
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Golden Retrievers", "golden_retriever"),
        ("the face of a golden retriever", "golden_retriever"),
        ("a black-footed albatross", "001.Black_footed_Albatross"),
        ("a tench's fin", "tench, Tinca tinca"),
        ("tinca tinca", "tench, Tinca tinca"),
        ("a sea shell on sand", "seashells"),
    ],
)
def test_a_phrase_that_is_or_contains_a_class_name_is_dropped(text: str, name: str) -> None:
    assert dropped(text, "a long tail", class_names=("zebra", name)) == [DroppedPhrase(text, "class_name", name)]


def test_a_class_name_inside_a_longer_word_or_without_letters_drops_nothing() -> None:
    assert dropped("a caterpillar", "scattered spots", "a cactus", class_names=("cat", "", " ", "tus,")) == []


def test_the_longest_matching_class_name_is_reported() -> None:
    assert dropped("a sooty albatross", class_names=("albatross", "sooty albatross"))[0].other == "sooty albatross"


@settings(deadline=None)
@given(st.lists(shipped_phrases | phrase_texts.map(Phrase), max_size=12), st.lists(phrase_texts, max_size=3))
def test_cleaning_returns_every_phrase_as_kept_or_dropped_and_is_idempotent(phrases: list[Phrase], class_names: list[str]) -> None:
    kept, dropped_phrases = clean(phrases, class_names)
    assert sorted([phrase.text for phrase in kept] + [one.text for one in dropped_phrases]) == sorted(phrase.text for phrase in phrases)
    assert clean(kept, class_names) == (kept, ())
    assert all(one.other in {phrase.text for phrase in kept} for one in dropped_phrases if one.reason == "repeated")


@settings(deadline=None)
@given(shipped_phrases, st.sampled_from(REWRITES))
def test_a_rewritten_shipped_phrase_is_a_repetition(phrase: Phrase, rewrite: Callable[[str], str]) -> None:
    assert dropped(phrase.text, rewrite(phrase.text)) == [DroppedPhrase(rewrite(phrase.text), "repeated", phrase.text)]
