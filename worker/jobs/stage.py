"""One stage of a job as its pipeline and other workers need it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field

from app.db.models import Json
from worker.stages.files import RunFiles


@dataclass(frozen=True)
class Stage:
    """One step from files to files.

    Attributes
    ----------
    key : digest of everything that the outputs depend on
    inputs, outputs : names of files and folders in the workspace
    arguments : JSON for the child process
    sources : names of inputs that no stage makes, see `worker.jobs.inputs`
    stored : whether the outputs go to storage. Otherwise they stay in the workspace, and each attempt makes them again when a stage that
        it must run reads them
    network : whether the stage downloads weights or images by name; no other stage may use the network
    sharded : whether the stage writes finished shards into a folder of its own, which a later attempt resumes from
    part : which of several runs of the stage in one job this is, for people
    independent : whether other workers may compute the stage while this one computes a neighbour that is independent too
    seeds : curves of so many library seeds that other workers may compute, see `worker.jobs.sharing.seed_tasks`; 0 for other stages
    divisible : whether other workers may compute some of the shards, see `worker.jobs.sharing.division`
    on_cpu : whether a GPU gains nothing, so that tasks of the stage are for workers without one, and the numbers are the same on both
    run : the training run of the stage. Its shards are epochs: each has an event and replaces the epoch before
    for_others : artifact keys, by file name, of outputs that the stage may write for other jobs
    """

    name: str
    key: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    _: KW_ONLY
    arguments: Json = field(default_factory=Json)
    sources: tuple[str, ...] = ()
    stored: bool = True
    network: bool = False
    sharded: bool = False
    independent: bool = False
    seeds: int = 0
    divisible: bool = False
    on_cpu: bool = False
    part: str | None = None
    run: RunFiles | None = None
    for_others: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def shard_folder(self) -> str:
        return f"{self.name}-{re.sub('[^a-z0-9]+', '-', self.part)}-shards" if self.part else f"{self.name}-shards"
