"""Answers as CSV: one row each, and no text that a spreadsheet would calculate."""

from __future__ import annotations

import csv
import io

from pydantic import BaseModel

from iis_client.cli.output.fields import csv_text


class Row(BaseModel):
    name: str
    gain: float | None
    metadata: dict[str, str]


def test_names_that_are_formulas_become_text_and_numbers_stay_numbers() -> None:
    rows = [Row(name='=HYPERLINK("http://a")', gain=-0.5, metadata={"team": "@SUM(1)"}), Row(name="plain", gain=None, metadata={})]
    read = list(csv.DictReader(io.StringIO(csv_text(rows))))
    assert read[0] == {"name": '\'=HYPERLINK("http://a")', "gain": "-0.5", "metadata.team": "'@SUM(1)"}
    assert read[1] == {"name": "plain", "gain": "", "metadata.team": ""}
