"""Wire types of leaderboards: which there are, and one of them with its ranks."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from iis_schemas.names import ProtocolName

BOARD: dict[str, Any] = {
    "board": "5f2a90c1d3e8",
    "dataset": "dst_01jz3v8k2m4n6p8q0r2s4t6v8x",
    "dataset_name": "digits",
    "library": "cluster",
    "concept_count": 200,
    "protocol": "exact",
    "details": None,
    "models": 7,
}
_ENTRY: dict[str, Any] = {
    "rank": 1,
    "tied": True,
    "model": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8w",
    "name": "ResNet-18",
    "job": "job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    "iis": 0.921,
    "iis_low": 0.909,
    "iis_high": 0.933,
    "accuracy": 0.928,
    "accuracy_low": 0.911,
    "accuracy_high": 0.945,
    "concept_gain": 0.079,
    "concept_gain_low": 0.061,
    "concept_gain_high": 0.097,
    "near_chance": False,
    "jobs": 3,
    "links": {"job": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k", "model": "/v1/models/mdl_01jz3v8k2m4n6p8q0r2s4t6v8w"},
}
LEADERBOARD_EXAMPLE: dict[str, Any] = {
    "board": BOARD,
    "data": [_ENTRY],
    "boards": [BOARD],
    "notes": ["Each model stands here with the best of its jobs, so its place is a little too good where it has many."],
    "links": {"self": "/v1/leaderboard"},
}


class BoardView(BaseModel):
    """What the models of one leaderboard were scored on and read through."""

    board: str = Field(description="Which one it is: a digest of the data set and of everything asked for that decides a score")
    dataset: str
    dataset_name: str
    library: str = Field(description="A kind, or combined(…) with the kinds of its parts")
    concept_count: int = Field(description="M as asked for")
    protocol: ProtocolName
    details: str | None = Field(description="What else was asked for: phrases, cutoffs, parts, elements that are not the usual ones")
    models: int = Field(description="How many models have been scored so")


class EntryView(BaseModel):
    """One model with the best of its jobs."""

    rank: int | None = Field(description="Shared by all that are not told apart from the first of them; null near chance")
    tied: bool = Field(description="Whether others share the rank")
    model: str
    name: str
    job: str
    iis: float | None
    iis_low: float | None
    iis_high: float | None
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    concept_gain: float | None
    concept_gain_low: float | None
    concept_gain_high: float | None
    near_chance: bool
    jobs: int = Field(description="Of this model on this board, of which the best one stands here")
    links: dict[str, str] = Field(description="The job; the model too unless it was deleted")


class LeaderboardView(BaseModel):
    """A leaderboard, and which others there are."""

    model_config = ConfigDict(json_schema_extra={"examples": [LEADERBOARD_EXAMPLE]})

    board: BoardView | None = Field(description="Of those that the query leaves, the one with most models; null where there is none")
    data: list[EntryView]
    boards: list[BoardView] = Field(description="All of yours, most models first")
    notes: list[str]
    links: dict[str, str]
