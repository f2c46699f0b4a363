"""Studies over HTTP: accepted and refused requests, reused jobs, tables, extension, cancellation and deletion."""

from __future__ import annotations

import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from redis import Redis
from sqlalchemy import func, select

from app.db.models import Job, JobEvent, Study, StudyCell
from app.db.session import SessionFactory
from app.db.study_rows import PANEL_NUMBERS, study_grid, study_rows
from app.studies.service import WAKE_UPS
from iis_engine.studies.analysis import analyse
from support.rows import Rows
from support.tenants import Tenant


def made(client: TestClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/v1/studies", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def cells_of(client: TestClient, study: dict[str, Any]) -> list[dict[str, Any]]:
    found, path = [], f"{study['links']['cells']}?limit=100"
    while path:
        page = client.get(path).json()
        found += page["data"]
        path = page["links"].get("next")
    return found


def by_hand(rows: Rows, body: dict[str, Any], model: int, kind: str) -> dict[str, Any]:
    """Body of POST /v1/jobs for the same job as a cell of a study."""
    return rows.request(model=body["models"][model], dataset=body["datasets"][0], library={"kind": kind, "concept_count": 4})


def finish(rows: Rows, job_id: str, **report: Any) -> None:
    rows.succeed(job_id, rows.claim(job_id), **report)


def test_a_study_creates_one_ordinary_job_per_cell_of_its_grid(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    body = rows.study_request(name="two nets", seeds=[0, 1])
    answer = client.post("/v1/studies", json=body)
    assert answer.status_code == 201, answer.text
    study = answer.json()
    assert answer.headers["location"] == study["links"]["self"] == f"/v1/studies/{study['id']}"
    assert answer.headers["retry-after"].isdigit()
    assert (study["name"], study["state"], study["jobs"]["total"], study["jobs"]["queued"]) == ("two nets", "running", 8, 8)
    cells = cells_of(client, study)
    assert [(cell["model"], cell["library"], cell["seed"]) for cell in cells] == [
        (model, library, seed) for model in body["models"] for library in ("prototype", "cluster") for seed in (0, 1)
    ]
    with sessions() as session:
        for cell in cells:
            job = session.get_one(Job, cell["job"])
            assert (job.kind, job.state, job.model_id, job.spec["seed"]) == ("score", "queued", cell["model"], cell["seed"])
            assert [e.data for e in session.scalars(select(JobEvent).where(JobEvent.job_id == job.id))] == [
                {"state": "queued", "attempt": 0}
            ]
    shown = client.get(cells[0]["links"]["job"]).json()
    alone = client.post("/v1/jobs", json=by_hand(rows, body, 0, "prototype")).json()
    settings = "library", "elements", "protocol", "activations", "seed"
    assert {name: shown[name] for name in settings} == {name: alone[name] for name in settings}


def test_the_number_of_wake_up_messages_is_bounded(client: TestClient, rows: Rows, redis_url: str) -> None:
    with Redis.from_url(redis_url) as broker:
        broker.delete("iis")
        made(client, rows.study_request(seeds=list(range(20))))
        assert broker.llen("iis") == WAKE_UPS


def test_the_first_jobs_in_the_queue_are_of_different_models(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    study = made(client, rows.study_request(seeds=[0, 1, 2]))
    with sessions() as session:
        first = session.scalars(select(Job.model_id).where(Job.id.in_([c["job"] for c in cells_of(client, study)])).order_by(Job.id)).all()
    assert set(first[:2]) == {entry["model"] for entry in study["grid"]["models"]}


def test_succeeded_jobs_are_reused(client: TestClient, rows: Rows) -> None:
    body = rows.study_request()
    queued, scored = (client.post("/v1/jobs", json=by_hand(rows, body, 0, "cluster")).json()["id"] for _ in range(2))
    finish(rows, scored)
    failed = client.post("/v1/jobs", json=by_hand(rows, body, 0, "prototype")).json()["id"]
    rows.fail(failed, rows.claim(failed), "It broke.")
    estimate = client.post("/v1/studies/estimate", json=body).json()
    assert (estimate["jobs"], estimate["reused"]) == (4, 1)
    study = made(client, body)
    cells = cells_of(client, study)
    assert (cells[1]["job"], cells[1]["created"], cells[1]["state"]) == (scored, False, "succeeded")
    assert {cell["job"] for cell in cells}.isdisjoint({queued, failed})
    again = made(client, body)
    assert [cell["job"] for cell in cells_of(client, again)] == [cell["job"] for cell in cells]
    assert not any(cell["created"] for cell in cells_of(client, again))


def test_another_owners_jobs_are_not_reused(client: TestClient, rows: Rows, other_rows: Rows, other_tenant: Tenant) -> None:
    body = rows.study_request()
    finish(rows, client.post("/v1/jobs", json=by_hand(rows, body, 0, "cluster")).json()["id"])
    theirs = client.post("/v1/studies", json=other_rows.study_request(), headers=other_tenant.headers).json()
    assert theirs["jobs"]["succeeded"] == 0


def test_the_table_has_a_row_for_each_succeeded_job(client: TestClient, rows: Rows) -> None:
    body = rows.study_request(libraries=[{"kind": "cluster"}])
    body["models"] = [{"model": body["models"][0], "label": "net A", "family": "nets", "accuracy": 0.7}, body["models"][1]]
    study = made(client, body)
    first, second = cells_of(client, study)
    empty = client.get(study["links"]["table"]).json()
    assert empty["data"] == []
    finish(rows, first["job"], iis=0.5)
    finish(rows, second["job"], iis=None, iis_low=None, iis_high=None, accuracy_representation_low=0.09)
    answer = client.get(study["links"]["table"])
    data = answer.json()["data"]
    assert [(row["label"], row["family"], row["given_accuracy"], row["iis"], row["near_chance"]) for row in data] == [
        ("net A", "nets", 0.7, 0.5, False),
        ("net", None, None, None, True),
    ]
    assert client.get(study["links"]["table"], headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    written = client.get(study["links"]["table.csv"])
    assert written.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(written.text)))
    assert [{name: value or None for name, value in line.items()} for line in lines] == [
        {name: None if value is None else str(value) for name, value in row.items()} for row in data
    ]
    assert client.get(study["links"]["self"]).json()["state"] == "finished"


def test_names_are_no_formulas_in_the_csv(client: TestClient, rows: Rows) -> None:
    study = made(client, rows.study_request(models=[rows.model(name="=1+1")], libraries=[{"kind": "cluster"}]))
    finish(rows, cells_of(client, study)[0]["job"])
    (line,) = csv.DictReader(io.StringIO(client.get(study["links"]["table.csv"]).text))
    assert line["label"] == "'=1+1"
    (row,) = client.get(study["links"]["table"]).json()["data"]
    assert row["label"] == "=1+1"


def test_a_row_has_the_edition_the_verdict_and_the_numbers_of_both_controls(client: TestClient, rows: Rows) -> None:
    study = made(client, rows.study_request(libraries=[{"kind": "cluster"}]))
    second, first = cells_of(client, study)
    isotropic = {"iis": 0.6, "gain": 0.07, "few_gain": -0.02, "few_gain_low": -0.05}
    matched = {"iis": 0.57, "iis_low": 0.55, "iis_high": 0.59, "gain": 0.1, "few_gain": 0.1, "few_gain_low": 0.05, "few_gain_high": 0.15}
    finish(rows, second["job"], edition=2, controls={"isotropic": isotropic, "matched": matched})
    controls = {"isotropic": {"iis": 0.5, "gain": 0.1, "gain_low": 0.05, "gain_high": 0.15}}
    few = dict.fromkeys(("few_concepts_mean", "few_concepts_mean_low", "few_concepts_mean_high"))
    finish(rows, first["job"], edition=1, verdict=None, controls=controls, **few)  # as the migration writes a report of the first edition
    table = {row["edition"]: row for row in client.get(study["links"]["table"]).json()["data"]}
    assert (table[2]["verdict"], table[1]["verdict"]) == ("reads_through_concepts", None)
    assert [table[2][name] for name in ("iis_isotropic", "gain_isotropic", "iis_matched", "gain_matched")] == [0.6, 0.07, 0.57, 0.1]
    assert [table[2][f"few_gain_matched{end}"] for end in ("", "_low", "_high")] == [0.1, 0.05, 0.15]
    assert [table[2][f"iis_matched{end}"] for end in ("_low", "_high")] == [0.55, 0.59]
    assert [table[2][f"few_gain_isotropic{end}"] for end in ("", "_low", "_high")] == [-0.02, -0.05, None]
    assert [table[1][f"gain_isotropic{end}"] for end in ("", "_low", "_high")] == [0.1, 0.05, 0.15]
    assert (table[1]["iis_isotropic"], table[1]["iis_isotropic_low"]) == (0.5, None)
    assert {table[1][name] for name in ("iis_matched", "gain_matched", "few_gain_matched", "few_concepts_mean")} == {None}


def test_a_row_has_the_panel_of_its_report(client: TestClient, rows: Rows) -> None:
    study = made(client, rows.study_request(libraries=[{"kind": "cluster"}]))
    second, first = cells_of(client, study)
    library = {"code": {"concepts_used": 61.5, "overlap": 0.1, "positive_share": 0.6}, "effective_rank": 48, "class_purity": 0.5}
    panel = {
        "library": library,
        "matched": {"effective_rank": 47, "class_purity": 0.3},
        "stability": {"difference": 0.2},
        "selectivity": {"difference": 0.1},
        "effective_concepts": {"anec": 0.8, "matched_anec": 0.7},
        "contributing_concepts": None,
    }
    finish(rows, first["job"], panel=panel, balanced={"accuracy": 0.9, "iis": 0.85, "few_mean": 0.7})
    finish(rows, second["job"], panel=None, balanced=None)  # as of results of earlier versions
    table = {row["job"]: row for row in client.get(study["links"]["table"]).json()["data"]}
    found, without = ([table[cell["job"]][name] for name in PANEL_NUMBERS] for cell in (first, second))
    expected = [0.9, 0.85, 0.7, 61.5, 0.1, 0.6, 48, 47, None, None, 0.5, 0.3, 0.2, 0.1, 0.8, 0.7, None]
    assert found == expected
    assert set(without) == {None}


def test_a_study_of_layernorm_activations_creates_jobs_of_the_first_edition(
    client: TestClient, rows: Rows, sessions: SessionFactory
) -> None:
    study = made(client, rows.study_request(activations="layernorm"))
    assert study["grid"]["activations"] == "layernorm"
    with sessions() as session:
        assert {session.get_one(Job, cell["job"]).spec["activations"] for cell in cells_of(client, study)} == {"layernorm"}
    refused = client.post("/v1/studies", json=rows.study_request(activations="layernorm", protocol="reference"))
    assert (refused.status_code, refused.json()["code"]) == (422, "activations_not_taken")


def test_statistics_without_a_result_are_a_409(client: TestClient, rows: Rows) -> None:
    study = made(client, rows.study_request())
    for name in ("analysis", "table.parquet", "figures/iis_accuracy.png"):
        answer = client.get(study["links"][name])
        assert (answer.status_code, answer.json()["code"]) == (409, "study_unfinished"), name
        assert answer.headers["retry-after"].isdigit()
    client.post(study["links"]["cancel"])
    answer = client.get(study["links"]["analysis"])
    assert (answer.status_code, answer.json()["code"]) == (409, "study_failed")
    assert "extend it with an empty body" in answer.json()["detail"]


def test_an_extension_keeps_existing_jobs(client: TestClient, rows: Rows) -> None:
    body = rows.study_request()
    study = made(client, body)
    before = cells_of(client, study)
    finish(rows, before[0]["job"])
    model = rows.model()
    answer = client.post(study["links"]["extend"], json={"models": [model], "seeds": [7], "name": "larger"})
    assert answer.status_code == 200, answer.text
    extended = answer.json()
    assert (extended["name"], extended["jobs"]["total"], extended["jobs"]["succeeded"]) == ("larger", 12, 1)
    assert extended["extended_at"] is not None
    after = cells_of(client, study)
    assert [cell["job"] for cell in after[:4]] == [cell["job"] for cell in before]
    assert [cell["number"] for cell in after] == list(range(12))
    assert {(cell["model"], cell["seed"]) for cell in after[4:]} == {(m, s) for m in (*body["models"], model) for s in (0, 7)} - {
        (m, 0) for m in body["models"]
    }
    assert client.post(study["links"]["extend"], json={"models": [model], "seeds": [7]}).json()["jobs"]["total"] == 12


def test_an_empty_extension_retries_failed_and_canceled_jobs(client: TestClient, rows: Rows) -> None:
    study = made(client, rows.study_request())
    done, failed, canceled, queued = (cell["job"] for cell in cells_of(client, study))
    finish(rows, done)
    rows.fail(failed, rows.claim(failed), "It broke.")
    rows.cancel(canceled)
    shown = client.get(study["links"]["cells"]).json()["data"][1]
    assert (shown["state"], shown["error"]["message"]) == ("failed", "It broke.")
    assert client.post(study["links"]["extend"], json={}).json()["jobs"] | {"total": 4} == {
        **dict.fromkeys(("running", "canceling", "failed", "canceled"), 0),
        "total": 4,
        "queued": 3,
        "succeeded": 1,
    }
    again = cells_of(client, study)
    assert (again[0]["job"], again[3]["job"]) == (done, queued)
    assert {again[1]["job"], again[2]["job"]}.isdisjoint({failed, canceled})
    assert all(cell["created"] for cell in again)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"protocol": "reference"}, "protocol"),
        ({"activations": "layernorm"}, "activations"),
        ({"evolution": True}, "evolution"),
        ({"elements": {"kind": "segments"}}, "elements"),
    ],
)
def test_an_extension_cannot_change_fixed_settings(client: TestClient, rows: Rows, change: dict[str, Any], param: str) -> None:
    study = made(client, rows.study_request())
    answer = client.post(study["links"]["extend"], json=change)
    assert (answer.status_code, answer.json()["code"], answer.json()["errors"][0]["param"]) == (422, "study_fixed", param)


def test_canceling_a_study_keeps_jobs_that_another_study_uses(client: TestClient, rows: Rows) -> None:
    body = rows.study_request()
    found = client.post("/v1/jobs", json=by_hand(rows, body, 1, "cluster")).json()["id"]
    study = made(client, body)
    other = made(client, body | {"models": body["models"][:1], "libraries": [{"kind": "cluster"}]})
    own, shared, running, foreign = (cell["job"] for cell in cells_of(client, study))
    assert foreign == found
    rows.claim(running)
    answer = client.post(study["links"]["cancel"])
    assert answer.status_code == 202
    assert {job: client.get(f"/v1/jobs/{job}").json()["state"] for job in (own, shared, running, foreign)} == {
        own: "canceled",
        shared: "queued",
        running: "canceling",
        foreign: "queued",
    }
    events = client.get(f"/v1/jobs/{own}/events").json()["data"]
    assert [event["data"]["state"] for event in events] == ["queued", "canceled"]
    assert client.post(study["links"]["cancel"]).status_code == 202
    assert client.get(other["links"]["self"]).json()["jobs"]["queued"] == 1


def test_only_a_finished_study_can_be_deleted_and_its_jobs_remain(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    study = made(client, rows.study_request())
    refused = client.delete(study["links"]["self"])
    assert (refused.status_code, refused.json()["code"]) == (409, "study_unfinished")
    job = cells_of(client, study)[0]["job"]
    assert client.post(study["links"]["cancel"]).status_code == 200
    assert client.delete(study["links"]["self"]).status_code == 204
    assert client.get(study["links"]["self"]).status_code == 404
    assert client.get(f"/v1/jobs/{job}").json()["state"] == "canceled"
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(StudyCell).where(StudyCell.study_id == study["id"])) == 0


def test_studies_are_paged_newest_first(client: TestClient, rows: Rows) -> None:
    ids = [made(client, rows.study_request())["id"] for _ in range(3)]
    first = client.get("/v1/studies?limit=2").json()
    assert ([study["id"] for study in first["data"]], first["has_more"]) == (ids[:0:-1], True)
    assert first["data"][0]["jobs"]["total"] == 4
    assert [study["id"] for study in client.get(first["links"]["next"]).json()["data"]] == ids[:1]


def test_repeated_requests_with_one_idempotency_key_create_one_study(
    client: TestClient, rows: Rows, sessions: SessionFactory, tenant: Tenant
) -> None:
    body, headers = rows.study_request(), {"Idempotency-Key": "once"}
    first, second = (client.post("/v1/studies", json=body, headers=headers) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Study).where(Study.owner_id == tenant.owner_id)) == 1


def test_waiting_for_a_study_ends_when_its_jobs_end(live: httpx.Client, rows: Rows, sessions: SessionFactory) -> None:
    study = live.post("/v1/studies", json=rows.study_request(libraries=[{"kind": "cluster"}])).json()
    jobs = [cell["job"] for cell in live.get(study["links"]["cells"]).json()["data"]]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(live.get, study["links"]["self"], headers={"Prefer": "wait=20"})
        assert not wait([waiting], timeout=1).done  # it is asked for before anything ends
        for job in jobs:
            rows.cancel(job)
        answer = waiting.result(20)
    assert (answer.json()["state"], answer.headers["preference-applied"]) == ("finished", "wait=20")
    assert "retry-after" not in answer.headers


def test_a_study_of_feature_files_needs_no_model(client: TestClient, rows: Rows) -> None:
    datasets = [rows.features(name=name) for name in ("early", "late")]
    study = made(client, {"datasets": datasets, "libraries": [{"kind": "cluster"}], "concept_counts": [4]})
    cells = cells_of(client, study)
    assert [(cell["model"], cell["label"], cell["dataset"]) for cell in cells] == [
        (datasets[0], "early", "features"),
        (datasets[1], "late", "features"),
    ]
    finish(rows, cells[0]["job"])
    (row,) = client.get(study["links"]["table"]).json()["data"]
    assert (row["model"], row["label"], row["architecture"], row["untrained"]) == (datasets[0], "early", None, False)


def test_checkpoints_without_epochs_are_ordered_by_their_position(
    client: TestClient, rows: Rows, sessions: SessionFactory, tenant: Tenant
) -> None:
    models = [rows.model(initial_seed=0), rows.model(), rows.model()]
    study = made(client, rows.study_request(models=models, libraries=[{"kind": "cluster"}], evolution=True))
    for cell in cells_of(client, study)[1:]:
        finish(rows, cell["job"])
    assert [row["epoch"] for row in client.get(study["links"]["table"]).json()["data"]] == [None, None]
    assert {line["epoch"] for line in csv.DictReader(io.StringIO(client.get(study["links"]["table.csv"]).text))} == {""}
    with sessions() as session:
        asked = session, tenant.owner_id, study["id"]
        (run,) = analyse(study_rows(*asked), study_grid(*asked))["evolution"]
    assert not run["epochs_given"]
    assert [point["epoch"] for point in run["points"]] == [1, 2]  # the first has no result yet, and keeps its place


def test_a_row_names_the_network_and_the_layer(client: TestClient, rows: Rows) -> None:
    models = [
        rows.model(arguments={"num_classes": 10}),
        rows.model(initial_seed=0),
        rows.model(initial_seed=1, layer="layer2"),
        rows.model(arguments={"num_classes": 10, "in_chans": 1}),
    ]
    study = made(client, rows.study_request(models=models, libraries=[{"kind": "cluster"}]))
    for cell in cells_of(client, study):
        finish(rows, cell["job"])
    assert [(row["network"], row["untrained"]) for row in client.get(study["links"]["table"]).json()["data"]] == [
        ("timm:resnet18", False),
        ("timm:resnet18", True),
        ("timm:resnet18 at layer2", True),
        ("timm:resnet18(in_chans=1)", False),
    ]


def test_libraries_are_cut_from_another_data_set(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    own, other = rows.dataset(), rows.dataset()
    body = rows.study_request(datasets=[own], library_datasets=[None, other], libraries=[{"kind": "cluster"}])
    study = made(client, body)
    assert [(cell["library_dataset"], cell["library_dataset_name"]) for cell in cells_of(client, study)] == [
        (None, None),
        (other, "digits"),
    ] * 2
    refused = client.delete(f"/v1/datasets/{other}")
    assert (refused.status_code, refused.json()["code"]) == (409, "dataset_in_use")
    client.post(study["links"]["cancel"])
    assert client.delete(f"/v1/datasets/{other}").status_code == 204
    gone = client.post(study["links"]["extend"], json={})
    assert gone.status_code == 404
    assert other in gone.json()["detail"]


def test_only_text_libraries_have_phrases_and_the_version_is_fixed(client: TestClient, rows: Rows) -> None:
    vlm, vocabulary = rows.vlm(), rows.concept_set("a loop")
    body = rows.study_request(libraries=[{"kind": "cluster"}, {"kind": "text"}], vlm=vlm, vocabulary=vocabulary)
    study = made(client, body)
    rows.concept_set_version(vocabulary, 2, "a hook")
    assert client.post(study["links"]["extend"], json={"seeds": [3], "vocabulary": vocabulary}).status_code == 200
    jobs = [client.get(cell["links"]["job"]).json() for cell in cells_of(client, study)]
    assert {(job["library"]["kind"], job["vlm"]) for job in jobs} == {("cluster", None), ("text", vlm)}
    assert {job["vocabulary"]["version"] for job in jobs if job["vocabulary"]} == {1}
    other = client.post(study["links"]["extend"], json={"vocabulary": f"{vocabulary}@2"})
    assert (other.status_code, other.json()["code"]) == (422, "study_fixed")


def refusal(client: TestClient, body: dict[str, Any], status: int = 422) -> dict[str, Any]:
    answer = client.post("/v1/studies", json=body)
    assert answer.status_code == status, answer.text
    assert client.get("/v1/studies").json()["data"] == []
    return answer.json()


@pytest.mark.parametrize("missing", ["models", "datasets", "libraries"])
def test_an_empty_grid_is_refused(client: TestClient, rows: Rows, missing: str) -> None:
    problem = refusal(client, rows.study_request(**{missing: []}))
    assert (problem["code"], problem["errors"][0]["param"]) == ("empty_grid", missing)
    assert "The grid is empty" in problem["detail"]


def test_more_than_ten_thousand_jobs_are_refused(client: TestClient, rows: Rows, sessions: SessionFactory, tenant: Tenant) -> None:
    problem = refusal(
        client,
        rows.study_request(models=[rows.model()], libraries=[{"kind": "cluster"}], seeds=list(range(9_999))) | {"concept_counts": [4, 5]},
    )
    assert problem["code"] == "too_many_jobs"
    assert "19,998 jobs" in problem["detail"]
    wide = rows.study_request(libraries=[{"kind": "cluster"}], seeds=list(range(73)), concept_counts=list(range(4, 141))) | {
        "models": [rows.model()]
    }
    assert "10,001 jobs, and a study has at most 10,000" in refusal(client, wide)["detail"]
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Job).where(Job.owner_id == tenant.owner_id)) == 0


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("architecture", "timm:resnet34", ["architecture", "timm:resnet18", "timm:resnet34"]),
        ("arguments", {"num_classes": 7}, ["arguments", "num_classes"]),
        ("layer", "layer3", ["layer", "none given", "layer3"]),
    ],
)
def test_checkpoints_of_different_networks_are_refused_as_one_run(
    client: TestClient, rows: Rows, column: str, value: Any, words: list[str]
) -> None:
    first, other = rows.model(), rows.model(**{column: value})
    problem = refusal(client, rows.study_request(models=[first, other], evolution=True))
    assert problem["code"] == "checkpoints_differ"
    for word in (first, other, *words):
        assert word in problem["detail"]


@pytest.mark.parametrize(
    ("epochs", "code"),
    [((3, 1), "epochs_unordered"), ((1, 1), "epochs_unordered"), ((1, None), "epochs_incomplete"), ((None,), "evolution_too_short")],
)
def test_invalid_epochs_are_refused(client: TestClient, rows: Rows, epochs: tuple[Any, ...], code: str) -> None:
    models = [{"model": rows.model(), **({"epoch": epoch} if epoch is not None else {})} for epoch in epochs]
    assert refusal(client, rows.study_request(models=models, evolution=True))["code"] == code


def test_feature_files_with_different_classes_are_refused(client: TestClient, rows: Rows) -> None:
    body = {"libraries": [{"kind": "cluster"}]}
    problem = refusal(client, body | {"datasets": [rows.features("cat", "dog"), rows.features("cat", "cow")]})
    assert problem["code"] == "class_sets_differ"
    assert "'dog' is in" in problem["detail"]
    assert "'cow' is in" in problem["detail"]
    turned = refusal(client, body | {"datasets": [rows.features("cat", "dog"), rows.features("dog", "cat")]})
    assert "their order differs" in turned["detail"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"models": True}, "model_not_taken"),
        ({"evolution": True}, "evolution_needs_models"),
        ({"library_datasets": True}, "images_needed"),
        ({"images": True}, "kinds_differ"),
    ],
)
def test_feature_files_are_refused_where_images_are_needed(client: TestClient, rows: Rows, body: dict[str, Any], code: str) -> None:
    request: dict[str, Any] = {"datasets": [rows.features()], "libraries": [{"kind": "cluster"}]}
    if "models" in body:
        request["models"] = [rows.model()]
    elif "library_datasets" in body:
        request["library_datasets"] = [None, rows.dataset()]
    elif "images" in body:
        request |= {"datasets": [*request["datasets"], rows.dataset()], "models": []}
    else:
        request |= body
    assert refusal(client, request)["code"] == code


def test_libraries_cut_from_feature_files_are_refused(client: TestClient, rows: Rows) -> None:
    assert refusal(client, rows.study_request(library_datasets=[rows.features()]))["code"] == "images_needed"


@pytest.mark.parametrize(
    ("changes", "code", "word"),
    [
        ({"libraries": [{"kind": "combined", "parts": [{"kind": "cluster"}, {"kind": "random"}]}]}, "concept_counts_combined", "parts"),
        ({"libraries": [{"kind": "cluster", "concept_count": 9}]}, "concept_counts_twice", "twice"),
        ({"libraries": [{"kind": "text"}]}, "text_needs", "vlm and vocabulary"),
        ({"libraries": [{"id": "lib_1"}], "concept_counts": None}, "invalid_input", "fits one model alone"),
        ({"sparsity_grids": [[0.5, 0.1]]}, "invalid_input", "ascends"),
        ({"seeds": []}, "invalid_input", "at least 1"),
        ({"surprise": 1}, "invalid_input", "surprise"),
        ({"libraries": [{"kind": "cluster"}, {"kind": "cluster"}]}, "invalid_input", "named twice"),
    ],
)
def test_a_contradictory_study_is_refused_with_a_reason(
    client: TestClient, rows: Rows, changes: dict[str, Any], code: str, word: str
) -> None:
    problem = refusal(client, rows.study_request(**changes))
    assert problem["code"] == code
    assert word in problem["detail"]


def test_phrases_without_a_text_library_are_refused(client: TestClient, rows: Rows) -> None:
    body = rows.study_request(vlm=rows.vlm(), vocabulary=rows.concept_set())
    assert refusal(client, body)["code"] == "vlm_not_taken"


def test_missing_or_pending_inputs_are_refused(client: TestClient, rows: Rows, other_rows: Rows) -> None:
    for field, absent in (("models", other_rows.model()), ("datasets", other_rows.dataset()), ("library_datasets", "dst_0")):
        assert absent in refusal(client, rows.study_request(**{field: [absent]}), 404)["detail"]
    for field, row in (("models", rows.model("pending")), ("datasets", rows.dataset("pending"))):
        problem = refusal(client, rows.study_request(**{field: [row]}), 409)
        assert problem["code"] == f"{field[:-1]}_pending"
    broken = rows.model("failed", error={"code": "x", "message": "The weights are NaN.", "param": None})
    assert "The weights are NaN." in refusal(client, rows.study_request(models=[broken]))["detail"]
    assert refusal(client, rows.study_request(models=[rows.vlm()]))["code"] == "backbone_needed"


def test_an_estimate_writes_nothing_and_names_the_source_of_its_seconds(
    client: TestClient, rows: Rows, sessions: SessionFactory, tenant: Tenant
) -> None:
    info = {"class_names": ["a", "b"], "counts": {"train": {"a": 20, "b": 5}, "test": {"a": 10, "b": 10}}}
    dataset, models = rows.dataset(info=info), [rows.model(info={"num_features": 512}) for _ in range(2)]
    body = rows.study_request(models=models, datasets=[dataset])
    cost = client.post("/v1/studies/estimate", json=body).json()
    looked_at = 2 * (45 + 25)
    assert (cost["jobs"], cost["reused"], cost["images"], cost["bytes"]) == (4, 0, looked_at, looked_at * 512 * 4)
    assert cost["seconds"] is None
    assert "No job of yours has finished yet" in cost["basis"]
    assert client.get("/v1/studies").json()["data"] == []

    scored = client.post("/v1/jobs", json={"kind": "score", "model": models[0], "dataset": dataset, "library": {"kind": "random"}}).json()[
        "id"
    ]
    token = rows.claim(scored)
    rows.event(scored, token, "stage", stage="extract", state="finished", seconds=7.0)
    rows.event(scored, token, "stage", stage="heads", state="finished", seconds=3)
    rows.event(scored, token, "stage", stage="curve", state="reused")
    rows.succeed(scored, token)
    cost = client.post("/v1/studies/estimate", json=body).json()
    assert cost["images"] == looked_at / 2  # what the first model sees has been kept
    assert cost["seconds"] == pytest.approx(7.0 + 4 * 3)
    assert "0.1 seconds for an image or crop and 3 seconds for the rest" in cost["basis"]
    assert "1 of the models has no finished job" in cost["basis"]

    study = made(client, body)
    for cell in cells_of(client, study):
        finish(rows, cell["job"])
    cost = client.post("/v1/studies/estimate", json=body).json()
    assert (cost["reused"], cost["images"], cost["seconds"]) == (4, 0, 0)


def test_an_estimate_uses_the_time_of_extraction_from_the_library_data_set(client: TestClient, rows: Rows) -> None:
    info = {"class_names": ["a", "b"], "counts": {"train": {"a": 20, "b": 5}, "test": {"a": 10, "b": 10}}}
    home, other, new = (rows.dataset(info=info) for _ in range(3))
    model = rows.model(info={"num_features": 512})
    scored = client.post("/v1/jobs", json=rows.request(model=model, dataset=home, library_dataset=other)).json()["id"]
    token = rows.claim(scored)
    rows.event(scored, token, "stage", stage="extract", state="finished", seconds=7.0)
    rows.event(scored, token, "stage", stage="extract", state="finished", seconds=14.0, dataset=other)
    rows.succeed(scored, token)
    body = {"models": [model], "libraries": [{"kind": "random"}]}
    assert client.post("/v1/studies/estimate", json=body | {"datasets": [other]}).json()["images"] == 0
    cost = client.post("/v1/studies/estimate", json=body | {"datasets": [new]}).json()
    assert (cost["images"], cost["seconds"]) == (70, pytest.approx(0.15 * 70, abs=0.06))  # 21 s for 140 images and elements


def test_an_estimate_counts_unregistered_models_and_data_sets(client: TestClient, rows: Rows) -> None:
    info = {"class_names": ["a", "b"], "counts": {"train": {"a": 20, "b": 5}, "test": {"a": 10, "b": 10}}}
    model, dataset = rows.model(info={"num_features": 512}), rows.dataset(info=info)
    scored = client.post("/v1/jobs", json=rows.request(model=model, dataset=dataset)).json()["id"]
    token = rows.claim(scored)
    rows.event(scored, token, "stage", stage="extract", state="finished", seconds=7.0)
    rows.succeed(scored, token)
    unregistered = {"models": ["models[0]"], "datasets": {"datasets[0]": {"images": 45, "train": [20, 5]}}}
    body = {"models": ["models[0]", model], "datasets": ["datasets[0]", dataset], "libraries": [{"kind": "random"}]}

    cost = client.post("/v1/studies/estimate", json={**body, "unregistered": unregistered}).json()
    assert (cost["jobs"], cost["images"], cost["bytes"]) == (4, 3 * 70, None)
    assert cost["seconds"] == pytest.approx(3 * 7.0)

    mixed = {"kind": "patches_and_segments", "scales": [1, 2]}  # at most 1 + 4 + 15 crops of each training image
    cost = client.post("/v1/studies/estimate", json={**body, "elements": mixed, "unregistered": unregistered}).json()
    assert cost["images"] == 4 * (45 + 25 * 20)  # the finished job has cut other crops

    uncounted = {**unregistered, "datasets": {"datasets[0]": {}}}
    cost = client.post("/v1/studies/estimate", json={**body, "unregistered": uncounted}).json()
    assert (cost["jobs"], cost["images"], cost["seconds"]) == (4, None, None)

    text = {**body, "libraries": [{"kind": "text"}], "vlm": "vlm", "vocabulary": "words"}
    known = {**unregistered, "models": ["models[0]", "vlm"], "vocabulary": True}
    assert client.post("/v1/studies/estimate", json={**text, "unregistered": known}).json()["jobs"] == 4
    features = {**unregistered, "datasets": {"datasets[0]": {"kind": "features", "images": 45}}}
    refused = client.post("/v1/studies/estimate", json={**body, "unregistered": features})
    assert (refused.status_code, refused.json()["code"]) == (422, "kinds_differ")


def test_a_name_with_a_nul_character_is_refused(client: TestClient, rows: Rows) -> None:
    assert client.post("/v1/studies", json=rows.study_request(models=["mdl_\0"])).status_code == 404
    assert json.loads(client.post("/v1/studies", json=rows.study_request(name="a\0")).text)["status"] == 422
