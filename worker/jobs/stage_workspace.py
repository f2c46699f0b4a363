"""Workspaces of stages, and the fields by which events name a stage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.db.models import Dataset
from worker.jobs.progress.stage_list import StageId


@dataclass(frozen=True)
class StageWorkspace:
    """The folder that stages read and write, and the data set that they work on.

    Attributes
    ----------
    of_library : whether only the concept library is cut from this data set; events of its stages then carry the data set's id
    """

    folder: Path
    dataset: Dataset | None
    of_library: bool = False

    @property
    def event_fields(self) -> dict[str, str]:
        """Fields that events of its stages carry in addition to the stage."""
        return {"dataset": self.dataset.id} if self.of_library and self.dataset is not None else {}

    def stage_id(self, stage: str, part: str | None = None) -> StageId:
        """The identity of one of its stages in the job's list of stages."""
        return stage, part, self.event_fields.get("dataset")


def part_field(part: str | None) -> dict[str, str]:
    """The field of an event that names one of several runs of a stage; empty where there is only one run."""
    return {} if part is None else {"part": part}
