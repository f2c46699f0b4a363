"""The rules of leaderboards: which there are, which job stands for a model, and who is tied."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

from sqlalchemy.orm import Session

from app.leaderboard.ranking import Interval, ranks
from app.leaderboard.repository import LeaderboardRepository
from app.leaderboard.schemas import BoardView, EntryView, LeaderboardView
from app.studies.cells import REPORTED, is_near_chance, library_labels
from iis_engine.specs import ProtocolName

BEST_OF = "Each model stands here with the best of its jobs, so its place is a little too good where it has many."
TIES = (
    "Models share a rank when their IIS is not told apart from that of the first of them: the difference is within what both intervals"
    " allow. They were measured on the same images, so a paired comparison could tell more of them apart."
)
NEAR_CHANCE = "Models near chance have no rank: ARR divides by an accuracy that is no better than guessing."


def read_leaderboard(
    session: Session, owner_id: str, *, dataset: str | None, library: str | None, concept_count: int | None, protocol: str | None
) -> LeaderboardView:
    """The leaderboard that the query means; where it leaves several, the one with most models."""
    scores = LeaderboardRepository(session, owner_id)
    boards = _boards(scores)
    asked = {"dataset": dataset, "library": library, "concept_count": concept_count, "protocol": protocol}
    fitting = [board for board in boards if all(value in (None, getattr(board, name)) for name, value in asked.items())]
    board = fitting[0] if fitting else None
    entries = _entries(scores, board) if board is not None else []
    notes = [
        TIES,
        *([BEST_OF] if any(one.jobs > 1 for one in entries) else []),
        *([NEAR_CHANCE] if any(one.near_chance for one in entries) else []),
    ]
    return LeaderboardView(board=board, data=entries, boards=boards, notes=notes if entries else [], links={"self": "/v1/leaderboard"})


def _boards(scores: LeaderboardRepository) -> list[BoardView]:
    counted: Counter[tuple[str, str, str, int, str]] = Counter()
    seen: set[tuple[Any, ...]] = set()
    for dataset, name, library, protocol, model in scores.settings():
        board = dataset, name, _label(library), int(library["concept_count"]), protocol
        if (*board, model) not in seen:
            seen.add((*board, model))
            counted[board] += 1
    return [
        BoardView(
            dataset=dataset, dataset_name=name, library=library, concept_count=count, protocol=cast("ProtocolName", protocol), models=models
        )
        for (dataset, name, library, count, protocol), models in sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    ]


def _entries(scores: LeaderboardRepository, board: BoardView) -> list[EntryView]:
    best: dict[str, dict[str, Any]] = {}
    counted: Counter[str] = Counter()
    for job_id, model, name, library, *numbers in scores.scores(board.dataset, board.protocol):
        if (_label(library), library["concept_count"]) != (board.library, board.concept_count):
            continue
        counted[model] += 1
        entry = {"job": job_id, "model": model, "name": name, **dict(zip(REPORTED, numbers, strict=True))}
        entry["near_chance"] = is_near_chance(entry)
        if model not in best or _merit(entry) > _merit(best[model]):
            best[model] = entry
    ordered = sorted(best.values(), key=_merit, reverse=True)
    ranked = [entry for entry in ordered if not entry["near_chance"]]
    places = ranks([_interval(entry) for entry in ranked])
    shared = Counter(places)
    return [
        EntryView.model_validate(
            entry
            | {
                "rank": place,
                "tied": place is not None and shared[place] > 1,
                "jobs": counted[entry["model"]],
                "links": {"job": f"/v1/jobs/{entry['job']}", "model": f"/v1/models/{entry['model']}"},
            }
        )
        for entry, place in zip(ordered, [*places, *[None] * (len(ordered) - len(ranked))], strict=True)
    ]


def _merit(entry: dict[str, Any]) -> tuple[bool, float]:
    return not entry["near_chance"], entry["iis"] if entry["iis"] is not None else -1.0


def _interval(entry: dict[str, Any]) -> Interval:
    return entry["iis"], entry["iis_low"], entry["iis_high"]


def _label(library: dict[str, Any]) -> str:
    return library_labels([library])[0]
