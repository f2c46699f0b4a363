"""Stages of a job with their expected times, by the rates of the owner's earlier jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from app.db import transitions
from app.db.models import Job
from worker.jobs.attempt import Attempt
from worker.jobs.progress.expected import list_stages
from worker.jobs.stage import Stage
from worker.jobs.stage_workspace import StageWorkspace
from worker.sandbox.watch import Stop

if TYPE_CHECKING:
    from support.worker_service import Service

IMAGES = {"counts": {"train": {"a": 60, "b": 60}, "test": {"a": 40, "b": 40}}, "class_names": ["a", "b"]}
STAGES = [
    Stage("materialise", "k0", (), ("images",), stored=False),
    Stage("extract", "k1", ("images",), ("features",)),
    Stage("report", "k2", ("features",), ("plots",)),
]


def earlier_job(service: Service, dataset: str, *stages: dict[str, Any], attempt: int = 1) -> None:
    """A finished job with these stages."""
    job_id = service.add_score(dataset)
    with service.runtime.sessions.begin() as session:
        token = transitions.claim(session, job_id, "a worker", 60)
        assert token is not None
        transitions.list_stages(session, job_id, token, [{"state": "finished", "workers": [], **stage} for stage in stages])
        transitions.fail(session, job_id, token, {"code": "x", "message": "x", "param": None})
        session.execute(update(Job).where(Job.id == job_id).values(attempt=attempt))


def listed(service: Service, dataset: str) -> list[dict[str, Any]]:
    """The stages of a job that an attempt has listed."""
    job_id = service.add_score(dataset)
    with service.runtime.sessions.begin() as session:
        token = transitions.claim(session, job_id, "a worker", 60)
    assert token is not None
    attempt = Attempt(service.warm_runtime, job_id, token, Stop())
    list_stages(attempt, (STAGES, StageWorkspace(attempt.folder, attempt.rows.dataset)))
    with service.runtime.sessions() as session:
        return session.scalars(select(Job.stages).where(Job.id == job_id)).one() or []


def test_a_stage_is_expected_to_take_what_the_nearest_size_of_an_earlier_job_took(service: Service) -> None:
    dataset = service.add_dataset(b"", state="ready", info=IMAGES)  # ready features: 200 rows, of which no elements are cut
    earlier_job(service, dataset, {"stage": "extract", "size": 100.0, "seconds": 4.0}, {"stage": "report", "size": 1.0, "seconds": 0.5})
    earlier_job(service, dataset, {"stage": "extract", "size": 900.0, "seconds": 9.0})
    earlier_job(service, dataset, {"stage": "extract", "size": 200.0, "seconds": 99.0}, attempt=2)  # a part of it was done before
    service_owner, _ = service.owner_id, service.become_another_owner()
    earlier_job(service, service.add_dataset(b"", state="ready", info=IMAGES), {"stage": "extract", "size": 200.0, "seconds": 55.0})
    service.owner_id = service_owner
    unpacked, extract, report = listed(service, dataset)
    assert (unpacked["expected_seconds"], unpacked["weight_seconds"]) == (None, pytest.approx(200 * 5e-4))
    assert (extract["size"], extract["expected_seconds"], extract["weight_seconds"]) == (200.0, 8.0, 8.0)
    assert (report["expected_seconds"], report["state"]) == (0.5, "waiting")


def test_a_rate_of_a_job_of_another_order_of_size_gives_a_share_and_no_time(service: Service) -> None:
    dataset = service.add_dataset(b"", state="ready", info=IMAGES)
    earlier_job(service, dataset, {"stage": "extract", "size": 10.0, "seconds": 1.0})
    _, extract, _ = listed(service, dataset)
    assert (extract["expected_seconds"], extract["weight_seconds"]) == (None, 20.0)
