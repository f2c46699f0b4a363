"""Traces of the worker: spans of a job, its stages and its tasks belong to the span of the request that created the job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra traces is not installed")

from sqlalchemy import select

from app.db import tasks, transitions
from app.db.models import JobTask
from app.traces import span
from support.spans import RecordedSpans, ids_in, ids_of, parent_of

if TYPE_CHECKING:
    from support.worker_service import Service


def test_spans_of_a_job_and_its_stages_belong_to_the_request(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = RecordedSpans(monkeypatch)
    with span("POST /v1/datasets", {}):
        job_id = service.add_check()
    assert service.run(job_id) == "succeeded"
    request, job, stage = spans.named("POST /v1/datasets"), spans.named("job check_dataset"), spans.named("stage check_dataset")
    assert parent_of(job) == ids_of(request)
    assert parent_of(stage) == ids_of(job)
    about = dict(job.attributes or {})
    assert (about["iis.job.id"], about["iis.job.attempt"], about["iis.job.end"]) == (job_id, 1, "succeeded")


def test_a_task_carries_the_span_of_its_stage(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = RecordedSpans(monkeypatch)
    job_id = service.add_check()
    with service.runtime.sessions.begin() as session, span("stage extract", {}):
        assert transitions.claim(session, job_id, "own worker", 60) is not None
        tasks.plan(session, job_id, "extract", "plan", [({"shards": ["a"]}, 10), ({"shards": ["b"]}, 10)])
        carried = session.scalars(select(JobTask.traceparent)).all()
    claimed = None
    with service.runtime.sessions.begin() as session:
        claimed = tasks.claim(session, "helper", 60)
    assert claimed is not None
    stage = ids_of(spans.named("stage extract"))
    assert [ids_in(each) for each in (*carried, claimed.traceparent)] == [stage] * 3
