"""A batch of explanations on several workers: the rows of one worker, also after workers are lost."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from sqlalchemy import delete, select

from app.db import tasks
from app.db.models import JobTask, StageArtifact
from iis_engine.features.unlabelled_images import UnlabelledImages
from support.features import features_file
from worker.jobs.sharing.helping import help_running_job
from worker.stages.explanation_rows import EmbeddedImage, UnreadableImage
from worker.stages.explanation_shards import RowRange, RowShards, _ArchiveImages

if TYPE_CHECKING:
    from support.worker_service import Service

ROWS, SHARDS = 1620, 4


def digests(service: Service) -> dict[str, str]:
    """sha256 of the files of the rows, by their keys."""
    with service.runtime.sessions() as session:
        rows = session.execute(select(StageArtifact.key, StageArtifact.blob_sha256).where(StageArtifact.stage == "explain_rows")).all()
        return {key: digest for key, digest in rows}  # noqa: C416 (the type checker does not know that rows are pairs)


def tasks_of(service: Service, job_id: str) -> list[JobTask]:
    with service.runtime.sessions() as session:
        return list(session.scalars(select(JobTask).where(JobTask.job_id == job_id).order_by(JobTask.number)))


@pytest.mark.slow
def test_rows_that_several_workers_computed_are_those_of_one_worker(service: Service) -> None:
    dataset = service.add_dataset(features_file(per_class=ROWS // 3), state="ready", digest="many")
    scored = service.add_score(dataset)
    assert service.run(scored) == "succeeded", service.job(scored).error
    service.warm_runtime.settings.task_seconds = 1e6
    alone = service.add_explain(scored)
    assert service.run(alone) == "succeeded", service.job(alone).error
    assert [event["state"] for event in service.events(alone, "stage")] == ["started", *["shard"] * SHARDS, "finished"]
    expected = digests(service)
    assert len(expected) == 4

    with service.runtime.sessions.begin() as session:
        session.execute(delete(StageArtifact).where(StageArtifact.stage == "explain_rows"))
    service.warm_runtime.settings.task_seconds = 0
    divided = service.add_explain(scored)
    running = service.run_aside(divided)
    service.wait_until(lambda: tasks_of(service, divided), 60, "the stage to be divided")
    with service.suspended_compute():
        with service.runtime.sessions.begin() as session:
            assert tasks.claim(session, "a worker that is killed", 0.0) is not None
        service.wait_until(lambda: expired(service), 10, "the lost worker's lease to expire")
        assert help_running_job(service.runtime)
    assert running.result(120) == "succeeded", service.job(divided).error
    assert digests(service) == expected
    ended = [event for event in service.events(divided, "stage") if event["state"] == "task"]
    assert sorted(event["number"] for event in ended) == list(range(SHARDS - 1)), "the first shard was measured"
    assert service.runtime.name in {event["worker"] for event in ended}
    names = [event["name"] for event in service.events(divided, "stage") if event["state"] == "shard"]
    assert len(names) == len(set(names)) == SHARDS
    with service.runtime.sessions() as session:
        assert session.scalars(select(StageArtifact.stage).where(StageArtifact.stage.contains("/"))).all() == []


def expired(service: Service) -> bool:
    """Release tasks of lost workers, as the sweeper does; whether there was one."""
    with service.runtime.sessions.begin() as session:
        return bool(tasks.release_expired(session, 3))


def test_images_of_an_archive_are_multiplied_in_the_same_blocks_in_every_division() -> None:
    unreadable = {0: "broken", 300: "broken", 1099: "broken"}
    readable = torch.tensor([index for index in range(1100) if index not in unreadable])
    names = tuple(f"{index}.png" for index in range(1100))
    stored = UnlabelledImages(names, ("notes.txt",), readable[:, None].float(), readable, unreadable)

    def batch(blocks: list[list[int]]) -> _ArchiveImages:
        def activations(features: torch.Tensor) -> torch.Tensor:
            blocks.append(features[:, 0].int().tolist())
            return features

        def probabilities(features: torch.Tensor) -> torch.Tensor:
            return torch.ones(len(features), 2) / 2

        library = SimpleNamespace(activations=activations)
        family: Any = SimpleNamespace(library=library, baseline_probabilities=probabilities)
        return _ArchiveImages(stored, family)

    def read(shard_size: int) -> tuple[list[list[int]], list[tuple[int, str | None, bool]]]:
        blocks: list[list[int]] = []
        images = batch(blocks)
        found = [image for rows in images.ranges(shard_size) for image in images.images(rows)]
        assert all(isinstance(image, (EmbeddedImage, UnreadableImage)) for image in found)
        return blocks, [(image.index, image.name, isinstance(image, EmbeddedImage)) for image in found]

    whole = read(10_000)
    assert [len(block) for block in whole[0]] == [256, 256, 256, 256, 73]
    assert whole[1] == [(index, names[index], index not in unreadable) for index in range(1100)]
    assert read(256) == read(512) == whole
    assert [(one.first, one.end) for one in batch([]).ranges(256)] == [(0, 257), (257, 514), (514, 770), (770, 1026), (1026, 1100)]


def test_rows_of_finished_shards_are_not_computed_again(tmp_path: Path) -> None:
    class Images:
        ignored = ()

        def ranges(self, shard_size: int) -> list[RowRange]:
            return [RowRange(0, 0, 2), RowRange(1, 2, 3)]

        def images(self, rows: RowRange) -> Any:
            return (UnreadableImage(index, f"{index}.png", "broken") for index in range(rows.first, rows.end))

    def row(image: UnreadableImage) -> dict[str, int]:
        return {"index": image.index}

    builder: Any = SimpleNamespace(row=row)
    shards, progress = RowShards(Images(), builder, tmp_path / "shards", 2), list[tuple[int, int]]()
    shards.compute(["rows-00001.jsonl"], progress=lambda done, total: progress.append((done, total)))
    assert [planned.file_name for planned in shards.missing()] == ["rows-00000.jsonl"]
    (tmp_path / "shards" / "rows-00001.jsonl").write_text('{"index": "kept"}\n')
    shards.compute(progress=lambda done, total: progress.append((done, total)))
    assert progress == [(0, 1), (1, 1), (1, 3), (3, 3)]
    assert [json.loads(line)["index"] for path in shards.files() for line in path.read_text().splitlines()] == [0, 1, "kept"]
