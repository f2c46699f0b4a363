"""Tables that fit any terminal width: identifiers are never cut; columns without room are omitted and named in the caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column, Table
from rich.text import Text

MIN_WRAPPED_CELLS = 12  # minimum width of a column that wraps
FRAME_CELLS = 3  # a border and two spaces per column; one more border closes the table


@dataclass(frozen=True)
class Heading:
    """Heading of a column; a column that `wraps` can be narrower than its text."""

    title: str
    wraps: bool = False


@dataclass(frozen=True)
class Listing:
    """A table with columns in order of importance; empty columns are omitted.

    Attributes
    ----------
    headings : the first column is always shown
    rows : one cell per heading
    notes : sentences below the table, one per line, never wrapped
    """

    title: str
    headings: Sequence[Heading]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        filled = [place for place in range(len(self.headings)) if place == 0 or not self.rows or any(row[place] for row in self.rows)]
        natural = {place: self._natural_cells(place) for place in filled}
        minimum = {place: min(cells, MIN_WRAPPED_CELLS) if self.headings[place].wraps else cells for place, cells in natural.items()}
        room = options.max_width - 1 - FRAME_CELLS - minimum[0]
        visible = [0]
        for place in filled[1:]:
            if FRAME_CELLS + minimum[place] <= room:
                room -= FRAME_CELLS + minimum[place]
                visible.append(place)
        widths = {place: minimum[place] for place in visible}
        wrapped = sorted((place for place in visible if natural[place] > minimum[place]), key=lambda place: natural[place] - minimum[place])
        for count, place in zip(range(len(wrapped), 0, -1), wrapped, strict=True):
            extra = min(natural[place] - minimum[place], max(room, 0) // count)
            widths[place] += extra
            room -= extra
        yield self._table(widths, [self.headings[place].title for place in filled if place not in widths])
        for note in self.notes:
            yield Text(note, no_wrap=True, overflow="ignore")

    def _natural_cells(self, place: int) -> int:
        """Width of a column whose text is not wrapped."""
        texts = (self.headings[place].title, *(row[place] for row in self.rows))
        return max(Text(line).cell_len for text in texts for line in text.split("\n"))

    def _table(self, widths: dict[int, int], omitted: Sequence[str]) -> Table:
        caption = f"not shown: {', '.join(omitted)} (use --json or a wider terminal)" if omitted else None
        columns = (
            Column(self.headings[place].title, width=cells, no_wrap=not self.headings[place].wraps, overflow="fold")
            for place, cells in widths.items()
        )
        table_cells = sum(widths.values()) + FRAME_CELLS * len(widths) + 1  # explicit: by default a table shrinks to the terminal
        table = Table(*columns, title=Text(self.title) if self.title else None, caption=caption and Text(caption), width=table_cells)
        for row in self.rows:
            table.add_row(*(Text(row[place]) for place in widths))  # as Text, since names can contain brackets
        return table


def minute(timestamp: datetime | None) -> str:
    """Format a timestamp to the minute: `2026-11-23 11:42`; an empty string for None."""
    return "" if timestamp is None else f"{timestamp:%Y-%m-%d %H:%M}"
