"""What webhooks are told, written in the transaction of the change itself, so that nothing told is lost and nothing untrue is told.

`app.db.job_events` calls `announce_ends`: every end of a job, and with it of a check, passes there. The end of a study is nobody's change,
it is seen afterwards (`announce_studies`). Sending is the worker's business.
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

STUDIES_AT_ONCE = 100
TEST_EVENT = "webhook.test"
CHECKED = {"check_model": "model", "check_dataset": "dataset", "check_concept_set": "concept_set"}


def announce_ends(session: Session, told: Mapping[str, Json]) -> None:
    """Tell the owners' webhooks of those jobs that have ended; most owners have none, which costs one query.

    Parameters
    ----------
    told : by the job's id what its event says: `state`, `attempt`, and `error` of one that failed
    """
    ended = [job_id for job_id, data in told.items() if data["state"] in FINISHED_STATES]
    if not ended:
        return
    webhooks = _hold(session, Webhook.owner_id.in_(select(Job.owner_id).where(Job.id.in_(ended))))
    if not webhooks:
        return
    jobs = session.execute(
        select(Job.id, Job.owner_id, Job.kind, Job.spec, Job.model_id, Job.dataset_id, Job.concept_set_id).where(Job.id.in_(ended))
    )
    for job in jobs:
        kind, data = _event(job, told[job.id])
        add_deliveries(session, [webhook for webhook in webhooks if _wants(webhook, job.owner_id, kind)], kind, data)


def announce_studies(session: Session) -> int:
    """Tell of studies all of whose jobs have ended, each once unless it is extended; returns how many. Commits."""
    cells = select(StudyCell.job_id).join(Job, Job.id == StudyCell.job_id).where(StudyCell.study_id == Study.id)
    ended = (Study.end_told_at.is_(None), ~cells.where(Job.state.not_in(FINISHED_STATES)).exists())
    # An extension locks the study: what it adds is not yet seen by the statement that waited for it, and is by the one after.
    locked = session.scalars(select(Study.id).where(*ended).limit(STUDIES_AT_ONCE).with_for_update(key_share=True, skip_locked=True)).all()
    studies = session.scalars(select(Study).where(Study.id.in_(locked), *ended)).all()
    webhooks = _hold(session, Webhook.owner_id.in_([study.owner_id for study in studies]))
    for study in studies:
        at = f"/v1/studies/{study.id}"
        wanted = [webhook for webhook in webhooks if _wants(webhook, study.owner_id, "study.finished")]
        add_deliveries(session, wanted, "study.finished", {"id": study.id, "links": {"self": at}})
        study.end_told_at = datetime.now(UTC)
    session.commit()
    return len(studies)


def add_deliveries(session: Session, webhooks: Sequence[Webhook], kind: str, data: Json) -> list[WebhookDelivery]:
    """Write one event down for each of these webhooks, due at once."""
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


def _hold(session: Session, of_owners: ColumnElement[bool]) -> Sequence[Webhook]:
    """Enabled webhooks, held against deletion: one that goes meanwhile must not take the end of a job with it."""
    return session.scalars(
        select(Webhook).where(Webhook.enabled, of_owners).order_by(Webhook.id).with_for_update(read=True, key_share=True)
    ).all()


def _wants(webhook: Webhook, owner_id: str, kind: EventType) -> bool:
    return webhook.owner_id == owner_id and (webhook.events is None or kind in webhook.events)


def _event(job: Row[*tuple[Any, ...]], told: Json) -> tuple[EventType, Json]:
    """Type and data of the event that a job's end is: ids, state and links, never content."""
    error_code = (told.get("error") or {}).get("code")
    if job.kind not in CHECKED:
        at = f"/v1/jobs/{job.id}"
        links = {"self": at, "events": f"{at}/events", "result": f"{at}/result"}
        data = {"id": job.id, "kind": job.kind, "state": told["state"], "attempt": told["attempt"], "error_code": error_code}
        return cast("EventType", f"job.{told['state']}"), {**data, "links": links}
    noun, state = CHECKED[job.kind], "ready" if told["state"] == "succeeded" else "failed"
    if told["state"] == "canceled":
        error_code = "canceled"
    about: Json = {"state": state, "error_code": error_code}
    if noun == "concept_set":
        at, number = f"/v1/concept-sets/{job.concept_set_id}", job.spec["version"]
        data = {"id": job.concept_set_id, "version": number, **about, "links": {"self": at, "version": f"{at}/versions/{number}"}}
    else:
        row_id = job.model_id if noun == "model" else job.dataset_id
        data = {"id": row_id, **about, "links": {"self": f"/v1/{noun}s/{row_id}"}}
    return cast("EventType", f"{noun}.{state}"), data
