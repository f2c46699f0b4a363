"""Webhook deliveries of events, inserted in the transaction of the change (transactional outbox). `worker.webhooks` sends them.

`app.db.job_events` calls `announce_ends` when jobs and validations end. The end of a study is not a change of one row: workers look for
it periodically (`announce_studies`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Row, func, select
from sqlalchemy.orm import Session

from app.db.ids import new_id
from app.db.models import FINISHED_STATES, Job, Json, Study, StudyCell, Webhook, WebhookDelivery
from iis_schemas.names import EventType

BATCH_STUDIES = 100  # per transaction
TEST_EVENT = "webhook.test"
RESOURCE_BY_CHECK = {"check_model": "model", "check_dataset": "dataset", "check_concept_set": "concept_set"}


def announce_ends(session: Session, data_by_job: Mapping[str, Json]) -> None:
    """Insert deliveries for the jobs that have ended; costs one query if the owners have no webhooks.

    Parameters
    ----------
    data_by_job : data of the state event by job id: `state`, `attempt`, and `error` of a failed job
    """
    ended = [job_id for job_id, data in data_by_job.items() if data["state"] in FINISHED_STATES]
    if not ended:
        return
    webhooks = _lock_enabled(session, Webhook.owner_id.in_(select(Job.owner_id).where(Job.id.in_(ended))))
    if not webhooks:
        return
    columns = (Job.id, Job.owner_id, Job.kind, Job.spec, Job.model_id, Job.dataset_id, Job.concept_set_id)
    jobs = session.execute(select(*columns, Job.webhook_id, Job.webhook_events).where(Job.id.in_(ended)))
    for job in jobs:
        kind, data = _event(job, data_by_job[job.id])
        named = job.webhook_id if job.webhook_events is None or kind in job.webhook_events else None
        add_deliveries(session, _receivers(webhooks, job.owner_id, kind, named), kind, data)


def announce_studies(session: Session) -> int:
    """Insert deliveries for studies whose jobs have all ended, once per study and extension; returns the number of studies. Commits."""
    cells = select(StudyCell.job_id).join(Job, Job.id == StudyCell.job_id).where(StudyCell.study_id == Study.id)
    ended = (Study.end_told_at.is_(None), ~cells.where(Job.state.not_in(FINISHED_STATES)).exists())
    # An extension locks the study. Its new cells are not visible to the statement that waited for the lock, but to the next one.
    locked = session.scalars(select(Study.id).where(*ended).limit(BATCH_STUDIES).with_for_update(key_share=True, skip_locked=True)).all()
    studies = session.scalars(select(Study).where(Study.id.in_(locked), *ended)).all()
    webhooks = _lock_enabled(session, Webhook.owner_id.in_([study.owner_id for study in studies]))
    for study in studies:
        at = f"/v1/studies/{study.id}"
        receivers = _receivers(webhooks, study.owner_id, "study.finished", study.webhook_id)
        add_deliveries(session, receivers, "study.finished", {"id": study.id, "links": {"self": at}})
        study.end_told_at = datetime.now(UTC)
    session.commit()
    return len(studies)


def add_deliveries(session: Session, webhooks: Sequence[Webhook], kind: str, data: Json) -> list[WebhookDelivery]:
    """Insert one delivery of an event for each of these webhooks, due immediately."""
    event_id, now = new_id("event"), datetime.now(UTC)
    body = json.dumps({"type": kind, "timestamp": now.isoformat().replace("+00:00", "Z"), "data": data}, ensure_ascii=False)
    deliveries = [
        WebhookDelivery(
            id=new_id("delivery"),
            webhook_id=webhook.id,
            owner_id=webhook.owner_id,
            event_id=event_id,
            type=kind,
            body=body,
            next_attempt_at=func.clock_timestamp(),
        )
        for webhook in webhooks
    ]
    session.add_all(deliveries)
    session.flush()
    return deliveries


def _lock_enabled(session: Session, of_owners: ColumnElement[bool]) -> Sequence[Webhook]:
    """Enabled webhooks, locked against deletion, which would make the insert of a delivery and with it the job's end fail."""
    return session.scalars(
        select(Webhook).where(Webhook.enabled, of_owners).order_by(Webhook.id).with_for_update(read=True, key_share=True)
    ).all()


def _receivers(webhooks: Sequence[Webhook], owner_id: str, kind: EventType, named: str | None) -> list[Webhook]:
    """Webhooks of an owner that subscribe to an event, and the one that the request of the job or study named."""
    own = [webhook for webhook in webhooks if webhook.owner_id == owner_id]
    return [webhook for webhook in own if webhook.id == named or webhook.events is None or kind in webhook.events]


def _event(job: Row[*tuple[Any, ...]], state_data: Json) -> tuple[EventType, Json]:
    """Type and data of the event of an ended job: ids, state and links, never content."""
    error_code = (state_data.get("error") or {}).get("code")
    if job.kind not in RESOURCE_BY_CHECK:
        at = f"/v1/jobs/{job.id}"
        links = {"self": at, "events": f"{at}/events", "result": f"{at}/result"}
        data = {"id": job.id, "kind": job.kind, "state": state_data["state"], "attempt": state_data["attempt"], "error_code": error_code}
        return cast("EventType", f"job.{state_data['state']}"), {**data, "links": links}
    noun, state = RESOURCE_BY_CHECK[job.kind], "ready" if state_data["state"] == "succeeded" else "failed"
    if state_data["state"] == "canceled":
        error_code = "canceled"
    outcome: Json = {"state": state, "error_code": error_code}
    if noun == "concept_set":
        at, number = f"/v1/concept-sets/{job.concept_set_id}", job.spec["version"]
        data = {"id": job.concept_set_id, "version": number, **outcome, "links": {"self": at, "version": f"{at}/versions/{number}"}}
    else:
        row_id = job.model_id if noun == "model" else job.dataset_id
        data = {"id": row_id, **outcome, "links": {"self": f"/v1/{noun}s/{row_id}"}}
    return cast("EventType", f"{noun}.{state}"), data
