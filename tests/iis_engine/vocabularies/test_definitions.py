"""Definitions: kind and attributes are parsed from a dictionary's sentence; names are looked up."""

from __future__ import annotations

import subprocess
import sys

import pytest

from iis_engine.errors import LibraryError
from iis_engine.vocabularies.definitions import look_up, read_definition
from iis_engine.vocabularies.dictionary import dictionary

SENTENCES = [
    (
        "large web-footed birds of the southern hemisphere having long narrow wings; noted for powerful gliding flight",
        "bird",
        ["large web-footed bird", "long narrow wings"],
    ),
    ("a variety of albatross with black feet", "albatross", ["black feet"]),
    ("an aircraft that has a fixed wing and is powered by propellers or jets", "aircraft", ["fixed wing"]),
    (
        "any plant of the genus Helianthus having large flower heads with dark disk florets and showy yellow rays",
        "plant",
        ["large flower heads", "dark disk florets", "showy yellow rays"],
    ),
    ("a wooden or metal pole that fits under the armpit; used by disabled person while walking", "pole", ["wooden or metal pole"]),
    ("an inflated ball or bag that is suspended and punched for training in boxing", "ball", ["inflated ball"]),
    ("a Scottish breed of dog with a black-and-tan coat and (usually with white or reddish markings)", "dog", ["black-and-tan coat"]),
    ("a butterfly with black and white markings", "butterfly", ["black markings", "white markings"]),
    ("a game played with a bat and ball", "game", ["bat", "ball"]),
    ("a hand tool for driving screws; has a tip that fits into the head of a screw", "tool", ["hand tool", "tip"]),
    ("someone who pursues fugitives", None, []),
    ("of North America and Eurasia", None, []),
    ("", None, []),
]


@pytest.mark.parametrize(("sentence", "kind", "attributes"), SENTENCES)
def test_kind_and_attributes_are_parsed_from_a_sentence(sentence: str, kind: str | None, attributes: list[str]) -> None:
    read = read_definition("thing, other name", sentence)
    assert read.names == ("thing", "other name")
    assert read.kind == kind
    assert list(read.attributes)[: len(attributes)] == attributes
    assert bool(read.attributes) == bool(attributes)


@pytest.mark.parametrize("name", ["Black_footed Albatross", "black-footed albatross", "Black-Footed Albatrosses", "n02058747"])
def test_a_name_is_found_in_every_spelling(name: str) -> None:
    assert [entry.names[0] for entry in look_up(name)] == ["black-footed albatross"]


def test_things_with_the_name_as_their_usual_name_are_preferred() -> None:
    assert {entry.names[0] for entry in look_up("crane")} == {"crane"}
    assert len(look_up("crane")) == 2  # the bird and the lift
    assert look_up("aeroplane")[0].names[0] == "airplane"
    assert look_up("polka-dotted") == ()


def test_the_dictionary_imports_neither_torch_nor_timm() -> None:
    imports = "import sys; from iis_engine.vocabularies.definitions import look_up"
    code = f"{imports}; assert look_up('daisy'); assert not {{'torch', 'timm'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_dictionary_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    dictionary.cache_clear()

    def find_nothing(_name: str) -> None:
        return None

    monkeypatch.setattr("iis_engine.vocabularies.dictionary.find_spec", find_nothing)
    with pytest.raises(LibraryError, match="not installed on this machine") as caught:
        look_up("daisy")
    assert caught.value.code == "dictionary_missing"
