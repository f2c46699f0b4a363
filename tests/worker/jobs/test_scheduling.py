"""Order in which workers take queued jobs, and its cost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

import pytest
from sqlalchemy import select, text, update

from app.db import transitions
from app.db.models import Job, Worker
from app.db.scheduling import NEXT_QUEUED, QUEUE_POSITION, WorkerKind, next_queued_job, queued_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from support.worker_service import Service

OWNERS = 3
INSERT_OWNERS = text(
    "INSERT INTO owners (id, name) SELECT 'own_' || number, 'an owner' FROM generate_series(1, CAST(:owners AS int)) AS number"
)
INSERT_JOBS = text(
    """
    INSERT INTO jobs (id, owner_id, kind, spec, state, attempt, deadline_seconds, queued_at, claimed_at)
    SELECT 'job_' || number, 'own_' || (1 + number % CAST(:owners AS int)), 'score', '{}',
        CASE WHEN number <= :queued THEN 'queued' ELSE 'failed' END, 0, 60,
        now() + number * interval '1 ms', CASE WHEN number > :queued THEN now() END
    FROM generate_series(1, CAST(:queued AS int) + CAST(:finished AS int)) AS number
    """
)


def taken(service: Service, limit: int) -> list[str]:
    """The jobs that workers claim, in order."""
    jobs = list[str]()
    while len(jobs) < limit:
        with service.runtime.sessions.begin() as session:
            job_id = next_queued_job(session)
            if job_id is None:
                break
            assert transitions.claim(session, job_id, "a worker", 60) is not None
        jobs.append(job_id)
    return jobs


def test_a_validation_is_taken_before_older_jobs_of_its_owner(service: Service) -> None:
    score, check = service.add_score(), service.add_check()
    assert taken(service, 10) == [check, score]


def test_owners_take_turns_starting_with_the_least_recently_served(service: Service) -> None:
    dataset = service.add_dataset(None, state="ready", digest="d")
    many = [service.add_score(dataset) for _ in range(4)]
    service.become_another_owner()
    other = service.add_dataset(None, state="ready", digest="e")
    one = service.add_score(other)
    assert taken(service, 1) == [many[0]]
    assert taken(service, 2) == [one, many[1]]
    later = service.add_score(other)
    assert taken(service, 10) == [later, many[2], many[3]]


def test_registrations_of_one_owner_delay_a_job_of_another_by_one_turn(service: Service) -> None:
    checks = [service.add_check() for _ in range(5)]
    assert taken(service, 1) == [checks[0]]
    service.become_another_owner()
    score = service.add_score(service.add_dataset(None, state="ready", digest="d"))
    assert taken(service, 10) == [score, *checks[1:]]


def test_the_position_of_a_job_is_its_place_in_the_order_in_which_jobs_are_taken(service: Service) -> None:
    for count, checks in ((4, 0), (2, 3), (7, 1)):
        service.become_another_owner()
        dataset = service.add_dataset(None, state="ready", digest="d")
        for _ in range(count):
            service.add_score(dataset)
        for _ in range(checks):
            service.add_check()
    for _ in range(3):  # queued as they are first, and then after claims of different owners
        with service.runtime.sessions() as session:
            positions = dict(session.execute(select(Job.id, QUEUE_POSITION).where(Job.kind == "score")).all())
            order = all_taken(session)
        places = {job_id: place for place, job_id in enumerate(order, start=1)}
        assert positions == {job_id: places.get(job_id) for job_id in positions}
        taken(service, 4)


def all_taken(session: Session) -> list[str]:
    """All queued jobs in the order in which they would be taken."""
    order = list[str]()
    while (job_id := next_queued_job(session)) is not None:
        assert transitions.claim(session, job_id, "a worker", 60) is not None
        order.append(job_id)
    session.rollback()
    return order


def test_a_job_behind_a_thousand_of_its_owner_has_no_position(service: Service) -> None:
    with service.runtime.sessions() as session:
        session.execute(INSERT_OWNERS, {"owners": 2})
        session.execute(INSERT_JOBS, {"owners": 2, "queued": 2010, "finished": 0})
        found = dict(session.execute(select(Job.id, QUEUE_POSITION).where(Job.id.in_(["job_1", "job_2", "job_1999", "job_2001"]))).all())
        session.rollback()
    assert found == {"job_1": 1, "job_2": 2, "job_1999": 1999, "job_2001": None}


def worker_is_alive(service: Service, kind: WorkerKind, *, alive: bool = True) -> None:
    """Report a worker of a kind, alive or ended."""
    until = text("now() + interval '1 minute'" if alive else "now() - interval '1 second'")
    with service.runtime.sessions.begin() as session:
        session.merge(Worker(name=f"a {kind} worker", kind=kind, alive_until=datetime(2020, 1, 1, tzinfo=UTC)))
        session.flush()
        session.execute(update(Worker).where(Worker.kind == kind).values(alive_until=until))


def next_jobs(service: Service) -> dict[str, str | None]:
    """The next job of a worker of each kind."""
    with service.runtime.sessions() as session:
        return {kind: next_queued_job(session, kind) for kind in get_args(WorkerKind)}


def test_jobs_that_want_a_gpu_wait_for_one_while_a_worker_with_one_is_alive(service: Service) -> None:
    dataset = service.add_dataset(None, state="ready", digest="d")
    on_network = service.add_score(dataset, service.add_model("timm:resnet18"))
    of_features = service.add_score(dataset)
    explained = service.add_explain(of_features)
    assert next_jobs(service) == {"cpu": on_network, "gpu": on_network}, "no worker is known: any takes all"
    worker_is_alive(service, "cpu")
    assert next_jobs(service) == {"cpu": on_network, "gpu": on_network}, "a GPU worker that starts takes what it is for"
    worker_is_alive(service, "gpu")
    assert next_jobs(service) == {"cpu": of_features, "gpu": on_network}
    for taken in (on_network, of_features):
        with service.runtime.sessions.begin() as session:
            assert transitions.claim(session, taken, "a worker", 60)
    assert next_jobs(service) == {"cpu": explained, "gpu": None}, "explaining test images needs no network"
    worker_is_alive(service, "cpu", alive=False)
    assert next_jobs(service) == {"cpu": explained, "gpu": explained}


def test_jobs_that_want_a_gpu_go_to_any_worker_once_none_with_one_is_alive(service: Service) -> None:
    worker_is_alive(service, "gpu")
    job = service.add_score(service.add_dataset(None, state="ready", digest="d"), service.add_model("timm:resnet18"))
    assert next_jobs(service)["cpu"] is None
    worker_is_alive(service, "gpu", alive=False)
    assert next_jobs(service)["cpu"] == job


def test_a_validation_needs_no_gpu_and_precedes_other_jobs_of_its_owner_on_each_kind(service: Service) -> None:
    worker_is_alive(service, "cpu")
    worker_is_alive(service, "gpu")
    dataset = service.add_dataset(None, state="ready", digest="d")
    network, features = service.add_score(dataset, service.add_model("timm:resnet18")), service.add_score(dataset)
    check = service.add_check()
    assert next_jobs(service) == {"cpu": check, "gpu": network}
    with service.runtime.sessions.begin() as session:
        assert transitions.claim(session, check, "a worker", 60)
    assert next_jobs(service) == {"cpu": features, "gpu": network}


def test_the_sweeper_reads_queued_jobs_up_to_a_limit(service: Service) -> None:
    jobs = {service.add_check() for _ in range(3)}
    taken(service, 1)
    with service.runtime.sessions() as session:
        assert len(queued_jobs(session, 1)) == 1
        assert set(queued_jobs(session, 10)) < jobs


@pytest.mark.parametrize("alive", [(), ("cpu", "gpu")])
def test_the_next_job_is_found_by_index_at_the_same_cost_however_many_are_queued(service: Service, alive: tuple[WorkerKind, ...]) -> None:
    for kind in alive:
        worker_is_alive(service, kind)
    costs = list[tuple[set[str], int]]()
    for count in (1_000, 10_000):
        with service.runtime.sessions() as session:
            session.execute(INSERT_OWNERS, {"owners": OWNERS})
            session.execute(INSERT_JOBS, {"owners": OWNERS, "queued": count, "finished": count})
            session.execute(text("ANALYZE jobs"))
            costs.append(cost(session))
            session.rollback()
    assert costs[0] == costs[1]
    nodes, read = costs[1]
    assert read == 3 * OWNERS, "One row for each owner, its first job and its latest claim."
    assert nodes <= {"Index Only Scan", "Index Scan"}


def cost(session: Session) -> tuple[set[str], int]:
    """Kinds of the scans of `jobs` in the plan of the next job, and the number of rows that they read."""
    (document,) = session.scalars(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {NEXT_QUEUED.text}"), {"kind": "cpu"})
    scans = [node for node in walk(document[0]["Plan"]) if node.get("Relation Name") == "jobs"]
    filtered = sum(node.get("Rows Removed by Filter", 0) * node["Actual Loops"] for node in scans)
    return {node["Node Type"] for node in scans}, round(sum(node["Actual Rows"] * node["Actual Loops"] for node in scans) + filtered)


def walk(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from walk(child)
