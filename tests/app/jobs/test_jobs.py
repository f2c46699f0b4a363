"""Jobs over HTTP: state, list and cancellation."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import event

from app.db.session import SessionFactory
from app.db.transitions import finish_cancel, report_progress
from support.rows import Rows

TIMESTAMPS = ("queued_at", "running_at", "canceling_at", "succeeded_at", "failed_at", "canceled_at")


def test_another_owners_job_is_404_on_every_route(client: TestClient, other_rows: Rows) -> None:
    job_id, _ = other_rows.succeeded_job()
    at = f"/v1/jobs/{job_id}"
    for path in ("", "/events", "/result", "/curves", "/plots", "/plots/arr.png"):
        response = client.get(at + path)
        assert (path, response.status_code) == (path, 404)
        assert response.json()["code"] == "not_found"
    assert client.get(f"{at}/events", headers={"Accept": "text/event-stream"}).status_code == 404
    assert client.post(f"{at}/cancel").status_code == 404
    assert client.get("/v1/jobs").json()["data"] == []


def test_internal_checks_are_not_visible_as_jobs(client: TestClient, rows: Rows) -> None:
    job_id = rows.job(kind="check_model")
    assert client.get(f"/v1/jobs/{job_id}").status_code == 404
    assert client.get(f"/v1/jobs/{job_id}/events").status_code == 404
    assert client.post(f"/v1/jobs/{job_id}/cancel").status_code == 404
    assert client.get("/v1/jobs").json()["data"] == []


def test_the_cursor_returns_every_job_once_newest_first(client: TestClient, rows: Rows) -> None:
    model, dataset = rows.model(), rows.dataset()
    made = [rows.job(model, dataset) for _ in range(7)]
    walked: list[str] = []
    path: str | None = "/v1/jobs?limit=3"
    while path:
        page = client.get(path).json()
        walked += [job["id"] for job in page["data"]]
        assert page["has_more"] == (page["after"] is not None) == ("next" in page["links"])
        path = page["links"].get("next")
    assert walked == sorted(made, reverse=True)


def test_the_list_is_filtered_by_state_model_and_data_set(client: TestClient, rows: Rows) -> None:
    model, dataset = rows.model(), rows.dataset()
    mine, other = rows.job(model, dataset), rows.job()
    rows.claim(other)

    def ids(query: str) -> list[str]:
        return [job["id"] for job in client.get(f"/v1/jobs?{query}").json()["data"]]

    assert ids("state=queued") == [mine]
    assert ids("state=running") == [other]
    assert ids(f"model={model}") == ids(f"dataset={dataset}") == [mine]
    assert ids(f"model={model}&state=running") == []
    assert client.get("/v1/jobs?state=asleep").status_code == 422
    assert client.get("/v1/jobs?limit=101").status_code == 422
    rows.job(model, dataset)
    assert f"model={model}" in client.get(f"/v1/jobs?model={model}&limit=1").json()["links"]["next"]


def test_a_job_shows_its_state_progress_and_the_time_of_each_step(client: TestClient, rows: Rows) -> None:
    job_id = rows.job()
    token = rows.claim(job_id)
    rows.progress(job_id, token, 4)
    job = client.get(f"/v1/jobs/{job_id}").json()
    assert (job["state"], job["attempt"]) == ("running", 1)
    named = {"stage": "extract", "title": "Extracting features", "part": None}
    assert job["progress"] == {**named, "done": 4, "total": 10, "eta_seconds": 1.5, "tasks": None, "overall": None}
    rows.fail(job_id, token, "Class 7 has no test image.")
    job = client.get(f"/v1/jobs/{job_id}").json()
    assert job["error"] == {"code": "data_invalid", "message": "Class 7 has no test image.", "param": None}
    assert [name for name in TIMESTAMPS if job[name]] == ["queued_at", "running_at", "failed_at"]


def test_a_job_shows_all_its_stages_with_their_share_of_the_time(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    job_id = rows.job()
    token = rows.claim(job_id)
    at = f"/v1/jobs/{job_id}"
    assert client.get(at).json()["stages"] is None
    common = {"size": 1.0, "seconds": None, "workers": []}
    stages = [
        {**common, "stage": "materialise", "state": "skipped", "expected_seconds": 9.0, "weight_seconds": 9.0},
        {**common, "stage": "extract", "state": "running", "expected_seconds": 30.0, "weight_seconds": 30.0, "workers": ["a"]},
        {**common, "stage": "heads", "state": "waiting", "expected_seconds": None, "weight_seconds": 10.0},
    ]
    overall = {"share_done": 0.3, "eta_seconds": 28.0, "tasks_done": 1, "tasks_total": 3}
    with sessions.begin() as session:
        report_progress(session, job_id, token, stage="extract", done=1, total=4, eta_seconds=22.5, stages=stages, overall=overall)
    job = client.get(at).json()
    assert job["progress"]["overall"] == overall
    assert [(one["title"], one["state"], one["share"], one["expected_seconds"]) for one in job["stages"]] == [
        ("Fetching checkpoint and images", "skipped", 0.0, 9.0),
        ("Extracting features", "running", 0.75, 30.0),
        ("Fitting heads at every sparsity", "waiting", 0.25, None),
    ]
    assert job["stages"][1]["workers"] == ["a"]
    assert client.get("/v1/jobs").json()["data"][0]["stages"] is None
    rows.fail(job_id, token, "Class 7 has no test image.")
    assert [one["state"] for one in client.get(at).json()["stages"]] == ["skipped", "stopped", "waiting"]


def test_a_queued_job_shows_its_position_but_not_in_lists(client: TestClient, rows: Rows) -> None:
    model, dataset = rows.model(), rows.dataset()
    jobs = [rows.job(model, dataset) for _ in range(3)]

    def positions() -> list[int | None]:
        return [client.get(f"/v1/jobs/{job_id}").json()["queue_position"] for job_id in jobs]

    first, second, third = positions()
    assert first is not None
    assert second is not None
    assert third is not None
    assert 1 <= first < second < third  # jobs of other owners come between
    rows.claim(jobs[0])
    assert positions()[0] is None
    assert {job["queue_position"] for job in client.get("/v1/jobs").json()["data"]} == {None}


def test_a_status_poll_is_one_query_over_jobs_and_a_304_when_nothing_changed(client: TestClient, rows: Rows, app: FastAPI) -> None:
    job_id = rows.job()
    first = client.get(f"/v1/jobs/{job_id}")
    assert first.headers["retry-after"].isdigit()
    statements: list[str] = []
    event.listen(app.state.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    again = client.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert len([statement for statement in statements if "FROM jobs" in statement]) == 1
    assert len(statements) == 2, "one for the key, one for the job"
    rows.claim(job_id)
    assert client.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": first.headers["etag"]}).status_code == 200


def test_malformed_identifiers_are_404_or_422_and_never_500(client: TestClient, rows: Rows) -> None:
    assert client.get("/v1/jobs/%00").status_code == 404
    assert client.post("/v1/jobs", json=rows.request(model="mdl_\0")).status_code == 404
    assert client.get("/v1/jobs?model=%00").status_code == 422
    assert client.get("/v1/jobs?after=%00").status_code == 422
    assert client.get(f"/v1/jobs/{rows.succeeded_job()[0]}/plots/%00.png").status_code == 404


def test_a_queued_job_is_canceled_at_once_and_a_finished_job_cannot_be_canceled(client: TestClient, rows: Rows) -> None:
    job_id = rows.job()
    canceled = client.post(f"/v1/jobs/{job_id}/cancel")
    assert (canceled.status_code, canceled.json()["state"]) == (200, "canceled")
    assert canceled.json()["canceled_at"]
    again = client.post(f"/v1/jobs/{job_id}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "job_finished")


def test_canceling_a_running_job_is_requested_once_and_idempotent(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    job_id = rows.job()
    token = rows.claim(job_id)
    for _ in range(2):
        response = client.post(f"/v1/jobs/{job_id}/cancel")
        assert (response.status_code, response.json()["state"]) == (202, "canceling")
        assert response.json()["canceling_at"]
    with sessions.begin() as session:
        finish_cancel(session, job_id, token)
    assert client.get(f"/v1/jobs/{job_id}").json()["state"] == "canceled"
