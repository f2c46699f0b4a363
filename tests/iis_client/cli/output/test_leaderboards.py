"""Tables of leaderboards."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from iis_client.cli.output.leaderboards import leaderboard_table
from iis_schemas.studies.leaderboard import BOARD, LEADERBOARD_EXAMPLE, LeaderboardView

DIGITS = {**BOARD, "board": "5f2a90c1d3e8", "dataset": "dst_1", "dataset_name": "digits", "concept_count": 20, "models": 3}
ENTRY: dict[str, Any] = {
    **LEADERBOARD_EXAMPLE["data"][0],
    **{
        "job": "job_1",
        "iis_low": 0.8,
        "iis_high": 0.9,
        "accuracy": 0.9,
        "gain_matched": 0.1,
        "few_gain_matched": 0.05,
        "gain_isotropic": 0.2,
    },
}


def printed(**fields: Any) -> str:
    out = io.StringIO()
    console = Console(file=out, width=160)
    for renderable in leaderboard_table(LeaderboardView.model_validate({**LEADERBOARD_EXAMPLE, **fields})):
        console.print(renderable, markup=False, highlight=False)
    return out.getvalue()


def test_ties_are_marked_and_other_leaderboards_listed() -> None:
    unknown = dict.fromkeys(("iis", "iis_low", "iis_high", "gain_matched", "few_gain_matched"))
    entries = [
        {**ENTRY, "rank": 1, "tied": True, "name": "[a]", "iis": 0.86},
        {**ENTRY, "rank": 1, "tied": True, "name": "b", "iis": 0.85},
        {**ENTRY, "rank": None, "tied": False, "name": "c", **unknown},
    ]
    other = {**DIGITS, "board": "0c1d3e85f2a9", "details": "cut otherwise"}
    single = {**DIGITS, "board": "77d3e85f2a90", "library": "text", "models": 1}
    text = printed(board=DIGITS, data=entries, boards=[DIGITS, other, single], notes=["Ties."])
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
    assert rows == [
        ["1 =", "[a]", "0.860", "0.900", "+0.100"],
        ["", "job_1", "0.800 to 0.900", "", "+0.050"],
        ["1 =", "b", "0.850", "0.900", "+0.100"],
        ["", "job_1", "0.800 to 0.900", "", "+0.050"],
        ["–", "c", "withheld", "0.900", "withheld"],
        ["", "job_1", "near chance", "", "withheld"],
    ]
    assert "Gains over matched directions: of IIS, and below it" in text
    assert "exact, cut otherwise (3 models): --board 0c1d3e85f2a9" in text
    assert "digits, text, M = 20, exact (1 model): --board 77d3e85f2a90" in text


def test_scores_of_the_first_edition_show_gains_over_isotropic_directions() -> None:
    entry = {**ENTRY, "name": "a", **dict.fromkeys(("gain_matched", "few_gain_matched"))}
    text = printed(board={**DIGITS, "edition": 1, "details": "first edition"}, data=[entry], boards=[], notes=[])
    assert "+0.200" in text
    assert "Gains in IIS over isotropic directions." in text
    assert "exact, first edition" in " ".join(text.split())


def test_a_leaderboard_of_multi_label_data_names_mean_average_precision() -> None:
    board = {**DIGITS, "quantity": "mean_average_precision"}
    text = " ".join(printed(board=board, data=[{**ENTRY, "name": "a"}], boards=[], notes=[]).split())
    assert "M = 20, exact, mean average precision" in text
    assert "of mean average precision at 5 to 30 concepts" in text
    assert "accuracy" not in text


def test_leaderboards_of_data_sets_with_equal_names_show_their_ids() -> None:
    pair = {**DIGITS, "board": "a1", "models": 2}
    boards = [pair, {**pair, "board": "b2", "dataset": "dst_2"}, {**pair, "board": "c3", "dataset": "dst_3", "concept_count": 40}]
    text = printed(board=pair, data=[], boards=boards, notes=[])
    assert "digits (dst_1), cluster, M = 20, exact" in " ".join(text.split())
    assert "  digits (dst_2), cluster, M = 20, exact (2 models): --board b2" in text
    assert "  digits, cluster, M = 40, exact (2 models): --board c3" in text


def test_names_with_brackets_are_printed_verbatim() -> None:
    assert "digits [/b], cluster" in printed(board={**DIGITS, "dataset_name": "digits [/b]"}, data=[], boards=[], notes=[])
