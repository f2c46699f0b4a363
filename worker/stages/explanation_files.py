"""Write and count rows of explanations: JSON Lines, the byte offset of each line, and the same rows as a Parquet table."""

from __future__ import annotations

import json
import struct
from collections import Counter
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.json import ParseOptions, ReadOptions, read_json

from worker.sandbox.messages import JsonObject
from worker.stages.files import OFFSETS, ROWS, TABLE

ROWS_PER_GROUP = 512  # a row group of the table
OFFSET = struct.Struct("<Q")  # bytes before a line

_REMOVED = pa.struct([("concept", pa.int32()), ("label", pa.string()), ("contribution", pa.float64())])
_CONCEPT = pa.struct(
    [("concept", pa.int32()), ("label", pa.string()), ("origin", pa.string()), ("activation", pa.float64()), ("contribution", pa.float64())]
)
SCHEMA = pa.schema(
    [
        ("index", pa.int64()),
        ("name", pa.string()),
        ("label", pa.string()),
        ("error", pa.string()),
        ("representation", pa.string()),
        ("representation_probability", pa.float64()),
        ("interpretation", pa.string()),
        ("interpretation_probability", pa.float64()),
        ("agree", pa.bool_()),
        ("representation_correct", pa.bool_()),
        ("interpretation_correct", pa.bool_()),
        ("contrast", pa.string()),
        ("logit", pa.float64()),
        ("bias", pa.float64()),
        ("concepts", pa.list_(_CONCEPT)),
        ("remainder", pa.float64()),
        ("remaining", pa.int32()),
        ("counterfactual", pa.struct([("removed", pa.list_(_REMOVED)), ("class", pa.string()), ("probability", pa.float64())])),
    ]
)


def line_of(row: JsonObject) -> bytes:
    """A row with all fields of `SCHEMA` in their order, as a line of the JSON Lines file."""
    return json.dumps(row, allow_nan=False).encode() + b"\n"


class ExplanationFiles(AbstractContextManager["ExplanationFiles"]):
    """The three files, open for lines of `line_of`, and counts over all of them."""

    def __init__(self, folder: Path) -> None:
        self._open = ExitStack()
        self._lines = self._open.enter_context((folder / ROWS).open("wb"))
        self._offsets = self._open.enter_context((folder / OFFSETS).open("wb"))
        self._table = self._open.enter_context(pq.ParquetWriter(folder / TABLE, SCHEMA, compression="zstd"))
        self._end = 0
        self._offsets.write(OFFSET.pack(0))
        self._counts = Counter[str]()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.close()

    def add(self, lines: bytes) -> None:
        """Write some lines, which are in memory as rows."""
        self._lines.write(lines)
        for line in lines.splitlines(keepends=True):
            self._end += len(line)
            self._offsets.write(OFFSET.pack(self._end))
        options = {"read_options": ReadOptions(use_threads=False, block_size=len(lines) + 1)}
        table = read_json(pa.BufferReader(lines), **options, parse_options=ParseOptions(SCHEMA, unexpected_field_behavior="error"))
        self._table.write_table(table.select(SCHEMA.names), row_group_size=ROWS_PER_GROUP)
        self._count(table)

    def summary(self) -> JsonObject:
        """Counts, agreement and accuracies over all rows."""
        counts = self._counts
        accuracies = {
            f"accuracy_{which}": counts[f"{which}_correct"] / counts["labelled"] if counts["labelled"] else None
            for which in ("representation", "interpretation")
        }
        readable = counts["rows"] - counts["failed"]
        return {"count": counts["rows"], "failed": counts["failed"], "agreement": counts["agree"] / readable, **accuracies}

    def _count(self, table: Any) -> None:
        self._counts["rows"] += table.num_rows
        self._counts["failed"] += table.num_rows - table["error"].null_count
        self._counts["labelled"] += table.num_rows - table["representation_correct"].null_count
        for name in ("agree", "representation_correct", "interpretation_correct"):
            self._counts[name] += table[name].to_pylist().count(True)
