"""Normalisation of phrases: plurals, articles, case and spacing."""

from __future__ import annotations

import pytest

from iis_engine.vocabularies.normalisation import contained_keys, singular, words

PLURALS = {
    "wings": "wing",
    "berries": "berry",
    "cookies": "cookie",
    "ties": "tie",
    "branches": "branch",
    "moustaches": "moustache",
    "glasses": "glass",
    "brushes": "brush",
    "boxes": "box",
    "buses": "bus",
    "houses": "house",
    "noses": "nose",
    "lenses": "lens",
    "irises": "iris",
    "leaves": "leaf",
    "bookshelves": "bookshelf",
    "caves": "cave",
    "sleeves": "sleeve",
    "potatoes": "potato",
    "horseshoes": "horseshoe",
    "toes": "toe",
    "feet": "foot",
    "mice": "mouse",
    "axes": "axe",
}


@pytest.mark.parametrize(("plural", "one"), PLURALS.items())
def test_plurals_become_singular_and_singulars_are_unchanged(plural: str, one: str) -> None:
    assert (singular(plural), singular(one)) == (one, one)


@pytest.mark.parametrize(
    "word", ["glass", "grass", "iris", "lens", "moss", "cactus", "octopus", "canvas", "gas", "bus", "series", "tennis"]
)
def test_a_singular_that_ends_in_s_is_unchanged(word: str) -> None:
    assert singular(word) == word


def test_words_have_no_case_articles_possessives_or_punctuation_but_keep_decimals() -> None:
    assert words("The dog's  EARS, an old_dogs’ tail!") == ("dog", "ear", "old", "dog", "tail")
    assert words("a 3.5 mm plug") != words("a 35 mm plug")


def test_a_final_article_is_kept_as_a_letter() -> None:
    assert words("the letter A") == ("letter", "a")


def test_contained_keys_ignore_spacing_and_list_every_run_of_words() -> None:
    assert contained_keys("a sea shell")[0] == contained_keys("Sea-shells")[0] == contained_keys("the seashell")[0]
    assert contained_keys("red sea shell") == ["redseashell", "redsea", "seashell", "red", "sea", "shell"]


def test_a_phrase_without_words_is_its_own_key() -> None:
    assert contained_keys(" ?! ") == ["?!"]


def test_combining_marks_of_other_scripts_are_kept() -> None:
    assert contained_keys("का")[0] != contained_keys("की")[0]
