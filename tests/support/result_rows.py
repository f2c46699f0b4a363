"""Results of finished jobs as rows: reports, curves, plots, libraries, predictors, explanations. Numbers are small and arbitrary."""

from __future__ import annotations

import io
import itertools
import json
import secrets
import struct
import zipfile
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from app.db.ids import new_id
from app.db.lists.job_summaries import summarise
from app.db.models import (
    Concept,
    ConceptLibrary,
    Curve,
    CurvePoint,
    DroppedPhrase,
    ExplanationBatch,
    FinetuneResult,
    Job,
    Plot,
    Predictor,
    Result,
    StageArtifact,
)
from app.storage import ArtifactStore, record_blob
from iis_schemas.results.concept_metrics import METRICS_EXAMPLE
from iis_schemas.results.finetuning import FINETUNE_EXAMPLE

PNG = b"\x89PNG\r\n\x1a\n a figure"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
# (sparsity, kept, accuracy, arr): thirds, so that a lost digit is noticed.
POINTS = ((0.0, 8, 2 / 3, 1.0), (0.9, 1, 0.6, 0.9), (0.98, 1, 1 / 3, 0.5), (1.0, 0, 0.1, 0.15))
NAMES = [{"phrase": "a loop", "score": 3.1, "cosine": 0.31}, {"phrase": "a hook", "score": 2.2, "cosine": 0.27}]
NAMED = ("a loop", {"names": NAMES, "margin": 0.9, "named": True})
PHRASES = [(text, {"group": None, "similarity": 0.8, "clip_top5": 0.3}) for text in ("a loop", "a hook", "a stroke", "a dot")]
DROPPED_PHRASES = (("a striped tail", 0.18), ("a beak", 0.21))  # with their clip_top5
FINDINGS = ("probe", "treatment", "control", "means", "differences", "history", "words", "warnings")
REPORT: dict[str, Any] = {
    "protocol": "exact",
    "edition": 2,
    "library": {"kind": "prototype", "concept_count": 4, "seeds": 5},
    "points": [],
    "accuracy_representation": 0.9,
    "accuracy_representation_low": 0.88,
    "accuracy_representation_high": 0.92,
    "chance": 0.1,
    "iis": 2 / 3,
    "iis_low": 0.6,
    "iis_high": 0.7,
    "few_concepts_mean": 0.5,
    "few_concepts_mean_low": 0.45,
    "few_concepts_mean_high": 0.55,
    "controls": {
        "isotropic": {"iis": 0.6, "gain": 2 / 3 - 0.6, "gain_low": 0.01, "gain_high": 0.12, "few_gain": -0.02, "few_gain_low": -0.05},
        "matched": {
            **{"iis": 2 / 3 - 0.1, "gain": 0.1, "gain_low": 0.05, "gain_high": 0.15},
            **{"few_mean": 0.4, "few_gain": 0.1, "few_gain_low": 0.05, "few_gain_high": 0.15},
        },
    },
    "verdict": {"code": "reads_through_concepts", "sentence": "The representation reads through its concepts.", "next": []},
    "warnings": [],
}
CONCEPT_METRICS = [METRICS_EXAMPLE | {"concept": number, "mono_score": score} for number, score in enumerate((0.31, None, 1 / 3, 0.5))]
VECTORS = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.6, 0.8, 0.0])


def add_blob(session: Session, store: ArtifactStore, content: bytes) -> str:
    """Store content and record it; returns its sha256."""
    sha256, size_bytes = store.put_chunks([content])
    record_blob(session, sha256, size_bytes)
    session.flush()
    return sha256


def add_score_result(session: Session, store: ArtifactStore, job: Job, report: dict[str, Any]) -> str:
    """Add report, curves, plots and library of a score job; returns the id of the library. `report` replaces fields of `REPORT`."""
    library_id = _add_library(session, store, job)
    session.add(Result(job_id=job.id, library_id=library_id, report=REPORT | report, concept_metrics=CONCEPT_METRICS))
    for name in ("library", "isotropic", "matched"):
        _add_curve(session, job.id, name)
    for name in ("arr", "accuracy"):
        for plot_format, content in (("png", PNG), ("svg", SVG)):
            session.add(Plot(job_id=job.id, name=name, format=plot_format, blob_sha256=add_blob(session, store, content + name.encode())))
    session.flush()
    summarise(session, [job.id])
    return library_id


def add_predictors(session: Session, owner_id: str, job_id: str, nodes: Sequence[int]) -> None:
    """Add a predictor at each of these numbers of kept concepts, of four; their artifacts do not exist."""
    columns = {"job_id": job_id, "owner_id": owner_id, "predictors_key": "predictors", "tested_key": "tested"}
    for kept in nodes:
        session.add(Predictor(id=new_id("predictor"), kept=kept, sparsity=1 - kept / 4, accuracy=0.9, arr=0.8, **columns))


def add_explanations(session: Session, store: ArtifactStore, job_id: str, rows: list[dict[str, Any]]) -> None:
    """Add the files and the summary of a job of kind explain."""
    lines = [json.dumps(row).encode() + b"\n" for row in rows]
    ends = [0, *itertools.accumulate(map(len, lines))]
    files = {"jsonl": b"".join(lines), "parquet": b"PAR1", "offsets": struct.pack(f"<{len(ends)}Q", *ends)}
    digests = {f"{name}_sha256": add_blob(session, store, content) for name, content in files.items()}
    summary = {"count": len(rows), "failed": 0, "ignored": 0, "ignored_names": [], "agreement": 2 / 3}
    accuracies = {"accuracy_representation": None, "accuracy_interpretation": 0.75}
    session.add(ExplanationBatch(job_id=job_id, summary=summary | accuracies, **digests))


def add_finetune_result(session: Session, job_id: str, model_id: str) -> None:
    """Add the findings of a job of kind finetune."""
    session.add(FinetuneResult(job_id=job_id, model_id=model_id, findings={name: FINETUNE_EXAMPLE[name] for name in FINDINGS}))


def _add_library(session: Session, store: ArtifactStore, job: Job) -> str:
    artifact = add_blob(session, store, f"safetensors of {job.id}".encode())
    exemplars = add_blob(session, store, _zip({"41.png": PNG + job.id.encode()}))
    library_id, key, kind = new_id("library"), secrets.token_hex(32), job.spec["library"]["kind"]
    session.add(StageArtifact(owner_id=job.owner_id, key=key, stage="libraries", blob_sha256=artifact))
    session.add(
        ConceptLibrary(
            id=library_id,
            owner_id=job.owner_id,
            job_id=job.id,
            model_id=job.model_id,
            dataset_id=job.dataset_id,
            kind=kind,
            settings=job.spec["library"] | {"exemplars": {"sha256": exemplars}},
            concept_count=len(VECTORS),
            dimension=len(VECTORS[0]),
            artifact_key=key,
        )
    )
    session.flush()
    crops = [{"image": "train/3/0041.png", "box": [0, 0, 8, 8], "similarity": 0.9, "crop": "41.png"}]
    words = PHRASES if kind == "text" else [NAMED, (None, None), (None, None), (None, None)]
    for index, (vector, (label, details)) in enumerate(zip(VECTORS, words, strict=True)):
        concept = Concept(library_id=library_id, index=index, origin=kind, label=label, details=details)
        concept.vector, concept.exemplars = vector, crops
        session.add(concept)
    for index, (text, top5) in enumerate(DROPPED_PHRASES if kind == "text" else ()):
        details = {"clip_top5": top5}
        session.add(DroppedPhrase(library_id=library_id, index=index, text=text, reason="clip_cutoff", details=details))
    return library_id


def _add_curve(session: Session, job_id: str, name: str) -> None:
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
                arr_chance_corrected=None if name == "isotropic" else arr / 3,
            )
        )


def _zip(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()
