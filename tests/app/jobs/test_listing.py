"""The list of jobs: names and numbers of each, order by IIS, and the rows that PostgreSQL reads for a page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import event, null, text, update
from sqlalchemy.orm import Session

from app.db.descriptions import DescriptionFilters
from app.db.lists.job_summaries import summarise_earlier
from app.db.lists.listing import ListQuery
from app.db.models import Job
from app.db.session import SessionFactory
from app.db.transitions import requeue
from app.jobs.repository import JobRepository
from support.query_plans import plans_of, rows_read
from support.rows import Rows, score_spec
from support.tenants import Tenant

SUMMARY = {
    "edition": 2,
    "quantity": "accuracy",
    "verdict": "reads_through_concepts",
    "near_chance": False,
    "accuracy": 0.9,
    "accuracy_low": 0.88,
    "accuracy_high": 0.92,
    "chance": 0.1,
    "few_concepts_mean": 0.5,
    "few_concepts_mean_low": 0.45,
    "few_concepts_mean_high": 0.55,
    "iis": 2 / 3,
    "iis_low": 0.6,
    "iis_high": 0.7,
    "gain_isotropic": 2 / 3 - 0.6,
    "gain_isotropic_low": 0.01,
    "gain_isotropic_high": 0.12,
    "gain_matched": 0.1,
    "gain_matched_low": 0.05,
    "gain_matched_high": 0.15,
}
"""Of the report in `support.result_rows`."""
INSERT_JOBS = text(
    "INSERT INTO jobs (id, owner_id, kind, spec, state, attempt, deadline_seconds, dataset_id, tags, user_metadata, summary)"
    " SELECT 'job_z' || lpad(n::text, 9, '0'), CASE WHEN n % 2 = 0 THEN :owner ELSE :other END,"
    " 'score', '{}', 'succeeded', 1, 60, :dataset,"
    " CASE WHEN n % 1000 = 0 THEN ARRAY['rare'] ELSE '{}'::text[] END,"
    " CASE WHEN n % 1000 = 0 THEN '{\"team\": \"a\"}'::jsonb ELSE '{}' END,"
    " CASE WHEN n % 4 = 0 THEN jsonb_build_object('iis', (n * 7919 % 100003) / 100003.0) END"
    " FROM generate_series(1, :count) n"
)
LIMIT = 20


def test_a_job_shows_names_and_the_main_numbers_of_its_score(client: TestClient, rows: Rows) -> None:
    model, dataset = rows.model(name="net, epoch 90"), rows.dataset(name="digits")
    job = rows.job(model, dataset)
    assert client.get(f"/v1/jobs/{job}").json()["summary"] is None
    rows.succeed(job, rows.claim(job))
    client.delete(f"/v1/models/{model}")
    client.patch(f"/v1/datasets/{dataset}", json={"name": "digits, cleaned"})
    shown = client.get(f"/v1/jobs/{job}").json()
    assert (shown["model_name"], shown["dataset_name"]) == ("net, epoch 90", "digits, cleaned"), "a deleted model keeps its name"
    assert shown["summary"] == SUMMARY
    assert client.get("/v1/jobs").json()["data"] == [shown]


def test_a_job_shows_how_long_it_waited_and_ran(client: TestClient, rows: Rows) -> None:
    job = rows.job()
    resources = dict.fromkeys(("device", "peak_memory_bytes", "gpu_peak_memory_bytes", "fetched_bytes", "stored_bytes"))
    empty = {"queue_seconds": None, "run_seconds": None, "stage_seconds": None, **resources, "stages": None}
    assert client.get(f"/v1/jobs/{job}").json()["usage"] == empty
    token = rows.claim(job)
    running = client.get(f"/v1/jobs/{job}").json()["usage"]
    assert running == empty | {"queue_seconds": running["queue_seconds"]}
    assert 0 <= running["queue_seconds"] < 60
    for stage, part, seconds in (("extract", None, 1.5), ("matched", "seed 0", 0.25), ("matched", "seed 1", 0.5)):
        rows.event(job, token, "stage", stage=stage, part=part, state="started")
        rows.event(job, token, "stage", stage=stage, part=part, state="finished", seconds=seconds)
    rows.event(job, token, "stage", stage="extract", state="task", number=0, worker="another", seconds=40.0)
    rows.event(job, token, "stage", stage="libraries", state="reused")
    rows.succeed(job, token)
    ended = client.get(f"/v1/jobs/{job}").json()["usage"]
    assert ended["stage_seconds"] == {"extract": 1.5, "matched": 0.75}
    assert 0 < ended["run_seconds"] < 60
    canceled = rows.job()
    rows.cancel(canceled)
    assert client.get(f"/v1/jobs/{canceled}").json()["usage"] == empty | {"stage_seconds": {}, "stages": {}}


def test_a_job_shows_the_device_memory_and_bytes_of_its_stages(client: TestClient, rows: Rows) -> None:
    job = rows.job()
    token = rows.claim(job)
    extract = {"device": "cpu", "peak_memory_bytes": 900, "gpu_peak_memory_bytes": None, "fetched_bytes": 50, "stored_bytes": 7}
    seeds = (extract | {"device": "NVIDIA H200", "gpu_peak_memory_bytes": 2**33}, extract | {"peak_memory_bytes": 1000, "device": None})
    rows.event(job, token, "stage", stage="extract", state="finished", seconds=1.5, usage=extract)
    for used in seeds:
        rows.event(job, token, "stage", stage="matched", state="finished", seconds=1.0, usage=used)
    rows.event(job, token, "stage", stage="heads", state="finished", seconds=1.0)  # of a worker of an earlier version
    rows.succeed(job, token)
    usage = client.get("/v1/jobs").json()["data"][0]["usage"]
    matched = {"device": "NVIDIA H200", "peak_memory_bytes": 1000, "gpu_peak_memory_bytes": 2**33, "fetched_bytes": 100, "stored_bytes": 14}
    assert usage["stages"] == {"extract": extract, "matched": matched}
    assert {name: usage[name] for name in matched} == matched | {"fetched_bytes": 150, "stored_bytes": 21}


def test_usage_of_a_requeued_job_counts_each_claim_once(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    job = rows.job()
    token = rows.claim(job)
    with sessions.begin() as session:
        shifted = {"created_at": Job.created_at - timedelta(seconds=150), "claimed_at": Job.claimed_at - timedelta(seconds=100)}
        session.execute(update(Job).where(Job.id == job).values(**shifted))
        requeue(session, job, token)
    waiting = client.get(f"/v1/jobs/{job}").json()["usage"]
    assert (round(waiting["queue_seconds"], -1), waiting["run_seconds"]) == (50, None)
    rows.cancel(job)
    ended = client.get(f"/v1/jobs/{job}").json()["usage"]
    assert (round(ended["queue_seconds"], -1), round(ended["run_seconds"], -1)) == (50, 100)


def test_explain_and_finetune_jobs_show_the_main_numbers_of_their_results(client: TestClient, rows: Rows) -> None:
    scored = rows.explainable_job()
    explained, (tuned, _) = rows.explained_job(scored, [{"index": 0}, {"index": 1}]), rows.finetuned_job()
    by_id = {job["id"]: job["summary"] for job in client.get("/v1/jobs").json()["data"]}
    assert by_id[explained] == {
        "count": 2,
        "failed": 0,
        "agreement": 2 / 3,
        "accuracy_representation": None,
        "accuracy_interpretation": 0.75,
    }
    change = {"iis_change": 0.004, "iis_change_low": -0.0035, "iis_change_high": 0.0115}
    control = {"iis_over_control": 0.004, "iis_over_control_low": -0.0035, "iis_over_control_high": 0.0115}
    before_after = {"accuracy_before": 0.924, "accuracy_after": 0.928, "iis_before": 0.916, "iis_after": 0.921}
    assert by_id[tuned] == before_after | change | control
    assert client.get(f"/v1/jobs/{tuned}").json()["summary"] == by_id[tuned]
    assert client.get(f"/v1/jobs/{rows.finetune_job()}").json()["summary"] is None


def statements_of(app: FastAPI) -> list[str]:
    """The statements that the app's database will receive."""
    statements: list[str] = []
    event.listen(app.state.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    return statements


def test_expanded_jobs_embed_their_resources_in_a_query_of_each_kind(client: TestClient, rows: Rows, app: FastAPI) -> None:
    model, dataset, vlm = rows.model(name="net, epoch 90"), rows.dataset(name="digits"), rows.vlm()
    spec = score_spec(model, dataset) | {"vlm": vlm}
    first, second = (rows.job(model, dataset, vlm_id=vlm, spec=spec) for _ in range(2))
    library = rows.succeed(first, rows.claim(first))
    other, _ = rows.succeeded_job()
    expand = {"expand": "model,vlm,dataset,library_dataset,library"}
    client.get("/v1/jobs")  # notes when the key was used
    statements = statements_of(app)
    page = client.get("/v1/jobs", params=expand).json()
    assert len(statements) == 5, "one each for the key, the jobs, models, data sets and libraries"
    by_id = {job["id"]: job["expanded"] for job in page["data"]}
    assert [job["model"] for job in page["data"]].count(model) == 2, "the ids stay"
    assert by_id[first]["model"] == client.get(f"/v1/models/{model}").json()
    assert by_id[first]["vlm"]["id"] == vlm
    listed = client.get("/v1/datasets", params={"name_contains": "digits"}).json()["data"]
    assert by_id[first]["dataset"] == next(one for one in listed if one["id"] == dataset)
    assert by_id[first]["library"] == client.get(f"/v1/concept-libraries/{library}").json()
    assert by_id[first]["library_dataset"] is None
    assert (by_id[second]["library"], by_id[other]["vlm"]) == (None, None)
    alone = client.get(f"/v1/jobs/{first}", params={"expand": "library"}).json()["expanded"]
    assert (alone["library"]["id"], alone["model"]) == (library, None)
    assert client.get(f"/v1/jobs/{first}").json()["expanded"] is None
    following = client.get("/v1/jobs", params={"expand": "dataset, model", "limit": 1}).json()["links"]["next"]
    assert client.get(following).json()["data"][0]["expanded"]["model"]["id"] == model
    rows.cancel(second)
    client.delete(f"/v1/models/{model}")
    assert client.get(f"/v1/jobs/{first}", params=expand).json()["expanded"]["model"] is None


@pytest.mark.parametrize("expand", ["modle", "model,", "model,webhook", ""])
def test_an_unknown_expansion_is_refused_with_the_known_ones(client: TestClient, rows: Rows, expand: str) -> None:
    for at in ("/v1/jobs", f"/v1/jobs/{rows.job()}"):
        refused = client.get(at, params={"expand": expand})
        assert refused.status_code == 422
        assert "expand embeds model, dataset, library_dataset, vlm and library, separated by commas" in refused.json()["detail"]


def test_an_expanded_wait_embeds_what_the_end_has_made(client: TestClient, rows: Rows) -> None:
    job, library = rows.succeeded_job()
    waited = client.get(f"/v1/jobs/{job}", params={"expand": "library"}, headers={"Prefer": "wait=5"}).json()
    assert waited["expanded"]["library"]["id"] == library
    queued = client.get(f"/v1/jobs/{rows.job()}", params={"expand": "dataset"}, headers={"Prefer": "wait=0.1"}).json()
    assert queued["expanded"]["dataset"]["name"] == "digits"


def test_a_page_of_jobs_is_one_query(client: TestClient, rows: Rows, app: FastAPI) -> None:
    for _ in range(3):
        rows.succeeded_job()
    client.get("/v1/jobs")  # notes when the key was used
    statements = statements_of(app)
    page = client.get("/v1/jobs").json()
    assert [job["dataset_name"] for job in page["data"]] == ["digits"] * 3
    assert len(statements) == 2, "one for the key, one for the jobs"


def test_jobs_are_found_by_the_names_of_their_model_and_data_set(client: TestClient, rows: Rows) -> None:
    net, other, digits = rows.model(name="net, epoch 90"), rows.model(name="other"), rows.dataset(name="digits")
    by_model, named = rows.job(net, rows.dataset(name="birds")), rows.job(other, rows.dataset(name="cats"), name="A network")
    by_dataset = rows.job(other, digits)

    def found(name: str) -> list[str]:
        return [job["id"] for job in client.get("/v1/jobs", params={"name_contains": name}).json()["data"]]

    assert found("NET") == [named, by_model]
    assert found("digits") == [by_dataset]
    assert found("dogs") == []


def test_jobs_are_sorted_by_iis_with_those_without_one_last(client: TestClient, rows: Rows) -> None:
    model, dataset = rows.model(), rows.dataset()
    jobs = [rows.job(model, dataset) for _ in range(5)]
    for job, iis in zip(jobs[:4], (0.5, 1, 0.25, None), strict=True):
        rows.succeed(job, rows.claim(job), iis=iis)
    found: list[str] = []
    path: str | None = "/v1/jobs?sort=-iis&limit=2"
    while path:
        page = client.get(path).json()
        found += [job["id"] for job in page["data"]]
        path = page["links"].get("next")
    assert found == [jobs[1], jobs[0], jobs[2], jobs[4], jobs[3]]
    assert [job["id"] for job in client.get("/v1/jobs?sort=iis").json()["data"]] == found[::-1]
    assert [job["id"] for job in client.get("/v1/jobs?sort=created_at&limit=2").json()["data"]] == jobs[:2]
    refused = client.get("/v1/jobs?sort=accuracy")
    assert (refused.status_code, refused.json()["errors"][0]["param"]) == (422, "query.sort")


def test_maintenance_writes_the_summaries_of_jobs_that_an_earlier_version_finished(
    client: TestClient, rows: Rows, sessions: SessionFactory
) -> None:
    (finished, _), without_result = rows.succeeded_job(), rows.job()
    with sessions.begin() as session:
        session.execute(update(Job).where(Job.id == finished).values(summary=null()))
        session.execute(update(Job).where(Job.id == without_result).values(state="succeeded"))
    with sessions() as session:
        assert summarise_earlier(session) == 2
        assert summarise_earlier(session) == 0
    assert client.get(f"/v1/jobs/{finished}").json()["summary"] == SUMMARY
    assert client.get(f"/v1/jobs/{without_result}").json()["summary"] is None


def rows_of_page(session: Session, owner_id: str, query: ListQuery, **filters: Any) -> int:
    """Rows of `jobs` that PostgreSQL reads for a page."""
    given = dict.fromkeys(("kind", "state", "model", "dataset")) | filters
    (plan,) = plans_of(session, lambda: JobRepository(session, owner_id).page(query, **given))
    return rows_read(plan, "jobs")


@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_page_reads_no_more_rows_however_many_jobs_there_are(
    sessions: SessionFactory, tenant: Tenant, other_tenant: Tenant, rows: Rows, count: int
) -> None:
    dataset = rows.dataset()
    with sessions() as session:
        owners = {"owner": tenant.owner_id, "other": other_tenant.owner_id}
        session.execute(INSERT_JOBS, {**owners, "dataset": dataset, "count": count})
        session.execute(text("ANALYZE jobs"))
        owner = tenant.owner_id
        best = ListQuery(LIMIT, sort="-iis")
        cursor = JobRepository(session, owner).page(best, kind=None, state=None, model=None, dataset=None)[1][LIMIT - 1]
        for query in (ListQuery(LIMIT), ListQuery(LIMIT, f"job_z{count // 2:09}"), best, ListQuery(LIMIT, cursor, "-iis")):
            assert rows_of_page(session, owner, query) <= 3 * (LIMIT + 1), query
        for filters in (DescriptionFilters(tags=["rare"]), DescriptionFilters(metadata=[("team", "a")])):
            assert rows_of_page(session, owner, ListQuery(LIMIT, filters=filters)) <= count // 1000
