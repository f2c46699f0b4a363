"""The vocabularies that are shipped keep the rules, uploads are read or refused with a sentence, and cleaning says why."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iis_engine.errors import LibraryError
from iis_engine.vocabularies.normalisation import keys, singular, words
from iis_engine.vocabularies.phrases import DroppedPhrase, Phrase, clean, parse_csv, parse_json, parse_txt, shipped, shipped_names

Parser = Callable[[bytes], tuple[Phrase, ...]]

REPOSITORY = Path(__file__).parents[3]
FOLDER = REPOSITORY / "iis_engine" / "vocabularies"
FILES = sorted(FOLDER.glob("*.txt"))
LEAST = {"birds": 300, "parts": 300, "animals": 200}  # every other file has 100 or more

EACH_FILE = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
EACH_PARSER = pytest.mark.parametrize("parse", [parse_txt, parse_json, parse_csv])

phrase_texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=30)
shipped_phrases = st.sampled_from(shipped("broad").phrases)


def refusal(parse: Parser, data: bytes) -> str:
    with pytest.raises(LibraryError) as caught:
        parse(data)
    assert (caught.value.code, caught.value.param) == ("vocabulary_invalid", "vocabulary")
    return str(caught.value)


def dropped(*texts: str, class_names: tuple[str, ...] = ()) -> list[DroppedPhrase]:
    return list(clean([Phrase(text) for text in texts], class_names)[1])


# Shipped


def test_the_names_are_those_of_the_files_and_broad() -> None:
    assert shipped_names() == ("broad", *(file.stem for file in FILES))
    assert {"colours", "textures", "patterns", "shapes", "materials", "parts", "scenes"} <= set(shipped_names())
    assert {"weather-and-light", "animals", "birds", "vehicles", "food", "plants", "household-objects"} <= set(shipped_names())


@EACH_FILE
def test_a_file_is_one_sentence_and_then_groups_of_phrases(file: Path) -> None:
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
    assert len(phrases) >= LEAST.get(file.stem, 100)
    assert clean(phrases) == (phrases, ())


@EACH_FILE
def test_articles_fit_the_word_that_follows(file: Path) -> None:
    sounds_otherwise = ("an hour", "a unicycle", "an S-", "an L-", "an X-", "a U-")
    texts = [phrase.text for phrase in shipped(file.stem).phrases if not phrase.text.startswith(sounds_otherwise)]
    vowels = tuple("aeiou")
    assert [text for text in texts if text.startswith("a ") and text[2:].startswith(vowels)] == []
    assert [text for text in texts if text.startswith("an ") and not text[3:].lower().startswith(vowels)] == []


def test_a_group_name_belongs_to_one_file() -> None:
    groups = [group for file in FILES for group in {phrase.group for phrase in shipped(file.stem).phrases}]
    assert sorted(groups) == sorted(set(groups))


def test_broad_joins_all_and_has_none_twice() -> None:
    broad = shipped("broad").phrases
    said = [keys(phrase.text)[0] for phrase in broad]
    assert len(said) == len(set(said)) >= 2400
    assert set(said) == {keys(phrase.text)[0] for file in FILES for phrase in shipped(file.stem).phrases}


def test_the_singular_of_every_shipped_word_is_final() -> None:
    found = {word for phrase in shipped("broad").phrases for word in words(phrase.text)}
    assert {word: singular(word) for word in found if singular(word) != word} == {}


@pytest.mark.parametrize("name", ["bird", "", "../errors", "birds.txt"])
def test_an_unknown_name_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(LibraryError, match="There is no shipped vocabulary") as caught:
        shipped(name)
    assert str(caught.value).endswith(f"choose one of {', '.join(shipped_names())}.")
    assert (caught.value.code, caught.value.param) == ("vocabulary_unknown", "vocabulary")


def test_vocabularies_are_read_without_any_framework() -> None:
    code = "import sys; from iis_engine.vocabularies.phrases import shipped; shipped('broad'); print({'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.strip() == "set()"


# Uploaded


def test_text_has_groups_remarks_and_blank_lines_whatever_its_line_ends() -> None:
    lines = ["# My phrases.", "no  group", "", "[bill]", " a hooked bill ", "#1 on a jersey", "[]", "a red spot"]
    expected = (Phrase("no group"), Phrase("a hooked bill", "bill"), Phrase("#1 on a jersey", "bill"), Phrase("a red spot"))
    for end in ("\n", "\r\n", "\r"):
        assert parse_txt(end.join(lines).encode()) == expected
        assert parse_txt(b"\xef\xbb\xbf" + end.join(lines).encode()) == expected


def test_json_has_three_shapes() -> None:
    assert parse_json(b'["wet asphalt", " ", "a hooked  bill"]') == (Phrase("wet asphalt"), Phrase("a hooked bill"))
    grouped = (Phrase("a hooked bill", "bill"), Phrase("wet asphalt"))
    assert parse_json(b'[{"text": "a hooked bill", "group": "bill"}, {"text": "wet asphalt"}]') == grouped
    assert parse_json(b'{"bill": ["a hooked bill"], "": ["wet asphalt"]}') == grouped


def test_csv_has_a_header_in_any_order_and_quotes() -> None:
    expected = (Phrase("a round, red apple", "food"), Phrase("wet asphalt"))
    assert parse_csv(b'\xef\xbb\xbfGroup, Phrase\r\nfood,"a round, red apple"\r\n\r\n,wet asphalt\r\n') == expected
    assert parse_csv(b'id,text,group,,\n1,"a round, red apple",food,,\n2,wet asphalt\n') == expected


@settings(deadline=None)
@given(st.lists(st.tuples(phrase_texts, st.none() | phrase_texts), min_size=1, max_size=8))
def test_what_is_written_as_json_or_csv_is_read_back(entries: list[tuple[str, str | None]]) -> None:
    expected = tuple(Phrase(text, group) for text, group in entries)
    assert parse_json(json.dumps([{"text": text, "group": group} for text, group in entries]).encode()) == expected
    table = io.StringIO()
    csv.writer(table).writerows([("phrase", "group"), *entries])
    assert parse_csv(table.getvalue().encode()) == expected


SHAPES = 'send a list of strings, a list of {"text", "group"} objects, or an object with a list of strings for each group.'


@pytest.mark.parametrize(
    ("parse", "data", "sentence"),
    [
        (parse_txt, b"", "The vocabulary holds no phrases; send at least one."),
        (parse_json, b" \n", "The vocabulary holds no phrases; send at least one."),
        (parse_csv, b"\xef\xbb\xbf", "The vocabulary holds no phrases; send at least one."),
        (parse_txt, b"# A remark.\n[group]\n\n", "The vocabulary holds no phrases; send at least one."),
        (parse_json, b"{}", "The vocabulary holds no phrases; send at least one."),
        (parse_csv, b"phrase,group\n,birds\n", "The vocabulary holds no phrases; send at least one."),
        (parse_txt, b"red\ncaf\xe9\n", "The vocabulary is not UTF-8 text from line 2 on; save it as UTF-8."),
        (parse_json, '["red"]'.encode("utf-16"), "The vocabulary is not UTF-8 text from line 1 on; save it as UTF-8."),
        (parse_txt, b"red\n\n" + b"x" * 201, "Line 3 has 201 characters; a phrase or group name has at most 200."),
        (parse_txt, b"[" + b"x" * 201 + b"]\nred", "Line 1 has 201 characters; a phrase or group name has at most 200."),
        (parse_json, json.dumps(["red", "x" * 1201]).encode(), "Entry 2 has 1,201 characters; a phrase or group name has at most 200."),
        (
            parse_json,
            json.dumps({"hues": ["red", "x" * 201]}).encode(),
            "Entry 2 of group 'hues' has 201 characters; a phrase or group name has at most 200.",
        ),
        (parse_csv, b"phrase\nred\n" + b"x" * 201, "Line 3 has 201 characters; a phrase or group name has at most 200."),
        (parse_txt, b"red\nbl\0ue", "Line 2 holds a control character; send plain text."),
        (parse_json, rb'["red\ud800"]', "Entry 1 holds a control character; send plain text."),
        (parse_json, b'["red",]', f"The JSON is malformed (Expecting value: line 1 column 8 (char 7)); {SHAPES}"),
        (parse_json, b'"red"', f"The JSON is no list; {SHAPES}"),
        (parse_json, b'{"hues": "red"}', f"The JSON of group 'hues' is no list; {SHAPES}"),
        (parse_json, b'["red", 5]', f"Entry 2 is not a phrase; {SHAPES}"),
        (parse_json, b'[{"phrase": "red"}]', f"Entry 1 is not a phrase; {SHAPES}"),
        (parse_json, b'[{"text": "red", "group": 1}]', f"Entry 1 is not a phrase; {SHAPES}"),
        (
            parse_csv,
            b"phrase;group\nred;hues",
            "The CSV needs a header line with a column named phrase or text, between commas; it begins with 'phrase;group'.",
        ),
        (
            parse_csv,
            b"phrase\nred\na round, red apple",
            "Line 3 has more cells than the header; put quotes around a phrase that holds a comma.",
        ),
        (
            parse_csv,
            b'phrase\nred\n"blue',
            "The CSV is malformed at line 3 (unexpected end of data); save it again as comma-separated values.",
        ),
    ],
)
def test_a_bad_upload_gets_its_sentence(parse: Parser, data: bytes, sentence: str) -> None:
    assert refusal(parse, data) == sentence


def test_json_nested_beyond_reason_is_refused() -> None:
    assert refusal(parse_json, b"[" * 200_000).startswith("The JSON is malformed (")


@EACH_PARSER
def test_the_limits_themselves_are_allowed(parse: Parser) -> None:
    def upload(phrases: list[str]) -> bytes:
        text = {parse_txt: "\n".join(phrases), parse_json: json.dumps(phrases), parse_csv: "\n".join(["phrase", *phrases])}[parse]
        return text.encode()

    assert len(parse(upload(["x" * 200] * 20_000))) == 20_000
    assert refusal(parse, upload(["red"] * 20_001)) == "The vocabulary holds more than the 20,000 phrases allowed; send fewer."


@EACH_PARSER
@settings(deadline=None)
@given(data=st.binary(max_size=60) | st.text('[]{}":, \n#ab', max_size=40).map(str.encode))
def test_any_bytes_are_phrases_or_a_refusal(parse: Parser, data: bytes) -> None:
    try:
        lines = [phrase.text for phrase in parse(data)]
    except LibraryError as error:
        lines = [str(error)]
    assert lines
    assert all(line.strip() and "\n" not in line for line in lines)


# Cleaned


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


def test_a_class_name_inside_a_longer_word_or_of_no_letters_drops_nothing() -> None:
    assert dropped("a caterpillar", "scattered spots", "a cactus", class_names=("cat", "", " ", "tus,")) == []


def test_the_longest_class_name_is_the_one_reported() -> None:
    assert dropped("a sooty albatross", class_names=("albatross", "sooty albatross"))[0].other == "sooty albatross"


@settings(deadline=None)
@given(st.lists(shipped_phrases | phrase_texts.map(Phrase), max_size=12), st.lists(phrase_texts, max_size=3))
def test_cleaning_accounts_for_every_phrase_and_is_done_once(phrases: list[Phrase], class_names: list[str]) -> None:
    kept, left_out = clean(phrases, class_names)
    assert sorted([phrase.text for phrase in kept] + [one.text for one in left_out]) == sorted(phrase.text for phrase in phrases)
    assert clean(kept, class_names) == (kept, ())
    assert all(one.other in {phrase.text for phrase in kept} for one in left_out if one.reason == "repeated")


@settings(deadline=None)
@given(shipped_phrases, st.sampled_from([str.upper, str.title, lambda text: f"the  {text}", lambda text: text.replace(" ", "_")]))
def test_a_shipped_phrase_written_otherwise_is_recognised(phrase: Phrase, otherwise: Callable[[str], str]) -> None:
    assert dropped(phrase.text, otherwise(phrase.text)) == [DroppedPhrase(otherwise(phrase.text), "repeated", phrase.text)]
