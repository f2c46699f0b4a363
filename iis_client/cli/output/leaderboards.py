"""Tables of leaderboards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

from rich.console import RenderableType

from iis_client.cli.output.listing import Heading, Listing
from iis_client.cli.output.numbers import format_interval, format_score
from iis_schemas.names import quantity_words

if TYPE_CHECKING:
    from iis_schemas.studies.leaderboard import BoardView, EntryView, LeaderboardView

NAME_CELLS = 30  # the width of an identifier


def leaderboard_table(leaderboard: LeaderboardView) -> Iterator[RenderableType]:
    """Table of a leaderboard with ties marked, then a list of the other leaderboards."""
    board = leaderboard.board
    if board is None:
        yield "No score matches; list your scores with: iis jobs list --state succeeded"
        return
    titles = _titles([board, *leaderboard.boards])
    quantity = quantity_words(board.quantity)
    # Two lines per model, so that 80 columns cut neither a number nor an identifier.
    headings = (Heading("rank"), Heading("model and best job"), Heading("IIS, 95 % CI"), Heading(quantity, wraps=True), Heading("gains"))
    shown, meaning = _shown_gains(leaderboard.data, quantity)
    rows: list[tuple[str, ...]] = []
    for entry in leaderboard.data:
        rank = "–" if entry.rank is None else f"{entry.rank}{' =' if entry.tied else ''}"
        interval = format_interval(entry.iis_low, entry.iis_high)
        iis = [format_score(entry.iis), interval, "near chance" if entry.rank is None else ""]
        name = f"{fill(entry.name, NAME_CELLS)}\n{entry.job}"
        gains = "\n".join(format_score(getattr(entry, gain), "+.3f") for gain in shown)
        rows.append((rank, name, "\n".join(filter(None, iis)), f"{entry.accuracy:.3f}", gains))
    yield Listing(titles[board.board], headings, rows)
    yield meaning
    yield from leaderboard.notes
    others = [other for other in leaderboard.boards if other.board != board.board]
    if others:
        yield f"{len(others)} other leaderboard{'s' if len(others) > 1 else ''}:"
        for other in others:
            models = f"{other.models} model{'' if other.models == 1 else 's'}"
            yield f"  {titles[other.board]} ({models}): --board {other.board}"


def _shown_gains(entries: Sequence[EntryView], quantity: str) -> tuple[tuple[str, ...], str]:
    """The fields that the column of gains shows, and what they are; scores of the first edition have no matched directions."""
    if any(entry.few_gain_matched is not None for entry in entries):
        fields = "gain_matched", "few_gain_matched"
        return fields, f"Gains over matched directions: of IIS, and below it of {quantity} at 5 to 30 concepts per image, in the mean."
    if any(entry.gain_matched is not None for entry in entries):
        return ("gain_matched",), "Gains in IIS over matched directions."
    return ("gain_isotropic",), "Gains in IIS over isotropic directions."


def _titles(boards: Sequence[BoardView]) -> dict[str, str]:
    """Title by board; where names of data sets are equal, the title contains the id."""
    titles = {board.board: _title(board, board.dataset_name) for board in boards}
    counts = Counter(titles.values())
    return titles | {
        board.board: _title(board, f"{board.dataset_name} ({board.dataset})") for board in boards if counts[titles[board.board]] > 1
    }


def _title(board: BoardView, dataset: str) -> str:
    title = f"{dataset}, {board.library}, M = {board.concept_count}, {board.protocol}"
    if board.quantity != "accuracy":
        title += f", {quantity_words(board.quantity)}"
    return title if board.details is None else f"{title}, {board.details}"
