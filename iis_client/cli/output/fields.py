"""Answers of the service as rows of text: every field by its path, for `show` and for CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from iis_client.cli.output.control_characters import without_control_characters
from iis_client.cli.output.listing import Heading, Listing
from iis_engine.display.spreadsheet_cells import guarded

if TYPE_CHECKING:
    from pydantic import BaseModel

_LEFT_OUT = "links"  # addresses of the API, for programs


def field_listing(answer: BaseModel, *, without: Sequence[str] = ()) -> Listing:
    """One row per field that has a value, but for those named and the fields in them."""
    fields = flat_fields(_json(answer)).items()
    rows = [(name, value) for name, value in fields if value and not any(f"{name}.".startswith(f"{one}.") for one in without)]
    return Listing("", (Heading("field"), Heading("value", wraps=True)), rows, lines=False)


def csv_text(answer: BaseModel | Sequence[BaseModel]) -> str:
    """CSV with one row per answer and one column per field, in the order of their first use; formulas are escaped."""
    fields = _json(answer)
    rows = [flat_fields(_guarded(each)) for each in (cast("list[Any]", fields) if isinstance(fields, list) else [fields])]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def flat_fields(value: Any, path: str = "") -> dict[str, str]:
    """Values by path.

    Examples
    --------
    >>> flat_fields({"id": "job_1", "tags": ["a", "b"], "summary": {"iis": 0.9, "gain": None}, "links": {"self": "/v1"}})
    {'id': 'job_1', 'tags': 'a, b', 'summary.iis': '0.9', 'summary.gain': ''}
    """
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {
            key: text
            for name, field in fields.items()
            if name != _LEFT_OUT
            for key, text in flat_fields(field, f"{path}.{name}" if path else name).items()
        }
    return {path: _text(value)}


def _guarded(value: Any) -> Any:
    """The value with all texts and names in it as cells that are not formulas; numbers stay as they are.

    Control characters are removed first: the console removes them from its output, and one before a formula would hide it from `guarded`.
    """
    if isinstance(value, dict):
        return {_cell(name): _guarded(field) for name, field in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_guarded(item) for item in cast("list[Any]", value)]
    return _cell(value) if isinstance(value, str) else value


def _cell(text: str) -> str:
    return guarded(without_control_characters(text))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return json.dumps(items) if any(isinstance(item, dict | list) for item in items) else ", ".join(_text(item) for item in items)
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _json(answer: BaseModel | Sequence[BaseModel]) -> Any:
    from iis_client.transport.messages import answer_json

    return answer_json(answer)
