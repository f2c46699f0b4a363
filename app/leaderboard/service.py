"""Leaderboards: which boards exist, the best job of each model, and ranks with ties. Rows with the same digest are one."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from typing import Any, cast
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from app.db.study_rows import ACCURACY, is_near_chance, library_labels
from app.leaderboard.ranking import Interval, ranks
from app.leaderboard.repository import LeaderboardRepository
from iis_schemas.fields import Elements, ElementsView
from iis_schemas.names import VISUAL_KINDS, ProtocolName, quantity_words
from iis_schemas.studies.leaderboard import BoardView, EntryView, LeaderboardView

BEST_OF = "Each model is shown with the best of its jobs, which favours models with many jobs."
TIES = (
    "Models share a rank when their IIS does not differ from that of the first of them: the difference is within both intervals."
    " They were measured on the same images, so a paired comparison could separate more of them."
)
BOARD_LENGTH = 12
CURRENT_EDITION = 2  # of the activations of the exact protocol
FIRST_EDITION = "first edition"


def read_leaderboard(session: Session, owner_id: str, **asked: str | int | None) -> LeaderboardView:
    """The leaderboard that matches the query; of several, the one with most models.

    Parameters
    ----------
    asked : values of fields of `BoardView`; None for any value
    """
    scores = LeaderboardRepository(session, owner_id)
    boards, digests = _boards(scores)
    given = {name: value for name, value in asked.items() if value is not None}
    wanted = given | ({"dataset": scores.shown_dataset(str(given["dataset"]))} if "dataset" in given else {})
    fitting = [board for board in boards if all(getattr(board, name) == value for name, value in wanted.items())]
    board = fitting[0] if fitting else None
    entries = _entries(scores, board, digests[board.board]) if board is not None else []
    notes = [
        TIES,
        *([BEST_OF] if any(one.jobs > 1 for one in entries) else []),
        *([_near_chance(board)] if board is not None and any(one.near_chance for one in entries) else []),
    ]
    links = {"self": f"/v1/leaderboard{'?' if given else ''}{urlencode(given)}"}
    return LeaderboardView(board=board, data=entries, boards=boards, notes=notes if entries else [], links=links)


def _boards(scores: LeaderboardRepository) -> tuple[list[BoardView], dict[str, list[str]]]:
    """All boards, most models first, and the digests of jobs on each by its identifier."""
    models: dict[str, set[str]] = {}
    described: dict[str, dict[str, Any]] = {}
    digests: dict[str, list[str]] = {}
    for dataset, name, digest, ids, *asked in scores.settings():
        setting = _setting(*asked)
        board = _identifier(dataset, setting)
        models.setdefault(board, set()).update(ids)
        digests.setdefault(board, []).append(digest)
        described[board] = {"dataset": dataset, "dataset_name": name, **_description(setting)}
    views = [BoardView(board=board, models=len(models[board]), **fields) for board, fields in described.items()]
    return sorted(views, key=_place), digests


def _place(view: BoardView) -> tuple[int | str, ...]:
    """Most models first, then the newest edition."""
    return -view.models, -view.edition, view.dataset, view.library, view.concept_count, view.board


def _setting(
    library: dict[str, Any],
    elements: dict[str, Any],
    vlm: str | None,
    vocabulary: dict[str, Any] | None,
    protocol: str,
    edition: int,
    quantity: str,
) -> dict[str, Any]:
    """The settings that decide a score: phrases for text concepts, elements for concepts that are cut, edition of the activations.

    The quantity that a score retains decides too: data sets of ready features or tables can be read with one label or with several.
    """
    kinds = {part["kind"] for part in library.get("parts") or [library]}
    of_words, of_images = "text" in kinds, bool(kinds & set(VISUAL_KINDS))
    return {
        "library": library,
        "elements": elements if of_images else None,
        "vlm": vlm if of_words else None,
        "vocabulary": vocabulary if of_words else None,
        "protocol": protocol,
        "edition": edition,
        **({} if quantity == ACCURACY else {"quantity": quantity}),  # so that identifiers of boards of accuracy stay
    }


def _identifier(dataset: str, setting: dict[str, Any]) -> str:
    return sha256(json.dumps([dataset, setting], sort_keys=True).encode()).hexdigest()[:BOARD_LENGTH]


def _description(setting: dict[str, Any]) -> dict[str, Any]:
    library, elements, vocabulary = setting["library"], setting["elements"], setting["vocabulary"]
    details: list[str] = []
    if setting["protocol"] == "exact" and setting["edition"] != CURRENT_EDITION:
        details.append(FIRST_EDITION)
    if vocabulary is not None:
        details.append(f"phrases {vocabulary['id']}@{vocabulary['version']} as {setting['vlm']} sees them")
    for part in library.get("parts") or [library]:
        details += [f"{name} {value}" for name, value in part.items() if name not in ("kind", "concept_count", "parts", "upload")]
        if library.get("parts"):
            details.append(f"{part['concept_count']} of {part['kind']}")
    if elements is not None and elements != Elements().to_spec():
        cut = ElementsView.model_validate(elements)
        details.append(f"{cut.in_words}, seed {cut.seed}")
    return {
        "library": library_labels([library])[0],
        "concept_count": int(library["concept_count"] or 0),
        "protocol": cast("ProtocolName", setting["protocol"]),
        "edition": setting["edition"],
        "quantity": setting.get("quantity", ACCURACY),
        "details": ", ".join(details) or None,
    }


def _entries(scores: LeaderboardRepository, board: BoardView, digests: list[str]) -> list[EntryView]:
    best: dict[str, dict[str, Any]] = {}
    counted: Counter[str] = Counter()
    for job_id, model, *row in scores.scores(board.dataset, digests):
        counted[model] += 1
        numbers: dict[str, Any] = dict(zip(("verdict", "iis", "accuracy_low", "chance"), row, strict=True))
        entry = {"job": job_id, "model": model, "iis": numbers["iis"], "near_chance": is_near_chance(numbers)}
        if model not in best or _merit(entry) > _merit(best[model]):
            best[model] = entry
    summaries, models = scores.summaries([entry["job"] for entry in best.values()]), scores.models(list(best))
    for model, entry in best.items():
        name, deleted = models[model]
        entry.update(summaries[entry["job"]], name=name)
        entry["links"] = {"job": f"/v1/jobs/{entry['job']}", **({} if deleted else {"model": f"/v1/models/{model}"})}
    ordered = sorted(best.values(), key=_merit, reverse=True)
    ranked = [entry for entry in ordered if not entry["near_chance"]]
    places = ranks([_interval(entry) for entry in ranked])
    shared = Counter(places)
    return [
        EntryView.model_validate(entry | {"rank": place, "tied": place is not None and shared[place] > 1, "jobs": counted[entry["model"]]})
        for entry, place in zip(ordered, [*places, *[None] * (len(ordered) - len(ranked))], strict=True)
    ]


def _near_chance(board: BoardView) -> str:
    return f"Models near chance have no rank: ARR divides by the {quantity_words(board.quantity)}, which is no better than chance."


def _merit(entry: dict[str, Any]) -> tuple[bool, float]:
    return not entry["near_chance"], entry["iis"] if entry["iis"] is not None else -1.0


def _interval(entry: dict[str, Any]) -> Interval:
    return entry["iis"], entry["iis_low"], entry["iis_high"]
