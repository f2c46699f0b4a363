"""Shipped vocabularies: names, files, and rules that every shipped phrase keeps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from iis_engine.errors import LibraryError
from iis_engine.vocabularies.cleaning import clean
from iis_engine.vocabularies.normalisation import contained_keys, singular, words
from iis_engine.vocabularies.shipped import shipped, shipped_names

REPOSITORY = Path(__file__).parents[3]
FILES = sorted((REPOSITORY / "iis_engine" / "vocabularies").glob("*.txt"))
PHRASES_MIN = {"birds": 300, "parts": 300, "animals": 200}  # every other file has at least 100

EACH_FILE = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def test_the_names_are_broad_and_those_of_the_files() -> None:
    assert shipped_names() == ("broad", *(file.stem for file in FILES))
    assert {"colours", "textures", "patterns", "shapes", "materials", "parts", "scenes"} <= set(shipped_names())
    assert {"weather-and-light", "animals", "birds", "vehicles", "food", "plants", "household-objects"} <= set(shipped_names())


@EACH_FILE
def test_a_file_has_one_sentence_followed_by_groups_of_phrases(file: Path) -> None:
    head, *lines = file.read_text(encoding="utf-8").splitlines()
    written = [line for line in lines if line]
    assert head.startswith("# ")
    assert head.endswith(".")
    assert written[0].startswith("[")
    assert [line for line in written if line != " ".join(line.split()) or line.startswith("#") or line.endswith(".")] == []
    vocabulary = shipped(file.stem)
    assert vocabulary.name == file.stem
    assert vocabulary.description == head.removeprefix("# ")
    assert [phrase.text for phrase in vocabulary.phrases] == [line for line in written if not line.startswith("[")]
    assert list(dict.fromkeys(phrase.group for phrase in vocabulary.phrases)) == [line[1:-1] for line in written if line.startswith("[")]


@EACH_FILE
def test_a_file_has_enough_phrases_and_cleaning_drops_none(file: Path) -> None:
    phrases = shipped(file.stem).phrases
    assert len(phrases) >= PHRASES_MIN.get(file.stem, 100)
    assert clean(phrases) == (phrases, ())


@EACH_FILE
def test_articles_match_the_following_word(file: Path) -> None:
    exceptions = ("an hour", "a unicycle", "an S-", "an L-", "an X-", "a U-")
    texts = [phrase.text for phrase in shipped(file.stem).phrases if not phrase.text.startswith(exceptions)]
    vowels = tuple("aeiou")
    assert [text for text in texts if text.startswith("a ") and text[2:].startswith(vowels)] == []
    assert [text for text in texts if text.startswith("an ") and not text[3:].lower().startswith(vowels)] == []


def test_a_group_name_belongs_to_one_file() -> None:
    groups = [str(group) for file in FILES for group in {phrase.group for phrase in shipped(file.stem).phrases}]
    assert sorted(groups) == sorted(set(groups))


def test_broad_joins_all_phrases_once() -> None:
    broad = shipped("broad").phrases
    keys = [contained_keys(phrase.text)[0] for phrase in broad]
    assert len(keys) == len(set(keys)) >= 2400
    assert set(keys) == {contained_keys(phrase.text)[0] for file in FILES for phrase in shipped(file.stem).phrases}


def test_the_singular_of_a_singular_is_itself_for_every_shipped_word() -> None:
    found = {word for phrase in shipped("broad").phrases for word in words(phrase.text)}
    assert {word: singular(word) for word in found if singular(word) != word} == {}


@pytest.mark.parametrize("name", ["bird", "", "../errors", "birds.txt"])
def test_an_unknown_name_is_refused_with_the_existing_ones(name: str) -> None:
    with pytest.raises(LibraryError, match="is not a shipped vocabulary") as caught:
        shipped(name)
    assert str(caught.value).endswith(f"choose one of {', '.join(shipped_names())}.")
    assert (caught.value.code, caught.value.param) == ("vocabulary_unknown", "vocabulary")


def test_shipped_vocabularies_are_read_without_torch_and_numpy() -> None:
    code = "import sys; from iis_engine.vocabularies.shipped import shipped; shipped('broad'); print({'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.strip() == "set()"
