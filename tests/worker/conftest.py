"""Fixtures of the worker: an owner, data sets, models, jobs, and worker processes that a test may kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import redis
from sqlalchemy import select, text

from app.db import transitions
from app.db.ids import new_id
from app.db.models import Base, ConceptSet, ConceptSetVersion, Dataset, Job, JobEvent, Model, Owner, Upload
from app.db.session import make_engine, make_session_factory
from app.queue import wake_worker
from app.settings import Settings, get_settings
from app.storage import record_blob
from app.validation import enqueue_check
from worker.jobs.runner import run_job
from worker.runtime import Runtime, open_runtime
from worker.sandbox.process import ChildProcess
from worker.sandbox.scratch_folders import LockedFolder
from worker.stages.datasets import digest_of_features, open_features
from worker.stages.specs import DatasetRequest

REPOSITORY = Path(__file__).parents[2]
OWNER_ID = new_id("owner")  # shared by all tests, since each owner needs a child process of its own
QUICK = {
    "IIS_LEASE_SECONDS": "3",
    "IIS_HEARTBEAT_SECONDS": "0.5",
    "IIS_SWEEP_SECONDS": "0.5",
    "IIS_CANCEL_POLL_SECONDS": "0.2",
    "IIS_RETRY_PAUSE_SECONDS": "0",
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture
def quick_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch, redis_url: str, tmp_path: Path) -> Settings:
    """Short leases, an empty database, an empty broker, and credentials in the environment that no child process may see."""
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a credential")
    monkeypatch.setenv("IIS_SERVER_DATASET_FOLDERS", json.dumps([str(tmp_path)]))
    get_settings.cache_clear()
    with open_runtime(get_settings()).sessions.begin() as session:
        tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
        session.execute(text(f"TRUNCATE {tables} CASCADE"))
    with redis.Redis.from_url(redis_url) as broker:
        broker.flushall()
    return get_settings()


@pytest.fixture(scope="session")
def warm_compute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChildProcess]:
    """One child process for all tests of the same owner, since importing torch takes seconds."""
    folder = tmp_path_factory.mktemp("compute")
    compute = ChildProcess(folder / "home", LockedFolder(folder / "work", "tests"))
    yield compute
    compute.close()


class WarmRuntime(Runtime):
    """A runtime whose threads share one warm child process, which the fixture `warm_compute` closes."""

    warm: ChildProcess

    @property
    def child(self) -> ChildProcess:
        return self.warm


@dataclass
class Service:
    """Operations of the service without HTTP."""

    runtime: Runtime
    compute: ChildProcess
    wait_until: Callable[..., Any]
    folder: Path
    owner_id: str = OWNER_ID
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4))

    def __post_init__(self) -> None:
        self.warm_runtime = WarmRuntime(self.runtime.settings, self.runtime.sessions, self.runtime.store, self.runtime.name)
        self.warm_runtime.warm = self.compute

    def add_upload(self, content: bytes, filename: str) -> str:
        sha256, size_bytes = self.runtime.store.put_chunks([content])
        upload = Upload(
            id=new_id("upload"),
            owner_id=self.owner_id,
            filename=filename,
            size_bytes=size_bytes,
            sha256=sha256,
            state="complete",
            expires_at=datetime.now(UTC) + timedelta(days=1),
        )
        with self.runtime.sessions.begin() as session:
            record_blob(session, sha256, size_bytes)
            session.add(upload)
        return upload.id

    def add_dataset(self, content: bytes | None, filename: str = "features.npz", kind: str = "features", **values: Any) -> str:
        """A data set of an upload with this content, or without one as `values` say."""
        upload_id = None if content is None else self.add_upload(content, filename)
        dataset = Dataset(id=new_id("dataset"), owner_id=self.owner_id, name="set", kind=kind, upload_id=upload_id, **values)
        with self.runtime.sessions.begin() as session:
            session.add(dataset)
        return dataset.id

    def add_server_features(self, path: Path) -> str:
        """A ready data set of a features file on the server."""
        request = DatasetRequest("features", split_seed=0, test_share=0.2, server_path=str(path))
        digest = digest_of_features(open_features(request))
        return self.add_dataset(None, server_path=str(path), state="ready", digest=digest)

    def add_check(self, content: bytes | None = None, **values: Any) -> str:
        """Queue the validation of a new features data set; sends no wake-up message."""
        return self.add_job("check_dataset", self.add_dataset(content or features_file()), **values)

    def add_tiny_model(self) -> str:
        """A convolutional network of a few thousand weights, as a checkpoint that is not validated yet."""
        import timm
        from safetensors.torch import save

        network = timm.create_model("resnet10t", num_classes=2)
        weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        checkpoint = self.add_upload(save(weights), "tiny.safetensors")
        return self.add_model("timm:resnet10t", upload_id=checkpoint, preprocessing={"input_size": 32})

    def add_model(self, architecture: str, **values: Any) -> str:
        model = Model(id=new_id("model"), owner_id=self.owner_id, name="tiny", architecture=architecture, **{"arguments": {}, **values})
        with self.runtime.sessions.begin() as session:
            session.add(model)
        return model.id

    def add_concept_set(self, *texts: str, from_classes: str | None = None, **values: Any) -> str:
        """A pending version of these phrases, or of phrases from a data set's classes; returns its queued validation job."""
        concept_set = ConceptSet(id=new_id("concept_set"), owner_id=self.owner_id, name="set")
        version = ConceptSetVersion(
            concept_set_id=concept_set.id,
            number=1,
            phrases=[[text, None] for text in texts],
            **{"dropped": [], "dataset_id": from_classes, **values},
        )
        with self.runtime.sessions.begin() as session:
            session.add(concept_set)
            session.flush()
            session.add(version)
            session.flush()
            enqueue_check(session, version, self.owner_id, self.runtime.settings, None, from_classes=from_classes)
            return session.scalars(select(Job.id).where(Job.concept_set_id == concept_set.id)).one()

    def add_job(self, kind: str, dataset_id: str | None, spec: dict[str, Any] | None = None, **values: Any) -> str:
        job = Job(
            id=new_id("job"),
            owner_id=self.owner_id,
            kind=kind,
            spec=spec or {},
            dataset_id=dataset_id,
            **{"deadline_seconds": 300, **values},
        )
        with self.runtime.sessions.begin() as session:
            transitions.enqueue(session, job)
        return job.id

    def add_score(self, dataset_id: str | None = None, model_id: str | None = None, **choices: Any) -> str:
        """Queue a score job, by default on a new features data set."""
        if dataset_id is None:
            dataset_id = self.add_dataset(features_file(), state="ready", digest=new_id("dataset"))
        spec = {
            "model": model_id,
            "dataset": dataset_id,
            "library": {"kind": "prototype", "concept_count": 8, "parts": []},
            "elements": {"kind": "patches", "images_per_class": 10, "seed": 0},
            "protocol": "exact",
            "seed": 0,
            **choices,
        }
        return self.add_job("score", dataset_id, spec, model_id=model_id, library_dataset_id=spec.get("library_dataset"))

    def add_explain(self, scored_id: str, **choices: Any) -> str:
        """Queue a job that explains the test images of a scored one, unless `upload` names an archive."""
        scored = self.job(scored_id)
        split = None if choices.get("upload") else "test"
        spec = {"job": scored_id, "split": split, "upload": None, "kept": 4, "sparsity": 0.5, "top": 8, "contrast": None, **choices}
        return self.add_job("explain", scored.dataset_id, spec, model_id=scored.model_id)

    def features(self, **sizes: int) -> bytes:
        return features_file(**sizes)

    def become_another_owner(self) -> None:
        """Let everything added from now on belong to a new owner."""
        self.owner_id = new_id("owner")
        with self.runtime.sessions.begin() as session:
            session.add(Owner(id=self.owner_id, name="another"))

    def run(self, job_id: str) -> str | None:
        """One attempt in this thread, in the warm child process."""
        return run_job(self.warm_runtime, job_id)

    def run_aside(self, job_id: str) -> Future[str | None]:
        return self.pool.submit(self.run, job_id)

    def job(self, job_id: str) -> Job:
        with self.runtime.sessions() as session:
            return session.get_one(Job, job_id)

    def dataset(self, dataset_id: str) -> Dataset:
        with self.runtime.sessions() as session:
            return session.get_one(Dataset, dataset_id)

    def model(self, model_id: str) -> Model:
        with self.runtime.sessions() as session:
            return session.get_one(Model, model_id)

    def checked_version(self, job_id: str) -> ConceptSetVersion:
        """The version of a concept set that a job validates."""
        job = self.job(job_id)
        with self.runtime.sessions() as session:
            return session.get_one(ConceptSetVersion, (job.concept_set_id, job.spec["version"]))

    def events(self, job_id: str, kind: str) -> list[dict[str, Any]]:
        with self.runtime.sessions() as session:
            return list(
                session.scalars(select(JobEvent.data).where(JobEvent.job_id == job_id, JobEvent.type == kind).order_by(JobEvent.id))
            )

    def states(self, job_id: str) -> list[str]:
        return [event["state"] for event in self.events(job_id, "state")]

    def await_state(self, job_id: str, *states: str, timeout_seconds: float = 60) -> Job:
        self.wait_until(lambda: self.job(job_id).state in states, timeout_seconds, f"{job_id} to be {' or '.join(states)}")
        return self.job(job_id)

    def await_request(self, job_id: str) -> None:
        """Wait until the job's first stage has started; a suspended child process keeps it there."""
        self.wait_until(lambda: self.events(job_id, "stage"), 30, "a stage to start")

    @contextmanager
    def frozen_compute(self) -> Generator[psutil.Process]:
        """The warm child process, suspended, so that a stage does not end by itself."""
        assert self.run(self.add_check()) == "succeeded"
        assert self.compute.pid is not None
        process = psutil.Process(self.compute.pid)
        process.suspend()
        try:
            yield process
        finally:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def start_worker(self) -> subprocess.Popen[bytes]:
        """A worker process as the stack starts it."""
        command = [sys.executable, "-m", "celery", "-A", "worker.celery_app", "worker", "--pool", "threads", "--concurrency", "1"]
        command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        with (self.folder / f"worker-{len(self.workers)}.log").open("wb") as log:
            worker = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log, start_new_session=True)
        self.workers.append(worker)
        return worker

    def start_worker_with_frozen_compute(self) -> tuple[subprocess.Popen[bytes], psutil.Process]:
        """A worker whose child process is warm and suspended."""
        worker = self.start_worker()
        first = self.add_check()
        wake_worker(first)
        self.await_state(first, "succeeded")
        (compute,) = psutil.Process(worker.pid).children()
        compute.suspend()
        return worker, compute

    def close(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.kill()
                worker.wait()
        self.pool.shutdown()
        self.runtime.close()


@pytest.fixture
def service(quick_settings: Settings, warm_compute: ChildProcess, wait_until: Callable[..., Any], tmp_path: Path) -> Iterator[Service]:
    runtime = open_runtime(quick_settings)
    runtime.sessions = make_session_factory(make_engine(quick_settings))  # without the limit on idle transactions, for a busy machine
    service = Service(runtime, warm_compute, wait_until, tmp_path)
    with service.runtime.sessions.begin() as session:
        session.add(Owner(id=service.owner_id, name="tests"))
    yield service
    service.close()


def features_file(*, per_class: int = 30, classes: int = 3, dimension: int = 6, seed: int = 0) -> bytes:
    """Well separated classes with elements, as an npz."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(classes, dimension)) * 3
    labels = np.repeat(np.arange(classes), per_class)

    def sample() -> np.ndarray[Any, Any]:
        return (centres[labels] + generator.normal(size=(len(labels), dimension))).astype(np.float32)

    arrays = {"X_train": sample(), "y_train": labels, "X_test": sample(), "y_test": labels, "concepts": sample()[:60]}
    buffer = BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()
