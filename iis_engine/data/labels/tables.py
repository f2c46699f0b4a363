"""Read tables of plain values: CSV, TSV, JSON Lines and Parquet. Bounded in rows and columns; a cell is text, a number or bytes."""

from __future__ import annotations

import csv
import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from iis_engine.errors import DataError, first_line, first_names

if TYPE_CHECKING:
    import pyarrow.parquet

TABLE_SUFFIXES = frozenset((".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"))
ROWS_MAX = 5_000_000
COLUMNS_MAX = 20_000
CELL_CHARACTERS_MAX = 100_000
_DELIMITERS = (",", "\t", ";", "|")
_BATCH_ROWS = 1024


@dataclass(frozen=True)
class Table:
    """A table in memory.

    Attributes
    ----------
    name : file name, for messages
    columns : name of a column to its cells, all of one length; a missing cell is None
    """

    name: str
    columns: Mapping[str, list[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def text(self, column: str) -> list[str | None]:
        """The cells of a column as text; None for empty cells.

        Raises
        ------
        DataError
            For a cell that is a list, an object or bytes.
        """
        return [_as_text(cell, column, self.name) for cell in self.columns[column]]


def read_table(path: Path) -> Table:
    """Read a CSV, TSV, JSON Lines or Parquet file by its suffix.

    Raises
    ------
    DataError
        For another suffix, a damaged file, text that is not UTF-8, repeated column names, and tables above the limits.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            return _read_parquet(path)
        if suffix in (".jsonl", ".ndjson"):
            return _read_json_lines(path)
        if suffix in (".csv", ".tsv"):
            return _read_csv(path)
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is not UTF-8 text; save it as UTF-8.", code="table_invalid") from error
    except (OSError, ValueError, csv.Error, RecursionError) as error:  # pyarrow's errors are ValueErrors and OSErrors
        raise DataError(f"{path.name} is not a readable {suffix[1:]} table ({first_line(error)}).", code="table_invalid") from error
    raise DataError(f"{path.name} is not a table; send {', '.join(sorted(TABLE_SUFFIXES))}.", code="table_invalid")


@contextmanager
def _opened_parquet(path: Path) -> Generator[pyarrow.parquet.ParquetFile]:
    """Open a Parquet file; what fails while it is read is a `DataError`."""
    import pyarrow.lib
    import pyarrow.parquet

    try:
        with path.open("rb") as stream, pyarrow.parquet.ParquetFile(stream) as file:  # errors quote a path
            yield file
    except (OSError, ValueError, pyarrow.lib.ArrowException) as error:
        raise DataError(f"{path.name} is not a readable parquet table ({first_line(error)}).", code="table_invalid") from error


def parquet_rows(path: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file with the named columns, a batch in memory at a time.

    Raises
    ------
    DataError
        For a damaged file.
    """
    with _opened_parquet(path) as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=columns, use_threads=False):
            yield from cast("list[dict[str, Any]]", batch.to_pylist())


def parquet_columns(path: Path) -> dict[str, Any]:
    """Column names of a Parquet file to their Arrow types.

    Raises
    ------
    DataError
        For a damaged file, or one above the limits.
    """
    with _opened_parquet(path) as file:
        _require_size(path.name, file.metadata.num_rows, file.metadata.num_columns)
        schema = file.schema_arrow
        return {name: schema.field(index).type for index, name in enumerate(schema.names)}


def parquet_metadata(path: Path) -> dict[bytes, bytes]:
    """Metadata of a Parquet file's schema, such as the Hub's names of classes.

    Raises
    ------
    DataError
        For a damaged file.
    """
    with _opened_parquet(path) as file:
        return dict(cast("dict[bytes, bytes] | None", file.schema_arrow.metadata) or {})


def _read_parquet(path: Path) -> Table:
    import pyarrow.types as kinds

    types = parquet_columns(path)
    if repeated := len(types) - len(set(types)):
        raise DataError(f"{path.name} repeats {repeated} column names.", code="table_invalid")
    flat = [name for name, kind in types.items() if not (kinds.is_struct(kind) or kinds.is_binary(kind) or kinds.is_large_binary(kind))]
    return _from_rows(path.name, parquet_rows(path, flat), flat)


def _read_json_lines(path: Path) -> Table:
    def rows() -> Iterator[dict[str, Any]]:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                row: object = json.loads(line)
                if not isinstance(row, dict):
                    raise DataError(f"Line {number} of {path.name} is not a JSON object.", code="table_invalid")
                yield cast("dict[str, Any]", row)

    return _from_rows(path.name, rows(), [])


def _read_csv(path: Path) -> Table:
    csv.field_size_limit(CELL_CHARACTERS_MAX)
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline(CELL_CHARACTERS_MAX)
        file.seek(0)
        delimiter = max(_DELIMITERS, key=header.count)
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        names = [name.strip() for name in next(reader, [])]
        _require_size(path.name, 0, len(names))
        if len(set(names)) < len(names):
            raise DataError(f"{path.name} repeats column names: {first_names(names)}.", code="table_invalid")
        cells: list[list[Any]] = [[] for _ in names]
        for row in reader:
            if not row:
                continue
            if len(row) > len(names):
                raise ValueError(f"line {reader.line_num} has {len(row)} cells, the first line {len(names)}")
            for index, column in enumerate(cells):
                column.append(row[index].strip() if index < len(row) else None)
            _require_size(path.name, len(cells[0]), len(names))
    return Table(path.name, dict(zip(names, cells, strict=True)))


def with_header_as_row(table: Table) -> Table:
    """A CSV file without a header line: its first line becomes a row, and the columns are named column_1, column_2, …"""
    return Table(table.name, {f"column_{place}": [name, *cells] for place, (name, cells) in enumerate(table.columns.items(), start=1)})


def _from_rows(name: str, rows: Iterable[dict[str, Any]], columns: list[str]) -> Table:
    cells: dict[str, list[Any]] = {column: [] for column in columns}
    for place, row in enumerate(rows):
        for column in row:
            if column not in cells:
                cells[column] = [None] * place
        for column, values in cells.items():
            values.append(row.get(column))
        _require_size(name, place + 1, len(cells))
    return Table(name, cells)


def _require_size(name: str, rows: int, columns: int) -> None:
    if rows > ROWS_MAX or columns > COLUMNS_MAX:
        raise DataError(
            f"{name} has more rows or columns than the {ROWS_MAX:,} and {COLUMNS_MAX:,} allowed.",
            code="table_invalid",
        )


def _as_text(cell: object, column: str, name: str) -> str | None:
    if cell is None or cell == "":
        return None
    if isinstance(cell, bool):
        return str(int(cell))
    if isinstance(cell, float):
        return None if cell != cell else str(int(cell)) if cell.is_integer() else str(cell)  # noqa: PLR0124 (NaN is an empty cell)
    if isinstance(cell, (str, int)):
        return str(cell).strip() or None
    raise DataError(
        f"The column {column!r} of {name} has cells that are neither text nor numbers; send one value per cell.", code="table_invalid"
    )
