"""Lists for a terminal of any width: identifiers stay whole, and columns for which there is no room are left out and named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column, Table
from rich.text import Text

LEAST_CELLS = 12  # of a column that folds its text
FRAME_CELLS = 3  # a border and two spaces for each column; one border more closes the table
MINUTES = 16  # characters of a moment, to the minute


@dataclass(frozen=True)
class Heading:
    """What stands above a column; one that `folds` may be narrower than its text."""

    words: str
    folds: bool = False


@dataclass(frozen=True)
class Listing:
    """A table whose columns stand in the order of their importance; one that says nothing in any row is not shown.

    Attributes
    ----------
    headings : the first is always shown, however narrow the terminal is
    rows : the cells of each row, one for each heading
    notes : sentences beneath, each in one line however long it is
    """

    title: str
    headings: Sequence[Heading]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        said = [place for place in range(len(self.headings)) if place == 0 or not self.rows or any(row[place] for row in self.rows)]
        natural = {place: self._natural_cells(place) for place in said}
        least = {place: min(cells, LEAST_CELLS) if self.headings[place].folds else cells for place, cells in natural.items()}
        room = options.max_width - 1 - FRAME_CELLS - least[0]
        shown = [0]
        for place in said[1:]:
            if FRAME_CELLS + least[place] <= room:
                room -= FRAME_CELLS + least[place]
                shown.append(place)
        widths = {place: least[place] for place in shown}
        wanting = sorted((place for place in shown if natural[place] > least[place]), key=lambda place: natural[place] - least[place])
        for count, place in zip(range(len(wanting), 0, -1), wanting, strict=True):
            given = min(natural[place] - least[place], max(room, 0) // count)
            widths[place] += given
            room -= given
        yield self._table(widths, [self.headings[place].words for place in said if place not in widths])
        for note in self.notes:
            yield Text(note, no_wrap=True, overflow="ignore")

    def _natural_cells(self, place: int) -> int:
        """How wide a column is whose text is not folded."""
        texts = (self.headings[place].words, *(row[place] for row in self.rows))
        return max(Text(line).cell_len for text in texts for line in text.split("\n"))

    def _table(self, widths: dict[int, int], left_out: Sequence[str]) -> Table:
        caption = f"{', '.join(left_out)}: with --json, or in a wider terminal" if left_out else None
        columns = (
            Column(self.headings[place].words, width=cells, no_wrap=not self.headings[place].folds, overflow="fold")
            for place, cells in widths.items()
        )
        whole = sum(widths.values()) + FRAME_CELLS * len(widths) + 1  # said outright, since a table else shrinks to the terminal
        table = Table(*columns, title=Text(self.title) if self.title else None, caption=caption and Text(caption), width=whole)
        for row in self.rows:
            table.add_row(*(Text(row[place]) for place in widths))  # as Text, since names may have brackets
        return table


def minute(moment: str | None) -> str:
    """A moment for people: `2026-11-23 11:42`; nothing where there was none."""
    return "" if moment is None else moment[:MINUTES].replace("T", " ")
