"""Fixtures of the API on real PostgreSQL and Redis: apps, clients, tenants, and rows written as a worker writes them."""

from __future__ import annotations

import io
import itertools
import json
import secrets
import struct
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.db.ids import new_id
from app.db.models import (
    ApiKey,
    Concept,
    ConceptLibrary,
    ConceptSet,
    ConceptSetVersion,
    Curve,
    CurvePoint,
    Dataset,
    DroppedPhrase,
    ExplanationBatch,
    FinetuneResult,
    Job,
    Model,
    Owner,
    Plot,
    PostedImage,
    Predictor,
    Result,
    StageArtifact,
    Upload,
)
from app.db.session import SessionFactory
from app.db.transitions import add_event, claim, enqueue, fail, report_progress, request_cancel, succeed
from app.http.auth import SECRET_PREFIX, digest_of
from app.jobs.signals import Waiter
from app.main import create_app
from app.settings import Settings
from app.storage import ArtifactStore, record_blob
from iis_engine.vocabularies.phrases import Phrase, phrases_digest
from iis_schemas.finetune_results import FINETUNE_EXAMPLE

LEASE_SECONDS = 60
PNG = b"\x89PNG\r\n\x1a\n a figure"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
# (sparsity, kept, accuracy, arr): thirds, so that a lost digit is noticed.
POINTS = ((0.0, 8, 2 / 3, 1.0), (0.9, 1, 0.6, 0.9), (0.98, 1, 1 / 3, 0.5), (1.0, 0, 0.1, 0.15))
NAMES = [{"phrase": "a loop", "score": 3.1, "cosine": 0.31}, {"phrase": "a hook", "score": 2.2, "cosine": 0.27}]
NAMED = ("a loop", {"names": NAMES, "margin": 0.9, "named": True})
PHRASES = [(text, {"group": None, "similarity": 0.8, "clip_top5": 0.3}) for text in ("a loop", "a hook", "a stroke", "a dot")]
DROPPED_PHRASES = (("a striped tail", 0.18), ("a beak", 0.21))  # with their clip_top5
WEIGHTS = b"the weights of a network"
FINDINGS = ("probe", "treatment", "control", "means", "differences", "history", "words", "warnings")
REPORT = {
    "protocol": "exact",
    "library": {"kind": "prototype", "concept_count": 4, "seeds": 3},
    "points": [],
    "accuracy_representation": 0.9,
    "accuracy_representation_low": 0.88,
    "accuracy_representation_high": 0.92,
    "chance": 0.1,
    "iis": 2 / 3,
    "iis_low": 0.6,
    "iis_high": 0.7,
    "concept_gain": 0.1,
    "concept_gain_low": 0.05,
    "concept_gain_high": 0.15,
    "warnings": [],
}
VECTORS = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.6, 0.8, 0.0])


@dataclass(frozen=True)
class Tenant:
    """An owner with an API key."""

    owner_id: str
    headers: dict[str, str] = field(repr=False)


@pytest.fixture(scope="session")
def prepared() -> dict[str, Any]:
    """Routes analysed by FastAPI and the OpenAPI document, which are slow to build and the same for every app."""
    return {}


@pytest.fixture
def app(settings: Settings, prepared: dict[str, Any]) -> Iterator[FastAPI]:
    api = create_app(settings)
    api.router.routes[:] = prepared.setdefault("routes", list(api.router.routes))
    api.openapi_schema = prepared.get("openapi")
    yield api
    prepared["openapi"] = api.openapi_schema
    api.state.engine.dispose()


@pytest.fixture
def sessions(app: FastAPI) -> SessionFactory:
    return app.state.session_factory


@pytest.fixture
def store(app: FastAPI) -> ArtifactStore:
    return app.state.store


def make_tenant(sessions: SessionFactory, settings: Settings) -> Tenant:
    owner_id = new_id("owner")
    with sessions.begin() as session:
        session.add(Owner(id=owner_id, name="A tenant"))
    return Tenant(owner_id, make_key(sessions, settings, owner_id, "read", "write", "admin", name="first"))


def make_key(sessions: SessionFactory, settings: Settings, owner_id: str, *scopes: str, **columns: Any) -> dict[str, str]:
    """Create a key of an owner; returns its request headers."""
    secret = SECRET_PREFIX + secrets.token_urlsafe(24)
    digest = digest_of(secret, settings.api_key_secret)
    key = ApiKey(
        id=new_id("api_key"), owner_id=owner_id, digest=digest, hint=secret[-4:], scopes=list(scopes), **{"name": "key", **columns}
    )
    with sessions.begin() as session:
        session.add(key)
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def tenant(sessions: SessionFactory, settings: Settings) -> Tenant:
    return make_tenant(sessions, settings)


@pytest.fixture
def stranger(sessions: SessionFactory, settings: Settings) -> Tenant:
    """Another owner, who must not see any resource of `tenant`."""
    return make_tenant(sessions, settings)


@pytest.fixture
def key_for(sessions: SessionFactory, settings: Settings, tenant: Tenant) -> Callable[..., dict[str, str]]:
    """`key_for("read", expires_at=…)`: request headers of another key of the tenant with these scopes."""
    return partial(make_key, sessions, settings, tenant.owner_id)


@pytest.fixture
def client(app: FastAPI, tenant: Tenant) -> Iterator[TestClient]:
    with TestClient(app, headers=tenant.headers, raise_server_exceptions=False) as test_client:
        yield test_client


@pytest.fixture
def live_url(app: FastAPI) -> Iterator[str]:
    """URL of the API on a real socket, for streams and long polls."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=1))
    started = threading.Event()
    notify_started = server.startup

    async def startup(sockets: Any = None) -> None:
        await notify_started(sockets)
        started.set()

    server.startup = startup  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert started.wait(20), "The server did not start in 20 s."
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def live(live_url: str, tenant: Tenant) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live_url, headers=tenant.headers, timeout=60, limits=httpx.Limits(max_connections=None)) as http:
        yield http


@pytest.fixture
def waiting_count(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """`waiting_count(job_id)`: number of streams and long polls that wait for events of a job."""
    watch = app.state.job_signals.watch
    counts = Counter[str]()

    @contextmanager
    def counted(job_id: str) -> Generator[Waiter]:
        with watch(job_id) as waiter:
            counts[job_id] += 1
            try:
                yield waiter
            finally:
                counts[job_id] -= 1

    monkeypatch.setattr(app.state.job_signals, "watch", counted)
    return lambda job_id: counts[job_id]


class Rows:
    """Rows of one owner, written as a worker writes them: through the state machine, one transaction per step."""

    def __init__(self, sessions: SessionFactory, store: ArtifactStore, owner_id: str) -> None:
        self.sessions = sessions
        self.store = store
        self.owner_id = owner_id

    def model(self, state: str = "ready", **columns: Any) -> str:
        columns = {"architecture": "timm:resnet18", "arguments": {}, **columns}
        return self._insert(Model(id=new_id("model"), owner_id=self.owner_id, name="net", state=state, **columns))

    def dataset(self, state: str = "ready", kind: str = "images", **columns: Any) -> str:
        return self._insert(Dataset(id=new_id("dataset"), owner_id=self.owner_id, name="digits", kind=kind, state=state, **columns))

    def vlm(self, state: str = "ready", **columns: Any) -> str:
        info = {"embedding_dimension": 512, "context_length": 77}
        vlm = Model(id=new_id("model"), owner_id=self.owner_id, name="clip", role="vlm", architecture="open_clip:ViT-B-16", state=state)
        vlm.arguments, vlm.info = {}, info
        for name, value in columns.items():
            setattr(vlm, name, value)
        return self._insert(vlm)

    def concept_set(self, *texts: str, state: str = "ready", **columns: Any) -> str:
        """A concept set with one version of these phrases."""
        set_id = self._insert(ConceptSet(id=new_id("concept_set"), owner_id=self.owner_id, name="strokes"))
        self.concept_set_version(set_id, 1, *(texts or ("a curved stroke", "a loop")), state=state, **columns)
        return set_id

    def concept_set_version(self, set_id: str, number: int, *texts: str, state: str = "ready", **columns: Any) -> None:
        digest = phrases_digest(Phrase(text) for text in texts) if state == "ready" else None
        version = ConceptSetVersion(concept_set_id=set_id, number=number, state=state, digest=digest, dropped=[], **columns)
        version.phrases = [[text, None] for text in texts]
        with self.sessions.begin() as session:
            session.add(version)

    def job(self, model: str | None = None, dataset: str | None = None, kind: str = "score", **columns: Any) -> str:
        """A queued job."""
        model_id = model or self.model()
        dataset_id = dataset or self.dataset()
        spec = columns.pop("spec", None) or {
            "model": model_id,
            "dataset": dataset_id,
            "library": {"kind": "prototype", "concept_count": 4, "parts": []},
            "elements": {"kind": "patches", "images_per_class": 10, "seed": 0},
            "protocol": "exact",
            "seed": 0,
        }
        job = Job(
            id=new_id("job"),
            owner_id=self.owner_id,
            kind=kind,
            spec=spec,
            model_id=model_id,
            dataset_id=dataset_id,
            deadline_seconds=60.0,
            **columns,
        )
        with self.sessions.begin() as session:
            enqueue(session, job)
        return job.id

    def features(self, *class_names: str, name: str = "features", **columns: Any) -> str:
        """A ready data set of precomputed features."""
        classes = list(class_names or ("cat", "dog"))
        counts = {split: dict.fromkeys(classes, 10) for split in ("train", "test")}
        info = {"class_names": classes, "num_features": 3, "counts": counts}
        row = Dataset(id=new_id("dataset"), owner_id=self.owner_id, name=name, kind="features", state="ready", info=info, **columns)
        return self._insert(row)

    def study_request(self, **changes: Any) -> dict[str, Any]:
        """Body of POST /v1/studies; creates two models and a data set unless given."""
        body = {"libraries": [{"kind": "prototype"}, {"kind": "cluster"}], "concept_counts": [4], **changes}
        if "models" not in body:
            body["models"] = [self.model(), self.model()]
        if "datasets" not in body:
            body["datasets"] = [self.dataset()]
        return body

    def request(self, **changes: Any) -> dict[str, Any]:
        """Body of POST /v1/jobs; creates a model and a data set unless given."""
        made = {name: make() for name, make in (("model", self.model), ("dataset", self.dataset)) if name not in changes}
        return {"kind": "score", "library": {"kind": "cluster", "concept_count": 50}, **made, **changes}

    def claim(self, job_id: str) -> str:
        with self.sessions.begin() as session:
            token = claim(session, job_id, "a worker", LEASE_SECONDS)
        assert token is not None
        return token

    def progress(self, job_id: str, token: str, done: int, total: int = 10) -> None:
        with self.sessions.begin() as session:
            report_progress(session, job_id, token, stage="extract", done=done, total=total, eta_seconds=1.5)

    def event(self, job_id: str, token: str, kind: str, **data: Any) -> None:
        with self.sessions.begin() as session:
            add_event(session, job_id, token, kind, data)

    def fail(self, job_id: str, token: str, message: str) -> None:
        with self.sessions.begin() as session:
            fail(session, job_id, token, {"code": "data_invalid", "message": message, "param": None})

    def cancel(self, job_id: str) -> None:
        with self.sessions.begin() as session:
            request_cancel(session, session.get_one(Job, job_id))

    def succeed(self, job_id: str, token: str, **report: Any) -> str:
        """End a job with a small result; returns the id of its library."""
        with self.sessions.begin() as session:
            library_id = self._result(session, session.get_one(Job, job_id), REPORT | report)
            succeed(session, job_id, token)
        return library_id

    def succeeded_job(self) -> tuple[str, str]:
        """A finished job and its library."""
        job_id = self.job()
        return job_id, self.succeed(job_id, self.claim(job_id))

    def explainable_job(self, dataset: str | None = None, nodes: tuple[int, ...] = (4, 2, 1)) -> str:
        """A finished job of four concepts with a predictor at each of these nodes; its artifacts do not exist."""
        job_id = self.job(dataset=dataset)
        self.succeed(job_id, self.claim(job_id))
        columns = {"job_id": job_id, "owner_id": self.owner_id, "predictors_key": "predictors", "tested_key": "tested"}
        with self.sessions.begin() as session:
            for kept in nodes:
                session.add(Predictor(id=new_id("predictor"), kept=kept, sparsity=1 - kept / 4, accuracy=0.9, arr=0.8, **columns))
        return job_id

    def posted_image(self, job_id: str) -> str:
        """An image posted for a job."""
        image = PostedImage(id=new_id("posted_image"), owner_id=self.owner_id, job_id=job_id, filename="a.png", content=PNG)
        image.expires_at = datetime.now(UTC) + timedelta(days=1)
        return self._insert(image)

    def explain_job(self, scored: str, **choices: Any) -> str:
        """A queued job that explains a scored one."""
        spec = {"job": scored, "split": "test", "upload": None, "kept": 2, "sparsity": 0.5, "top": 8, "contrast": None, **choices}
        return self.job(kind="explain", spec=spec)

    def finetune_job(self, **columns: Any) -> str:
        """A queued job of kind finetune."""
        spec = {
            **{"library": {"kind": "cluster", "concept_count": 4}, "elements": {"kind": "patches", "images_per_class": 10, "seed": 0}},
            **{"sparsity": 0.1, "lambda": 1.0, "epochs": 2, "optimizer": "adamw", "learning_rate": 1e-4, "weight_decay": 0.01},
            **{"batch_size": 64, "accumulation_steps": 1, "warmup_epochs": 1, "trains": "all", "precision": "auto"},
            **{"rebuild_every": None, "patience": None, "seeds": [0, 1, 2]},
        }
        return self.job(kind="finetune", spec=spec, **columns)

    def finetuned_job(self) -> tuple[str, str]:
        """A finished job of kind finetune and the model that it created, with the checkpoint `WEIGHTS`."""
        job_id = self.finetune_job()
        token = self.claim(job_id)
        with self.sessions.begin() as session:
            upload = self.upload_of(session, WEIGHTS, "tuned.safetensors")
            lineage = {"job": job_id, "parent": session.get_one(Job, job_id).model_id, "seed": 1, "epoch": 2, "weight": 1.0}
            made = Model(id=new_id("model"), owner_id=self.owner_id, name="net, fine-tuned", architecture="timm:resnet18", state="ready")
            made.arguments, made.upload_id, made.lineage = {}, upload, lineage
            session.add(made)
            session.flush()
            findings = {name: FINETUNE_EXAMPLE[name] for name in FINDINGS}
            session.add(FinetuneResult(job_id=job_id, model_id=made.id, findings=findings))
            succeed(session, job_id, token)
        return job_id, made.id

    def upload_of(self, session: Session, content: bytes, filename: str) -> str:
        """A complete upload."""
        now = datetime.now(UTC)
        upload = Upload(id=new_id("upload"), owner_id=self.owner_id, filename=filename, size_bytes=len(content), state="complete")
        upload.sha256, upload.expires_at, upload.completed_at = self._blob(session, content), now, now
        session.add(upload)
        session.flush()
        return upload.id

    def explained_job(self, scored: str, rows: list[dict[str, Any]]) -> str:
        """A finished job of kind explain with these rows."""
        job_id = self.explain_job(scored)
        token = self.claim(job_id)
        lines = [json.dumps(row).encode() + b"\n" for row in rows]
        ends = [0, *itertools.accumulate(map(len, lines))]
        summary = {"count": len(rows), "failed": 0, "ignored": 0, "ignored_names": [], "agreement": 2 / 3}
        with self.sessions.begin() as session:
            files = {"jsonl": b"".join(lines), "parquet": b"PAR1", "offsets": struct.pack(f"<{len(ends)}Q", *ends)}
            held = {f"{name}_sha256": self._blob(session, content) for name, content in files.items()}
            accuracies = {"accuracy_representation": None, "accuracy_interpretation": 0.75}
            session.add(ExplanationBatch(job_id=job_id, summary=summary | accuracies, **held))
            succeed(session, job_id, token)
        return job_id

    def _result(self, session: Session, job: Job, report: dict[str, Any]) -> str:
        artifact = self._blob(session, f"safetensors of {job.id}".encode())
        library_id, key, kind = new_id("library"), secrets.token_hex(32), job.spec["library"]["kind"]
        session.add(StageArtifact(owner_id=self.owner_id, key=key, stage="libraries", blob_sha256=artifact))
        session.add(
            ConceptLibrary(
                id=library_id,
                owner_id=self.owner_id,
                job_id=job.id,
                model_id=job.model_id,
                dataset_id=job.dataset_id,
                kind=kind,
                settings=job.spec["library"] | {"exemplars": {"sha256": self._blob(session, _zip({"41.png": PNG + job.id.encode()}))}},
                concept_count=len(VECTORS),
                dimension=len(VECTORS[0]),
                artifact_key=key,
            )
        )
        session.flush()
        exemplars = [{"image": "train/3/0041.png", "box": [0, 0, 8, 8], "similarity": 0.9, "crop": "41.png"}]
        words = PHRASES if kind == "text" else [NAMED, (None, None), (None, None), (None, None)]
        for index, (vector, (label, details)) in enumerate(zip(VECTORS, words, strict=True)):
            concept = Concept(library_id=library_id, index=index, origin=kind, label=label, details=details)
            concept.vector, concept.exemplars = vector, exemplars
            session.add(concept)
        for index, (text, top5) in enumerate(DROPPED_PHRASES if kind == "text" else ()):
            figures = {"clip_top5": top5}
            session.add(DroppedPhrase(library_id=library_id, index=index, text=text, reason="clip_cutoff", details=figures))
        session.add(Result(job_id=job.id, library_id=library_id, report=report))
        for name in ("library", "random_control"):
            self._curve(session, job.id, name)
        for name in ("arr", "accuracy"):
            for plot_format, content in (("png", PNG), ("svg", SVG)):
                session.add(Plot(job_id=job.id, name=name, format=plot_format, blob_sha256=self._blob(session, content + name.encode())))
        return library_id

    def _curve(self, session: Session, job_id: str, name: str) -> None:
        curve = Curve(id=new_id("curve"), job_id=job_id, name=name)
        session.add(curve)
        session.flush()
        for sparsity, kept, accuracy, arr in POINTS:
            session.add(
                CurvePoint(
                    curve_id=curve.id,
                    kept=kept,
                    sparsity=sparsity,
                    accuracy=accuracy,
                    accuracy_low=accuracy - 0.01,
                    accuracy_high=accuracy + 0.01,
                    arr=arr,
                    arr_low=arr - 0.01,
                    arr_high=arr + 0.01,
                    arr_chance_corrected=None if name == "random_control" else arr / 3,
                )
            )

    def _blob(self, session: Session, content: bytes) -> str:
        sha256, size_bytes = self.store.put_chunks([content])
        record_blob(session, sha256, size_bytes)
        session.flush()
        return sha256

    def _insert(self, row: Any) -> str:
        with self.sessions.begin() as session:
            session.add(row)
        return row.id


def _zip(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


@pytest.fixture
def rows(sessions: SessionFactory, store: ArtifactStore, tenant: Tenant) -> Rows:
    return Rows(sessions, store, tenant.owner_id)


@pytest.fixture
def strange_rows(sessions: SessionFactory, store: ArtifactStore, stranger: Tenant) -> Rows:
    return Rows(sessions, store, stranger.owner_id)
