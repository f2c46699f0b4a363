"""Parsing uploaded vocabularies: accepted forms of text, JSON and CSV, and an error message for each invalid one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iis_engine.errors import LibraryError
from iis_engine.vocabularies.parsing import parse_csv, parse_json, parse_txt
from iis_engine.vocabularies.phrases import Phrase

Parser = Callable[[bytes], tuple[Phrase, ...]]

EACH_PARSER = pytest.mark.parametrize("parse", [parse_txt, parse_json, parse_csv])
phrase_texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=30)


def refusal(parse: Parser, data: bytes) -> str:
    with pytest.raises(LibraryError) as caught:
        parse(data)
    assert (caught.value.code, caught.value.param) == ("vocabulary_invalid", "vocabulary")
    return str(caught.value)


def test_text_has_groups_remarks_and_blank_lines_with_every_line_ending() -> None:
    lines = ["# My phrases.", "no  group", "", "[bill]", " a hooked bill ", "#1 on a jersey", "[]", "a red spot"]
    expected = (Phrase("no group"), Phrase("a hooked bill", "bill"), Phrase("#1 on a jersey", "bill"), Phrase("a red spot"))
    for end in ("\n", "\r\n", "\r"):
        assert parse_txt(end.join(lines).encode()) == expected
        assert parse_txt(b"\xef\xbb\xbf" + end.join(lines).encode()) == expected


def test_json_has_three_accepted_forms() -> None:
    assert parse_json(b'["wet asphalt", " ", "a hooked  bill"]') == (Phrase("wet asphalt"), Phrase("a hooked bill"))
    grouped = (Phrase("a hooked bill", "bill"), Phrase("wet asphalt"))
    assert parse_json(b'[{"text": "a hooked bill", "group": "bill"}, {"text": "wet asphalt"}]') == grouped
    assert parse_json(b'{"bill": ["a hooked bill"], "": ["wet asphalt"]}') == grouped


def test_csv_columns_have_any_order_and_quoted_cells() -> None:
    expected = (Phrase("a round, red apple", "food"), Phrase("wet asphalt"))
    assert parse_csv(b'\xef\xbb\xbfGroup, Phrase\r\nfood,"a round, red apple"\r\n\r\n,wet asphalt\r\n') == expected
    assert parse_csv(b'id,text,group,,\n1,"a round, red apple",food,,\n2,wet asphalt\n') == expected


@settings(deadline=None)
@given(st.lists(st.tuples(phrase_texts, st.none() | phrase_texts), min_size=1, max_size=8))
def test_phrases_written_as_json_or_csv_are_parsed_unchanged(entries: list[tuple[str, str | None]]) -> None:
    expected = tuple(Phrase(text, group) for text, group in entries)
    assert parse_json(json.dumps([{"text": text, "group": group} for text, group in entries]).encode()) == expected
    table = io.StringIO()
    csv.writer(table).writerows([("phrase", "group"), *entries])
    assert parse_csv(table.getvalue().encode()) == expected


FORMS = 'send a list of strings, a list of {"text", "group"} objects, or an object with a list of strings for each group.'


@pytest.mark.parametrize(
    ("parse", "data", "message"),
    [
        (parse_txt, b"", "The vocabulary contains no phrases; send at least one."),
        (parse_json, b" \n", "The vocabulary contains no phrases; send at least one."),
        (parse_csv, b"\xef\xbb\xbf", "The vocabulary contains no phrases; send at least one."),
        (parse_txt, b"# A remark.\n[group]\n\n", "The vocabulary contains no phrases; send at least one."),
        (parse_json, b"{}", "The vocabulary contains no phrases; send at least one."),
        (parse_csv, b"phrase,group\n,birds\n", "The vocabulary contains no phrases; send at least one."),
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
        (parse_txt, b"red\nbl\0ue", "Line 2 contains a control character; send plain text."),
        (parse_json, rb'["red\ud800"]', "Entry 1 contains a control character; send plain text."),
        (parse_json, b'["red",]', f"The JSON is malformed (Expecting value: line 1 column 8 (char 7)); {FORMS}"),
        (parse_json, b'"red"', f"The JSON is not a list; {FORMS}"),
        (parse_json, b'{"hues": "red"}', f"The JSON of group 'hues' is not a list; {FORMS}"),
        (parse_json, b'["red", 5]', f"Entry 2 is not a phrase; {FORMS}"),
        (parse_json, b'[{"phrase": "red"}]', f"Entry 1 is not a phrase; {FORMS}"),
        (parse_json, b'[{"text": "red", "group": 1}]', f"Entry 1 is not a phrase; {FORMS}"),
        (
            parse_csv,
            b"phrase;group\nred;hues",
            "The CSV needs a header line with a column phrase or text, separated by commas; it begins with 'phrase;group'.",
        ),
        (
            parse_csv,
            b"phrase\nred\na round, red apple",
            "Line 3 has more cells than the header; put quotes around a phrase that contains a comma.",
        ),
        (
            parse_csv,
            b'phrase\nred\n"blue',
            "The CSV is malformed at line 3 (unexpected end of data); save it again as comma-separated values.",
        ),
    ],
)
def test_an_invalid_upload_is_refused_with_a_message(parse: Parser, data: bytes, message: str) -> None:
    assert refusal(parse, data) == message


def test_deeply_nested_json_is_refused() -> None:
    assert refusal(parse_json, b"[" * 200_000).startswith("The JSON is malformed (")


@EACH_PARSER
def test_uploads_at_the_limits_are_accepted(parse: Parser) -> None:
    def upload(phrases: list[str]) -> bytes:
        texts: dict[Parser, str] = {
            parse_txt: "\n".join(phrases),
            parse_json: json.dumps(phrases),
            parse_csv: "\n".join(["phrase", *phrases]),
        }
        return texts[parse].encode()

    assert len(parse(upload(["x" * 200] * 20_000))) == 20_000
    assert refusal(parse, upload(["red"] * 20_001)) == "The vocabulary contains more than the 20,000 phrases allowed; send fewer."


@EACH_PARSER
@settings(deadline=None)
@given(data=st.binary(max_size=60) | st.text('[]{}":, \n#ab', max_size=40).map(str.encode))
def test_arbitrary_bytes_are_parsed_or_refused(parse: Parser, data: bytes) -> None:
    try:
        lines = [phrase.text for phrase in parse(data)]
    except LibraryError as error:
        lines = [str(error)]
    assert lines
    assert all(line.strip() and "\n" not in line for line in lines)
