"""The explain job: rows equal single explanations, archives, retries, and failures."""

from __future__ import annotations

import io
import json
import math
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sqlalchemy import select, update

from app.batches.service import read_rows
from app.db.models import Concept, ExplanationBatch, Job, Predictor, Result, StageArtifact
from support.silent_reporter import SilentReporter
from worker.handlers.dispatch import answer
from worker.jobs.artifacts import OwnersArtifacts

if TYPE_CHECKING:
    from support.worker_service import Service

TEST_IMAGES = 90


@pytest.fixture
def scored(service: Service) -> str:
    """A job scored on ready features, with 8 concepts of which some have names."""
    job_id = service.add_score()
    assert service.run(job_id) == "succeeded", service.job(job_id).error
    with service.runtime.sessions.begin() as session:
        library_id = session.get_one(Result, job_id).library_id
        session.execute(update(Concept).where(Concept.library_id == library_id, Concept.index < 4).values(label="a loop"))
    return job_id


@pytest.fixture
def scored_on_images(service: Service) -> str:
    """A job scored on images of bright and dark squares."""
    model_id = service.add_tiny_model()
    dataset_id = service.add_dataset(archive({f"{name}/{i}.png": square(name, i) for name in LEVELS for i in range(12)}), "a.tar", "images")
    for check in (service.add_job("check_model", None, model_id=model_id), service.add_job("check_dataset", dataset_id)):
        assert service.run(check) == "succeeded", service.job(check).error
    job_id = service.add_score(dataset_id=dataset_id, model_id=model_id)
    assert service.run(job_id) == "succeeded", service.job(job_id).error
    return job_id


@pytest.mark.slow
def test_contributions_of_every_test_image_sum_to_the_logit(service: Service, scored: str) -> None:
    batch, rows = explained(service, service.add_explain(scored, top=1))
    assert [row["index"] for row in rows] == list(range(TEST_IMAGES))
    for row in rows:
        parts = [one["contribution"] for one in row["concepts"]] + [row["remainder"], row["bias"]]
        assert math.isclose(sum(parts), row["logit"], abs_tol=1e-5)
        assert len(row["concepts"]) <= 2
        assert len(row["concepts"]) + row["remaining"] <= 4
        assert (row["agree"], row["error"]) == (row["representation"] == row["interpretation"], None)
        assert row["interpretation_correct"] == (row["interpretation"] == row["label"])
    right = sum(row["interpretation_correct"] for row in rows)
    assert batch.summary["accuracy_interpretation"] == right / TEST_IMAGES
    assert batch.summary["agreement"] == sum(row["agree"] for row in rows) / TEST_IMAGES
    with service.runtime.sessions() as session:
        kept = session.scalars(select(Predictor.accuracy).where(Predictor.job_id == scored, Predictor.kept == 4)).one()
    assert batch.summary["accuracy_interpretation"] == pytest.approx(kept, abs=0.02)  # that of the point is a mean over library seeds
    assert (batch.summary["count"], batch.summary["failed"], batch.summary["ignored"]) == (TEST_IMAGES, 0, 0)


@pytest.mark.slow
def test_rows_equal_the_explanations_of_single_images(service: Service, scored: str) -> None:
    _, rows = explained(service, service.add_explain(scored, contrast="1", top=2))
    files = artifacts_of(service, scored)
    for row in rows[::13]:
        own = interactive(files, image=row["index"], top=2, contrast=row["contrast"])
        assert (row["logit"], row["bias"], row["remainder"], row["remaining"]) == tuple(
            own[name] for name in ("logit", "bias", "remainder", "remaining")
        )
        shares = {one["concept"]: (one["activation"], one["contribution"]) for one in [*own["supporting"], *own["opposing"]]}
        assert {one["concept"]: (one["activation"], one["contribution"]) for one in row["concepts"]} == shares
        for head in ("representation", "interpretation"):
            assert (row[head], row[f"{head}_probability"]) == (own[head]["class"], own[head]["probability"])
        assert what_if(row["counterfactual"]) == what_if(own["counterfactual"])
    assert any(row["counterfactual"] for row in rows)


@pytest.mark.slow
def test_rows_omit_the_contrast_where_it_is_the_predicted_class(service: Service, scored: str) -> None:
    _, rows = explained(service, service.add_explain(scored, contrast="1"))
    assert {row["contrast"] for row in rows} == {None, "1"}
    for row in rows:
        assert (row["contrast"] is None) == (row["interpretation"] == "1")


@pytest.mark.slow
def test_rows_name_their_concepts(service: Service, scored: str) -> None:
    _, rows = explained(service, service.add_explain(scored))
    named = {one["concept"]: (one["label"], one["origin"]) for row in rows for one in row["concepts"]}
    assert {concept: ("a loop" if concept < 4 else None, "prototype") for concept in named} == named
    assert any(one["label"] == "a loop" for row in rows for one in (row["counterfactual"] or {"removed": []})["removed"])


@pytest.mark.slow
def test_the_parquet_table_and_the_pages_contain_the_rows_of_the_json_lines(service: Service, scored: str) -> None:
    batch, rows = explained(service, service.add_explain(scored))
    with service.runtime.store.open(batch.parquet_sha256) as file:
        assert pq.read_table(io.BytesIO(file.read())).to_pylist() == rows
    paged, after = list[dict[str, Any]](), None
    while found := read_rows(service.runtime.store, batch, after, 40):
        paged += [row.model_dump(by_alias=True) for row in found[:40]]
        after = paged[-1]["index"]
    assert paged == rows


@pytest.mark.slow
def test_explaining_the_test_split_runs_no_network_and_a_second_job_reuses_every_stage(service: Service, scored_on_images: str) -> None:
    first = service.add_explain(scored_on_images)
    _, rows = explained(service, first)
    assert [event["stage"] for event in service.events(first, "stage")] == ["explain_rows", "explain_rows"]
    assert all(row["name"].startswith(f"{row['label']}/") for row in rows)
    second = service.add_explain(scored_on_images)
    assert explained(service, second)[1] == rows
    assert service.events(second, "stage") == [{"stage": "explain_rows", "state": "reused"}]


@pytest.mark.slow
def test_an_archive_has_a_row_for_each_image_and_an_error_for_a_corrupt_image(service: Service, scored_on_images: str) -> None:
    files = {f"in/{name}/{i}.png": square(name, 50 + i) for name in LEVELS for i in range(3)}
    files |= {"in/broken.png": files["in/dark/0.png"][:60], "notes.txt": b"taken on Monday", "loose.png": square("dark", 99)}
    upload = service.add_upload(archive(files), "more.tar")
    job_id = service.add_explain(scored_on_images, upload=upload)
    batch, rows = explained(service, job_id)
    assert [row["name"] for row in rows] == sorted(name for name in files if name.endswith("png"))
    broken = next(row for row in rows if row["name"] == "in/broken.png")
    assert "broken.png cannot be decoded" in broken["error"]
    assert {value for name, value in broken.items() if name not in {"index", "name", "error", "concepts"}} == {None}
    for row in rows:
        if row is not broken:
            parts = [one["contribution"] for one in row["concepts"]] + [row["remainder"], row["bias"]]
            assert math.isclose(sum(parts), row["logit"], abs_tol=1e-5)
            assert (row["label"], row["representation_correct"]) == (None, None)
    assert batch.summary == {
        "count": 8,
        "failed": 1,
        "ignored": 1,
        "ignored_names": ["notes.txt"],
        "agreement": sum(row["agree"] or False for row in rows) / 7,
        "accuracy_representation": None,
        "accuracy_interpretation": None,
    }
    assert service.events(job_id, "warning") == [{"message": "1 of 8 images could not be read; see the field error of their rows."}]


@pytest.mark.slow
def test_a_test_image_has_the_same_explanation_when_it_comes_from_an_archive(service: Service, scored_on_images: str) -> None:
    _, tested = explained(service, service.add_explain(scored_on_images))
    files = {f"{name}/{i}.png": square(name, i) for name in LEVELS for i in range(12)}
    upload = service.add_upload(archive({row["name"]: files[row["name"]] for row in tested}), "tested.tar")
    _, sent = explained(service, service.add_explain(scored_on_images, upload=upload))
    by_name = {row["name"]: row for row in sent}
    for row in tested:
        again = by_name[row["name"]]
        assert again["interpretation"] == row["interpretation"]
        assert again["logit"] == pytest.approx(row["logit"], abs=1e-3)
        assert {one["concept"] for one in again["concepts"]} == {one["concept"] for one in row["concepts"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        ({"notes.txt": b"no image"}, "images_absent", "only notes.txt"),
        (
            {"a.png": b"no image", "b.png": b"neither"},
            "images_unreadable",
            "None of the 2 images can be read. The image a.png is not an image",
        ),
    ],
)
def test_an_archive_without_a_readable_image_fails_without_retry(
    service: Service, scored_on_images: str, files: dict[str, bytes], code: str, words: str
) -> None:
    job_id = service.add_explain(scored_on_images, upload=service.add_upload(archive(files), "none.tar"))
    assert service.run(job_id) == "failed"
    job = service.job(job_id)
    assert job.error is not None
    assert (job.attempt, job.error["code"]) == (1, code)
    assert words in job.error["message"]


@pytest.mark.slow
def test_a_retry_after_a_lost_child_process_resumes_after_the_last_shard(service: Service, scored_on_images: str) -> None:
    upload = service.add_upload(archive({f"{i}.png": square("dark", i) for i in range(20)}), "many.tar")
    job_id = service.add_explain(scored_on_images, upload=upload)
    first = service.run_aside(job_id)
    service.wait_until(lambda: "shard" in states(service, job_id) or first.done(), 60, "a shard to be stored")
    assert service.compute.pid is not None
    psutil.Process(service.compute.pid).kill()
    if first.result(60) == "queued":
        assert service.run(job_id) == "succeeded"
    assert len(rows_of(service, batch_of(service, job_id))) == 20
    with service.runtime.sessions() as session:
        assert session.scalars(select(StageArtifact.stage).where(StageArtifact.stage.contains("/"))).all() == []


@pytest.mark.slow
def test_an_explain_job_is_canceled_while_it_runs(service: Service, scored: str) -> None:
    from app.db import transitions

    with service.frozen_compute():
        job_id = service.add_explain(scored)
        running = service.run_aside(job_id)
        service.await_request(job_id)
        with service.runtime.sessions.begin() as session:
            transitions.request_cancel(session, session.get_one(Job, job_id))
        assert running.result(30) == "canceled"
    with service.runtime.sessions() as session:
        assert session.get(ExplanationBatch, job_id) is None


@pytest.mark.slow
def test_missing_artifacts_fail_the_job_with_artifact_gone(service: Service, scored: str) -> None:
    with service.runtime.sessions.begin() as session:
        session.execute(update(Predictor).where(Predictor.job_id == scored).values(tested_key="gone"))
    job_id = service.add_explain(scored)
    assert service.run(job_id) == "failed"
    error = service.job(job_id).error
    assert error is not None
    assert (error["code"], error["param"]) == ("artifact_gone", "job")


LEVELS = {"bright": 200, "dark": 40}


def square(name: str, seed: int) -> bytes:
    """A noisy square of one brightness, as a PNG that the seed decides."""
    pixels = np.clip(np.random.default_rng([seed, LEVELS[name]]).normal(LEVELS[name], 20, (24, 24, 3)), 0, 255).astype(np.uint8)
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG")
    return png.getvalue()


def archive(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return content.getvalue()


def states(service: Service, job_id: str) -> list[str]:
    return [event["state"] for event in service.events(job_id, "stage")]


def batch_of(service: Service, job_id: str) -> ExplanationBatch:
    with service.runtime.sessions() as session:
        return session.get_one(ExplanationBatch, job_id)


def rows_of(service: Service, batch: ExplanationBatch) -> list[dict[str, Any]]:
    with service.runtime.store.open(batch.jsonl_sha256) as file:
        return [json.loads(line) for line in file]


def explained(service: Service, job_id: str) -> tuple[ExplanationBatch, list[dict[str, Any]]]:
    """Run an explain job to its end; its batch and its rows."""
    assert service.run(job_id) == "succeeded", service.job(job_id).error
    batch = batch_of(service, job_id)
    return batch, rows_of(service, batch)


def what_if(other: dict[str, Any] | None) -> tuple[Any, ...] | None:
    """A counterfactual by its numbers."""
    if other is None:
        return None
    return (other["class"], other["probability"], [(one["concept"], one["contribution"]) for one in other["removed"]])


def artifacts_of(service: Service, scored_id: str) -> dict[str, str]:
    """The files that a scored job's explanations are read from, on this disk."""
    with service.runtime.sessions() as session:
        predictor = session.scalars(select(Predictor).where(Predictor.job_id == scored_id).limit(1)).one()
        keys = {"predictors": predictor.predictors_key, "tested": predictor.tested_key}
        held = OwnersArtifacts(service.owner_id, service.runtime.store).find(session, keys.values())
    for name, key in keys.items():
        service.runtime.store.fetch(held[key], service.folder / name)
    return {name: str(service.folder / name) for name in keys}


def interactive(files: dict[str, str], **about: Any) -> dict[str, Any]:
    """The result of a query about one image."""
    asked = {"kept": 4, "sparsity": None, **about}
    arguments = {"kind": "explain", "about": asked, "files": files, "posted": {}, "model": None, "dataset": None, "dataset_folder": None}
    return answer(Path(), arguments | {"warm_bytes": 0}, SilentReporter())
