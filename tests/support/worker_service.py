"""The worker's side of the service in a test: rows of an owner, jobs run in this process, and worker processes that a test may kill."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import select

from app.db.ids import new_id
from app.db.models import ConceptSetVersion, Dataset, Job, JobEvent, Model
from app.queue import wake_worker
from app.validation import enqueue_check
from support.features import features_file
from support.rows import Rows, explain_spec, score_spec
from support.servers import poll
from support.tenants import add_owner
from worker.jobs.runner import run_job
from worker.runtime import Runtime
from worker.sandbox.messages import JsonObject
from worker.sandbox.process import ChildProcess
from worker.stages.datasets import digest_of_features, open_features
from worker.stages.specs import DatasetRequest

REPOSITORY = Path(__file__).parents[2]
OWNER_ID = new_id("owner")
"""Owner of all tests, which share its child process; their rows are deleted between tests."""


class WarmRuntime(Runtime):
    """A runtime whose threads share one warm child process, which the fixture `warm_compute` closes."""

    warm: ChildProcess

    @property
    def child(self) -> ChildProcess:
        return self.warm


@dataclass
class Service:
    """Operations of the service without HTTP: add rows, run jobs here or in worker processes, read results."""

    runtime: Runtime
    compute: ChildProcess
    folder: Path
    owner_id: str = OWNER_ID
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4))

    wait_until = staticmethod(poll)

    def __post_init__(self) -> None:
        self.warm_runtime = WarmRuntime(self.runtime.settings, self.runtime.sessions, self.runtime.store, self.runtime.name)
        self.warm_runtime.warm = self.compute

    @property
    def rows(self) -> Rows:
        """Rows of the current owner."""
        return Rows(self.runtime.sessions, self.runtime.store, self.owner_id)

    def add_upload(self, content: bytes, filename: str) -> str:
        return self.rows.upload(content, filename)

    def add_dataset(self, content: bytes | None, filename: str = "features.npz", kind: str = "features", **values: Any) -> str:
        """A data set, by default unchecked; `values` are its other columns."""
        upload_id = None if content is None else self.add_upload(content, filename)
        return self.rows.dataset(kind=kind, upload_id=upload_id, **{"state": "pending", **values})

    def add_server_features(self, path: Path) -> str:
        """A ready data set of a features file on the server."""
        request = DatasetRequest("features", split_seed=0, test_share=0.2, server_path=str(path))
        digest = digest_of_features(open_features(request))
        return self.add_dataset(None, server_path=str(path), state="ready", digest=digest)

    def add_check(self, content: bytes | None = None, **values: Any) -> str:
        """Queue the validation of a new features data set without waking a worker."""
        return self.add_job("check_dataset", self.add_dataset(content or features_file()), **values)

    def add_tiny_model(self) -> str:
        """An unchecked model of a small convolutional network with random weights."""
        import timm
        from safetensors.torch import save

        network = timm.create_model("test_resnet", num_classes=2)
        weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        checkpoint = self.add_upload(save(weights), "tiny.safetensors")
        return self.add_model("timm:test_resnet", upload_id=checkpoint, preprocessing={"input_size": 32})

    def add_model(self, architecture: str, **values: Any) -> str:
        """A model, by default unchecked; `values` are its other columns."""
        return self.rows.model(architecture=architecture, **{"name": "tiny", "state": "pending", **values})

    def add_concept_set(self, *texts: str, from_classes: str | None = None, **values: Any) -> str:
        """A pending version of these phrases, or of phrases generated from a data set's classes; returns the job that validates it."""
        phrases = [[text, None] for text in texts]
        concept_set_id = self.rows.concept_set(state="pending", phrases=phrases, **{"dataset_id": from_classes, **values})
        with self.runtime.sessions.begin() as session:
            version = session.get_one(ConceptSetVersion, (concept_set_id, 1))
            enqueue_check(session, version, self.owner_id, self.runtime.settings, None, from_classes=from_classes)
            return session.scalars(select(Job.id).where(Job.concept_set_id == concept_set_id)).one()

    def add_job(self, kind: str, dataset_id: str | None, spec: dict[str, Any] | None = None, **values: Any) -> str:
        return self.rows.queued(kind, spec or {}, dataset_id=dataset_id, **{"deadline_seconds": 300.0, **values})

    def add_score(self, dataset_id: str | None = None, model_id: str | None = None, **choices: Any) -> str:
        """Queue a score job, by default on a new features data set."""
        if dataset_id is None:
            dataset_id = self.add_dataset(features_file(), state="ready", digest=new_id("dataset"))
        library = {"kind": "prototype", "concept_count": 8, "parts": []}
        spec = score_spec(model_id, dataset_id, **{"library": library, "activations": "calibrated", **choices})
        return self.add_job("score", dataset_id, spec, model_id=model_id, library_dataset_id=spec.get("library_dataset"))

    def add_explain(self, scored_id: str, **choices: Any) -> str:
        """Queue a job that explains the test images of a scored one, unless `upload` names an archive."""
        scored = self.job(scored_id)
        spec = explain_spec(scored_id, **{"kept": 4, **choices})
        return self.add_job("explain", scored.dataset_id, spec, model_id=scored.model_id)

    def features(self, **sizes: int) -> bytes:
        return features_file(**sizes)

    def become_another_owner(self) -> None:
        """Create another owner; rows added from now on are theirs."""
        self.owner_id = add_owner(self.runtime.sessions)

    def run(self, job_id: str) -> str | None:
        """Run one attempt in this thread, in the warm child process."""
        return run_job(self.warm_runtime, job_id)

    def run_aside(self, job_id: str) -> Future[str | None]:
        return self.pool.submit(self.run, job_id)

    def job(self, job_id: str) -> Job:
        with self.runtime.sessions() as session:
            return session.get_one(Job, job_id)

    def error_of(self, job_id: str) -> JsonObject:
        """The error of a job that has one."""
        error = self.job(job_id).error
        assert error is not None
        return error

    def dataset_of(self, job_id: str) -> Dataset:
        """The data set of a job that reads one."""
        dataset_id = self.job(job_id).dataset_id
        assert dataset_id is not None
        return self.dataset(dataset_id)

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
        poll(lambda: self.job(job_id).state in states, timeout_seconds, f"{job_id} to be {' or '.join(states)}")
        return self.job(job_id)

    def await_request(self, job_id: str) -> None:
        """Wait until the job's first stage has started; a suspended child process keeps it there."""
        poll(lambda: self.events(job_id, "stage"), 30, "a stage to start")

    @contextmanager
    def frozen_compute(self) -> Generator[psutil.Process]:
        """The warm child process, suspended, so that a stage does not end by itself."""
        assert self.run(self.add_check()) == "succeeded"
        with self.suspended_compute() as process:
            yield process

    @contextmanager
    def suspended_compute(self) -> Generator[psutil.Process]:
        """The warm child process as it runs, suspended."""
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
