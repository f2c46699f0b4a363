"""Plans of the statements of lists, leaderboards and studies on a filled table: by index, without reading or sorting all jobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db.descriptions import DescriptionFilters
from app.db.lists.listing import ListQuery
from app.db.models import Job
from app.db.session import SessionFactory
from app.jobs.repository import JobRepository
from app.leaderboard.repository import LeaderboardRepository
from app.models.repository import ModelRepository
from app.studies.repository import StudyRepository
from support.query_plans import Plan, indexes, plans_of, rows_read, rows_sorted, scans
from support.rows import Rows
from support.tenants import Tenant

JOBS, OWN, LIMIT, CELLS = 4000, 500, 20, 60
FILL = (
    "INSERT INTO models (id, owner_id, name, architecture, arguments, state)"
    " SELECT 'mdl_z' || n, :owner, 'net ' || n, 'timm:resnet18', '{}', 'ready' FROM generate_series(0, 99) n",
    "INSERT INTO jobs (id, owner_id, kind, spec, name, state, attempt, deadline_seconds, model_id, dataset_id, summary, board)"
    " SELECT 'job_z' || lpad(n::text, 9, '0'), CASE WHEN n % 8 = 0 THEN :owner ELSE :other END,"
    " CASE WHEN k % 100 = 2 THEN 'explain' ELSE 'score' END, '{}',"
    " CASE WHEN k = 250 THEN 'The needle' WHEN k % 5 = 0 THEN 'run ' || n END,"
    " CASE WHEN k % 100 = 4 THEN 'failed' ELSE 'succeeded' END, 1, 60, 'mdl_z' || k % 100, :dataset,"
    " '{\"edition\": 2, \"quantity\": \"accuracy\"}', CASE WHEN k % 100 > 4 THEN 'board ' || k % 10 ELSE '' END"
    " FROM generate_series(1, :jobs) n, LATERAL (SELECT n / 8 AS k) AS number",
    "INSERT INTO studies (id, owner_id, name, grid) VALUES ('std_z', :owner, 'all', '{}')",
    "INSERT INTO study_cells (study_id, number, job_id, created, request_digest, dataset_id, library, concept_count, seed)"
    " SELECT 'std_z', n, 'job_z' || lpad((8 * n)::text, 9, '0'), true, n::text, :dataset, 0, 4, 0 FROM generate_series(1, :cells) n",
    *(f"ANALYZE {table}" for table in ("jobs", "models", "studies", "study_cells")),
)


@pytest.fixture
def filled(sessions: SessionFactory, tenant: Tenant, other_tenant: Tenant, rows: Rows) -> Iterator[Session]:
    """A transaction with `JOBS` jobs, `OWN` of them the tenant's, which is rolled back."""
    given = {"owner": tenant.owner_id, "other": other_tenant.owner_id, "dataset": rows.dataset(), "jobs": JOBS, "cells": CELLS}
    with sessions() as session:
        for statement in FILL:
            session.execute(text(statement), given if ":" in statement else {})
        yield session
        session.rollback()


def require_bounded(plan: Plan, rows: int) -> None:
    """Fail unless a plan reads and sorts at most so many jobs, by index."""
    assert "Seq Scan" not in {node["Node Type"] for node in scans(plan, "jobs")}, plan
    assert max(rows_read(plan, "jobs"), rows_sorted(plan)) <= rows, plan


def test_pages_of_jobs_are_read_by_index(filled: Session, tenant: Tenant) -> None:
    jobs = JobRepository(filled, tenant.owner_id)

    def plan(query: ListQuery, **filters: Any) -> Plan:
        return plans_of(filled, lambda: jobs.page(query, **dict.fromkeys(("kind", "state", "model", "dataset")) | filters))[-1]

    of_state, of_kind = plan(ListQuery(LIMIT), state="failed"), plan(ListQuery(LIMIT), kind="explain")
    assert "ix_jobs_owner_id_unsuccessful" in indexes(of_state)
    assert indexes(of_kind) & {"ix_jobs_owner_id_other_kind", "ix_jobs_explained"}, "either has the jobs of that kind alone"
    named_once, named_never, of_model = (
        plan(ListQuery(LIMIT, filters=DescriptionFilters(name_contains=part))) for part in ("NEEDLE", "haystack", "net 42")
    )
    assert "ix_jobs_name_ngrams" in indexes(named_once) & indexes(named_never) & indexes(of_model)
    named_often = plan(ListQuery(LIMIT, filters=DescriptionFilters(name_contains="run")))
    for found in (of_state, of_kind, named_once, named_never):
        require_bounded(found, JOBS // 40)  # the jobs of one model; rows that other tests left change the plan
    for found in (of_model, named_often, plan(ListQuery(LIMIT)), plan(ListQuery(LIMIT, sort="-iis"))):
        require_bounded(found, JOBS // 10)


def test_a_leaderboard_reads_one_entry_of_an_index_for_each_job_and_the_rows_of_one_board(filled: Session, tenant: Tenant) -> None:
    boards = LeaderboardRepository(filled, tenant.owner_id)
    (settings,) = plans_of(filled, boards.settings)
    assert {node["Node Type"] for node in scans(settings, "jobs")} <= {"Index Only Scan", "Index Scan", "Bitmap Heap Scan"}
    assert "ix_jobs_board" in indexes(settings)
    assert rows_read(settings, "jobs") <= OWN + 10, "an entry for each score, and one score of each board"
    found = boards.settings()
    assert len(found) == 10
    (scores,) = plans_of(filled, lambda: boards.scores(found[0][0], [found[0][2]]))
    require_bounded(scores, OWN // 5)
    (summaries,) = plans_of(filled, lambda: boards.summaries([f"job_z{8 * number:09}" for number in range(10, 20)]))
    require_bounded(summaries, 10)


def test_a_study_reads_the_jobs_of_its_cells_and_a_list_by_name_the_rows_of_its_page(filled: Session, tenant: Tenant) -> None:
    studies, models = StudyRepository(filled, tenant.owner_id), ModelRepository(filled, tenant.owner_id)
    for plan in plans_of(filled, lambda: (studies.states(["std_z"]), studies.page_of_cells("std_z", None, LIMIT))):
        require_bounded(plan, 20 * CELLS)
    (plan,) = plans_of(filled, lambda: models.listed(ListQuery(LIMIT, sort="name")))
    assert (indexes(plan), rows_read(plan, "models"), rows_sorted(plan)) == ({"ix_models_owner_id_name"}, LIMIT + 1, 0)


@pytest.mark.parametrize(
    ("part", "found"),
    [("a", True), ("É", True), ("fé", True), ("CAF", True), ("afé A", True), ("%", False), ("_", False), ("cafe", False), ("  ", False)],
)
def test_a_part_of_a_name_of_any_length_is_found_by_its_index(
    client: TestClient, rows: Rows, sessions: SessionFactory, part: str, found: bool
) -> None:
    job = rows.job(rows.model(name="net"), rows.dataset(name="digits"), name="Café au lait É")
    with sessions.begin() as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        session.execute(text("SET LOCAL enable_indexscan = off"))
        owner = session.get_one(Job, job).owner_id
        query = ListQuery(LIMIT, filters=DescriptionFilters(name_contains=part))
        page, _ = JobRepository(session, owner).page(query, kind=None, state=None, model=None, dataset=None)
    assert [one.id for one in page] == ([job] if found else [])
    assert [one["id"] for one in client.get("/v1/jobs", params={"name_contains": part}).json()["data"]] == ([job] if found else [])
