"""Leaderboards, and the ranks of one."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from iis_schemas.names import ProtocolName, QuantityName, VerdictCode

BOARD: dict[str, Any] = {
    "board": "5f2a90c1d3e8",
    "dataset": "dst_01jz3v8k2m4n6p8q0r2s4t6v8x",
    "dataset_name": "digits",
    "library": "cluster",
    "concept_count": 200,
    "protocol": "exact",
    "edition": 2,
    "quantity": "accuracy",
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
    "verdict": "reads_through_concepts",
    "few_concepts_mean": 0.755,
    "few_concepts_mean_low": 0.729,
    "few_concepts_mean_high": 0.781,
    "few_gain_matched": 0.089,
    "few_gain_matched_low": 0.06,
    "few_gain_matched_high": 0.118,
    "gain_isotropic": 0.079,
    "gain_isotropic_low": 0.061,
    "gain_isotropic_high": 0.097,
    "gain_matched": 0.06,
    "gain_matched_low": 0.043,
    "gain_matched_high": 0.077,
    "near_chance": False,
    "jobs": 3,
    "links": {"job": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k", "model": "/v1/models/mdl_01jz3v8k2m4n6p8q0r2s4t6v8w"},
}
LEADERBOARD_EXAMPLE: dict[str, Any] = {
    "board": BOARD,
    "data": [_ENTRY],
    "boards": [BOARD],
    "notes": ["Each model is shown with the best of its jobs, which favours models with many jobs."],
    "links": {"self": "/v1/leaderboard"},
}


class BoardView(BaseModel):
    """The data set and settings of one leaderboard."""

    board: str = Field(description="A digest of the data set and of all settings that decide a score")
    dataset: str
    dataset_name: str
    library: str = Field(description="A kind, or combined(…) with the kinds of its parts")
    concept_count: int = Field(description="M as requested")
    protocol: ProtocolName
    edition: int = Field(default=1, description="Of the activations. Scores of two editions do not compare")
    quantity: QuantityName = Field(default="accuracy", description="What scores retain, and every accuracy of the board is")
    details: str | None = Field(description="Settings that differ from the defaults: phrases, cutoffs, parts, elements")
    models: int = Field(description="Number of scored models")


class EntryView(BaseModel):
    """One model with the best of its jobs."""

    rank: int | None = Field(description="Shared by models that do not differ from the first of them; null near chance")
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
    verdict: VerdictCode | None = Field(default=None, description="Null in results of the first edition")
    few_concepts_mean: float | None = Field(default=None, description="Mean accuracy at 5 to 30 concepts kept per image")
    few_concepts_mean_low: float | None = None
    few_concepts_mean_high: float | None = None
    few_gain_matched: float | None = Field(default=None, description="few_concepts_mean minus that of matched directions")
    few_gain_matched_low: float | None = None
    few_gain_matched_high: float | None = None
    gain_isotropic: float | None = Field(default=None, description="iis minus that of isotropic directions")
    gain_isotropic_low: float | None = None
    gain_isotropic_high: float | None = None
    gain_matched: float | None = Field(default=None, description="iis minus that of matched directions")
    gain_matched_low: float | None = None
    gain_matched_high: float | None = None
    near_chance: bool
    jobs: int = Field(description="Number of jobs of this model on this board; the best one is shown")
    links: dict[str, str] = Field(description="The job; the model too unless it was deleted")


class LeaderboardView(BaseModel):
    """A leaderboard, and the list of all."""

    model_config = ConfigDict(json_schema_extra={"examples": [LEADERBOARD_EXAMPLE]})

    board: BoardView | None = Field(description="Of those that match the query, the one with most models; null where none does")
    data: list[EntryView]
    boards: list[BoardView] = Field(description="All of yours, most models first")
    notes: list[str]
    links: dict[str, str]
