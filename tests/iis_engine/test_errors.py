"""Error messages: quoted names are printable and bounded, lists and other libraries' messages are shortened."""

from __future__ import annotations

import pytest

from iis_engine.errors import DataError, EngineError, first_line, first_names


def test_control_and_bidirectional_characters_are_escaped() -> None:
    assert str(EngineError("The image \x1b[2J\u202egnp.png is damaged.")) == "The image \\x1b[2J\\u202egnp.png is damaged."
    assert str(EngineError("First line.\nSecond line: café.")) == "First line.\nSecond line: café."


def test_the_middle_of_a_long_message_is_cut() -> None:
    message = str(EngineError("The name " + "x" * 10_000 + " is too long."))
    assert message.startswith("The name xxx")
    assert message.endswith("xxx is too long.")
    assert len(message) == 2003


def test_code_and_param_default_to_the_class_and_none() -> None:
    assert (DataError("No image.").code, DataError("No image.").param) == ("data_invalid", None)
    error = DataError("No image.", code="images_absent", param="archive")
    assert (error.code, error.param) == ("images_absent", "archive")


@pytest.mark.parametrize(("count", "expected"), [(0, ""), (2, "0, 1"), (3, "0, 1 and 1 more"), (9, "0, 1 and 7 more")])
def test_only_the_first_names_are_listed(count: int, expected: str) -> None:
    assert first_names([str(index) for index in range(count)], limit=2) == expected


def test_only_the_first_line_of_an_error_is_quoted() -> None:
    assert first_line(ValueError("  bad header.\nsee the manual.")) == "bad header"
    assert first_line(MemoryError()) == "MemoryError"
    assert len(first_line(ValueError("x" * 999))) == 200
