"""Rows of one owner: uploads, models, data sets, concept sets and jobs. Rows of finished jobs are in `result_rows`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from app.db.ids import new_id
from app.db.models import ConceptSet, ConceptSetVersion, Dataset, Job, Model, PostedImage, Upload
from app.db.session import SessionFactory
from app.db.transitions import add_event, claim, enqueue, fail, report_progress, request_cancel, succeed
from app.storage import ArtifactStore
from iis_engine.vocabularies.phrases import Phrase, phrases_digest
from support.result_rows import PNG, add_blob, add_explanations, add_finetune_result, add_predictors, add_score_result

LEASE_SECONDS = 60
WEIGHTS = b"the weights of a network"
FINETUNE_SPEC: dict[str, Any] = {
    "library": {"kind": "cluster", "concept_count": 4},
    "elements": {"kind": "patches", "images_per_class": 10, "seed": 0},
    **{"sparsity": 0.1, "lambda": 1.0, "epochs": 2, "optimizer": "adamw", "learning_rate": 1e-4, "weight_decay": 0.01},
    **{"batch_size": 64, "accumulation_steps": 1, "warmup_epochs": 1, "trains": "all", "precision": "auto"},
    **{"rebuild_every": None, "patience": None, "seeds": [0, 1, 2]},
}


def score_spec(model_id: str | None, dataset_id: str | None, **choices: Any) -> dict[str, Any]:
    """Specification of a score job."""
    return {
        "model": model_id,
        "dataset": dataset_id,
        "library": {"kind": "prototype", "concept_count": 4, "parts": []},
        "elements": {"kind": "patches", "images_per_class": 10, "seed": 0},
        "protocol": "exact",
        "seed": 0,
        **choices,
    }


def explain_spec(scored_id: str, **choices: Any) -> dict[str, Any]:
    """Specification of a job that explains the test images of a scored one, or the images of an archive if `upload` names one."""
    split = None if choices.get("upload") else "test"
    return {"job": scored_id, "split": split, "upload": None, "kept": 2, "sparsity": 0.5, "top": 8, "contrast": None, **choices}


class Rows:
    """Rows of one owner, written as the service writes them: through the state machine, one transaction per step."""

    def __init__(self, sessions: SessionFactory, store: ArtifactStore, owner_id: str) -> None:
        self.sessions = sessions
        self.store = store
        self.owner_id = owner_id

    def upload(self, content: bytes, filename: str) -> str:
        """A complete upload."""
        now = datetime.now(UTC)
        upload = Upload(id=new_id("upload"), owner_id=self.owner_id, filename=filename, size_bytes=len(content), state="complete")
        upload.expires_at, upload.completed_at = now + timedelta(days=1), now
        with self.sessions.begin() as session:
            upload.sha256 = add_blob(session, self.store, content)
            session.add(upload)
        return upload.id

    def model(self, state: str = "ready", **columns: Any) -> str:
        columns = {"name": "net", "architecture": "timm:resnet18", "arguments": {}, **columns}
        return self._insert(Model(id=new_id("model"), owner_id=self.owner_id, state=state, **columns))

    def vlm(self, state: str = "ready", **columns: Any) -> str:
        info = {"embedding_dimension": 512, "context_length": 77}
        columns = {"name": "clip", "role": "vlm", "architecture": "open_clip:ViT-B-16", "info": info, **columns}
        return self.model(state, **columns)

    def dataset(self, state: str = "ready", kind: str = "images", **columns: Any) -> str:
        columns = {"name": "digits", **columns}
        return self._insert(Dataset(id=new_id("dataset"), owner_id=self.owner_id, kind=kind, state=state, **columns))

    def features(self, *class_names: str, **columns: Any) -> str:
        """A ready data set of precomputed features."""
        classes = list(class_names or ("cat", "dog"))
        counts = {split: dict.fromkeys(classes, 10) for split in ("train", "test")}
        columns = {"name": "features", "info": {"class_names": classes, "num_features": 3, "counts": counts}, **columns}
        return self.dataset(kind="features", **columns)

    def concept_set(self, *texts: str, state: str = "ready", **columns: Any) -> str:
        """A concept set with one version of these phrases."""
        set_id = self._insert(ConceptSet(id=new_id("concept_set"), owner_id=self.owner_id, name="strokes"))
        self.concept_set_version(set_id, 1, *(texts or ("a curved stroke", "a loop")), state=state, **columns)
        return set_id

    def concept_set_version(self, set_id: str, number: int, *texts: str, state: str = "ready", **columns: Any) -> ConceptSetVersion:
        columns = {"dropped": [], "phrases": [[text, None] for text in texts], **columns}
        digest = phrases_digest(Phrase(text) for text in texts) if state == "ready" else None
        version = ConceptSetVersion(concept_set_id=set_id, number=number, state=state, digest=digest, **columns)
        with self.sessions.begin() as session:
            session.add(version)
        return version

    def queued(self, kind: str, spec: dict[str, Any], **columns: Any) -> str:
        """A queued job of any kind."""
        job = Job(id=new_id("job"), owner_id=self.owner_id, kind=kind, spec=spec, **{"deadline_seconds": 60.0, **columns})
        with self.sessions.begin() as session:
            enqueue(session, job)
        return job.id

    def job(self, model: str | None = None, dataset: str | None = None, kind: str = "score", **columns: Any) -> str:
        """A queued job on a model and a data set, by default a score job; creates both unless given."""
        model_id = model or self.model()
        dataset_id = dataset or self.dataset()
        spec = columns.pop("spec", None) or score_spec(model_id, dataset_id)
        return self.queued(kind, spec, model_id=model_id, dataset_id=dataset_id, **columns)

    def explain_job(self, scored: str, **choices: Any) -> str:
        """A queued job that explains a scored one."""
        return self.job(kind="explain", spec=explain_spec(scored, **choices))

    def finetune_job(self, **columns: Any) -> str:
        """A queued job of kind finetune."""
        return self.job(kind="finetune", spec=FINETUNE_SPEC, **columns)

    def posted_image(self, job_id: str) -> str:
        """An image posted for a job."""
        image = PostedImage(id=new_id("posted_image"), owner_id=self.owner_id, job_id=job_id, filename="a.png", content=PNG)
        image.expires_at = datetime.now(UTC) + timedelta(days=1)
        return self._insert(image)

    def request(self, **changes: Any) -> dict[str, Any]:
        """Body of POST /v1/jobs; creates a model and a data set unless given."""
        made = {name: make() for name, make in (("model", self.model), ("dataset", self.dataset)) if name not in changes}
        return {"kind": "score", "library": {"kind": "cluster", "concept_count": 50}, **made, **changes}

    def study_request(self, **changes: Any) -> dict[str, Any]:
        """Body of POST /v1/studies; creates two models and a data set unless given."""
        body = {"libraries": [{"kind": "prototype"}, {"kind": "cluster"}], "concept_counts": [4], **changes}
        if "models" not in body:
            body["models"] = [self.model(), self.model()]
        if "datasets" not in body:
            body["datasets"] = [self.dataset()]
        return body

    def claim(self, job_id: str) -> str:
        """Start an attempt at a job; returns its lease token."""
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
            library_id = add_score_result(session, self.store, session.get_one(Job, job_id), report)
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
        with self.sessions.begin() as session:
            add_predictors(session, self.owner_id, job_id, nodes)
        return job_id

    def explained_job(self, scored: str, rows: list[dict[str, Any]]) -> str:
        """A finished job of kind explain with these rows."""
        job_id = self.explain_job(scored)
        token = self.claim(job_id)
        with self.sessions.begin() as session:
            add_explanations(session, self.store, job_id, rows)
            succeed(session, job_id, token)
        return job_id

    def finetuned_job(self) -> tuple[str, str]:
        """A finished job of kind finetune and the model that it created, with the checkpoint `WEIGHTS`."""
        job_id = self.finetune_job()
        token = self.claim(job_id)
        with self.sessions() as session:
            parent = session.get_one(Job, job_id).model_id
        lineage = {"job": job_id, "parent": parent, "seed": 1, "epoch": 2, "weight": 1.0}
        upload_id = self.upload(WEIGHTS, "tuned.safetensors")
        model_id = self.model(name="net, fine-tuned", upload_id=upload_id, lineage=lineage)
        with self.sessions.begin() as session:
            add_finetune_result(session, job_id, model_id)
            succeed(session, job_id, token)
        return job_id, model_id

    def _insert(self, row: Model | Dataset | ConceptSet | PostedImage) -> str:
        with self.sessions.begin() as session:
            session.add(row)
        return row.id
