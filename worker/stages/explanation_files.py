"""Write rows of explanations one by one: JSON Lines, the byte offset of each line, and the same rows as a Parquet table."""

from __future__ import annotations

import json
import struct
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from worker.sandbox.messages import JsonObject
from worker.stages.files import OFFSETS, ROWS, TABLE

ROWS_PER_GROUP = 512  # a row group of the table; at most this many rows are in memory
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


class ExplanationFiles(AbstractContextManager["ExplanationFiles"]):
    """The three files, open for rows with all fields of `SCHEMA` in their order."""

    def __init__(self, folder: Path) -> None:
        self._open = ExitStack()
        self._lines = self._open.enter_context((folder / ROWS).open("wb"))
        self._offsets = self._open.enter_context((folder / OFFSETS).open("wb"))
        self._table = self._open.enter_context(pq.ParquetWriter(folder / TABLE, SCHEMA, compression="zstd"))
        self._buffered: list[JsonObject] = []
        self._end = 0
        self._offsets.write(OFFSET.pack(0))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._flush()
        self._open.close()

    def add(self, row: JsonObject) -> None:
        """Write one row."""
        self._end += self._lines.write(json.dumps(row, allow_nan=False).encode() + b"\n")
        self._offsets.write(OFFSET.pack(self._end))
        self._buffered.append(row)
        if len(self._buffered) == ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._buffered:
            self._table.write_table(pa.Table.from_pylist(self._buffered, schema=SCHEMA))
            self._buffered = []
