"""Tables that fit any terminal width: identifiers are never cut; columns without room are omitted and named in the caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column, Table
from rich.text import Text

MIN_WRAPPED_CELLS = 12  # minimum width of a column that wraps
FRAME_CELLS = 3  # a border and two spaces per column; one more border closes the table
SHORT_ID_CHARACTERS = 14  # prefix and milliseconds of creation
GAP_CELLS = 2  # between columns without lines


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
    lines : draw lines around cells
    """

    title: str
    headings: Sequence[Heading]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    lines: bool = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        filled = [place for place in range(len(self.headings)) if place == 0 or not self.rows or any(row[place] for row in self.rows)]
        natural = {place: self._natural_cells(place) for place in filled}
        minimum = {place: min(cells, MIN_WRAPPED_CELLS) if self.headings[place].wraps else cells for place, cells in natural.items()}
        between = FRAME_CELLS if self.lines else GAP_CELLS
        room = options.max_width - (1 + FRAME_CELLS if self.lines else 0) - minimum[0]
        visible = [0]
        for place in filled[1:]:
            if between + minimum[place] <= room:
                room -= between + minimum[place]
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
        cells = sum(widths.values())  # of the table, explicit: by default a table shrinks to the terminal
        cells += FRAME_CELLS * len(widths) + 1 if self.lines else GAP_CELLS * (len(widths) - 1)
        table = Table(*columns, title=Text(self.title) if self.title else None, caption=caption and Text(caption), width=cells)
        if not self.lines:
            table.box, table.padding, table.pad_edge, table.caption_justify = None, (0, GAP_CELLS, 0, 0), False, "left"
        for row in self.rows:
            table.add_row(*(Text(row[place]) for place in widths))  # as Text, since names can contain brackets
        return table


def age(timestamp: datetime, now: datetime) -> str:
    """Time since a timestamp in its largest unit: `40 s`, `5 min`, `3 h` or `12 d`."""
    seconds = max(0.0, (now - timestamp).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def short_ids(ids: Sequence[str]) -> dict[str, str]:
    """Shortest beginning of each id that no other of these ids has, with its whole time of creation.

    Examples
    --------
    >>> short_ids(["job_01jz3v8k2m4n6p8q0r2s4t6v8w", "job_01jz3v8k2m5n6p8q0r2s4t6v8w"])["job_01jz3v8k2m4n6p8q0r2s4t6v8w"]
    'job_01jz3v8k2m4'
    """
    ordered, shortest = sorted(set(ids)), {}
    for place, each in enumerate(ordered):
        neighbours = ordered[max(place - 1, 0) : place] + ordered[place + 1 : place + 2]
        shared = max((_shared_characters(each, other) for other in neighbours), default=0)
        shortest[each] = each[: max(SHORT_ID_CHARACTERS, shared + 1)]
    return shortest


def _shared_characters(first: str, second: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


def minute(timestamp: datetime | None) -> str:
    """Format a timestamp to the minute: `2026-11-23 11:42`; an empty string for None."""
    return "" if timestamp is None else f"{timestamp:%Y-%m-%d %H:%M}"
