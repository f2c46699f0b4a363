"""Resume a stage in the next attempt: shards that a lost attempt has stored are not computed again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from app.db.models import Json, StageArtifact
from support.squares import squares_zip
from worker.jobs.shard_storage import ShardStorage
from worker.jobs.stage import Stage
from worker.sandbox.outcomes import ChildLost

if TYPE_CHECKING:
    from support.worker_service import Service


@pytest.mark.slow
def test_a_retry_resumes_after_the_last_stored_shard(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    model_id = service.add_tiny_model()
    dataset_id = service.add_dataset(squares_zip(), "squares.zip", "images")
    for check in (service.add_job("check_model", None, model_id=model_id), service.add_job("check_dataset", dataset_id)):
        assert service.run(check) == "succeeded", service.job(check).error
    job_id = service.add_score(dataset_id, model_id)
    store = ShardStorage.store

    def store_and_lose_child(shards: ShardStorage, stage: Stage, name: str, about: Json | None) -> None:
        store(shards, stage, name, about)
        raise ChildLost("The child process was killed by SIGKILL.")  # after which `ChildProcess.run` kills it

    with monkeypatch.context() as patched:
        patched.setattr(ShardStorage, "store", store_and_lose_child)
        assert service.run(job_id) == "queued"
    with service.runtime.sessions() as session:
        assert len(session.scalars(select(StageArtifact).where(StageArtifact.stage.contains("/"))).all()) == 1
    before = len(service.events(job_id, "progress"))
    assert service.run(job_id) == "succeeded"
    reports = [event for event in service.events(job_id, "progress")[before:] if event["stage"] == "extract" and event["total"]]
    assert 0 < reports[0]["done"] < reports[0]["total"]
