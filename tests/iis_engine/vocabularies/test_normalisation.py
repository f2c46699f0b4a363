"""Which wordings say the same."""

import pytest

from iis_engine.vocabularies.normalisation import keys, singular, words

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
def test_a_plural_and_its_singular_meet_in_the_singular(plural: str, one: str) -> None:
    assert (singular(plural), singular(one)) == (one, one)


@pytest.mark.parametrize(
    "word", ["glass", "grass", "iris", "lens", "moss", "cactus", "octopus", "canvas", "gas", "bus", "series", "tennis"]
)
def test_a_singular_that_ends_in_s_is_left_alone(word: str) -> None:
    assert singular(word) == word


def test_words_lose_case_articles_possessives_and_punctuation_but_no_decimals() -> None:
    assert words("The dog's  EARS, an old_dogs’ tail!") == ("dog", "ear", "old", "dog", "tail")
    assert words("a 3.5 mm plug") != words("a 35 mm plug")


def test_an_article_at_the_end_is_a_letter() -> None:
    assert words("the letter A") == ("letter", "a")


def test_keys_ignore_spacing_and_list_what_a_phrase_contains() -> None:
    assert keys("a sea shell")[0] == keys("Sea-shells")[0] == keys("the seashell")[0]
    assert keys("red sea shell") == ["redseashell", "redsea", "seashell", "red", "sea", "shell"]


def test_a_phrase_without_words_is_its_own_key() -> None:
    assert keys(" ?! ") == ["?!"]


def test_marks_that_other_scripts_write_after_a_letter_are_kept() -> None:
    assert keys("का")[0] != keys("की")[0]
