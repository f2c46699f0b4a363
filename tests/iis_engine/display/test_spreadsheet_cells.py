"""Text that a spreadsheet would calculate is written as text, and read back unchanged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iis_engine.display.spreadsheet_cells import guarded, unguarded


@pytest.mark.parametrize("text", ['=HYPERLINK("http://example.org")', "+1", "-2+3", "@SUM(A1)", "\t=1", "'=1", "''=1"])
def test_a_formula_becomes_text(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["a loop", "", "'quoted'", "1 = 2", "a-b"])
def test_other_text_stays(text: str) -> None:
    assert guarded(text) == text


@given(st.text(alphabet="'=+-@\t\rab ", max_size=6))
def test_every_text_is_read_back(text: str) -> None:
    assert unguarded(guarded(text)) == text
