"""The finetune job: its stages with their dependencies, and the transaction that ends it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.db import transitions
from app.db.ids import new_id
from app.db.models import Blob, Dataset, FinetuneResult, Json, Model, Upload
from worker.jobs.access import is_downloaded
from worker.jobs.artifacts import output_key, safe_name, stage_key
from worker.jobs.attempt import Attempt
from worker.jobs.feature_keys import backbone_of, data_of
from worker.jobs.inputs import Sources
from worker.jobs.outputs import read_json
from worker.jobs.pipeline import Pipeline
from worker.jobs.progress.expected import list_stages
from worker.jobs.score import score_stages
from worker.jobs.score_request import ScoreRequest
from worker.jobs.stage import Stage
from worker.sandbox.outcomes import StageRefused
from worker.stages.files import COMPARISON, FEATURES, IMAGES_FOLDER, REPORT, RunFiles
from worker.stages.specs import ModelRequest

ARMS = ("treatment", "control")
MEASURES = ("accuracy", "iis", "accuracy_trained")
PROBE_STAGES = ("materialise", "extract", "libraries", "isotropic", "matched", "heads", "panel", "curve")
SCHEDULE = (
    *("sparsity", "epochs", "optimizer", "learning_rate", "weight_decay", "batch_size", "accumulation_steps"),
    *("warmup_epochs", "trains", "rebuild_every", "patience", "precision"),
)
"""Fields of a job's specification that describe the training, besides library and elements."""


def run_finetune(attempt: Attempt) -> None:
    """Run the stages whose outputs are not stored yet, then add the best treatment run as a model and write the result and `succeeded`."""
    job, model, dataset = attempt.rows.job, attempt.rows.model, attempt.rows.dataset
    if model is None or dataset is None:
        raise StageRefused("inputs_missing", "The job names no model or no data set.", None)
    stages = _stages(attempt, model, dataset)
    list_stages(attempt, (stages, attempt.workspace))
    pipeline = Pipeline(attempt, stages, given={}, fetch=Sources(attempt, {}).fetch)
    pipeline.run()
    runs = {arm: [_read_run(pipeline, RunFiles(arm, seed)) for seed in job.spec["seeds"]] for arm in ARMS}
    findings: Json = {
        **_compared(read_json(pipeline.file(COMPARISON))),
        "probe": read_json(pipeline.file(REPORT)),
        **{arm: [run.summary for run in runs[arm]] for arm in ARMS},
        "history": [{"arm": arm, "seed": run.summary["seed"], "epochs": run.epochs} for arm in ARMS for run in runs[arm]],
    }
    findings["warnings"] = _warnings(findings)
    best = max((run.summary for run in runs["treatment"]), key=lambda run: run["validation_accuracy"] or 0.0)
    files = RunFiles("treatment", best["seed"])
    checked, weights = read_json(pipeline.file(files.checked)), pipeline.sha256(files.weights)
    lineage = {"job": job.id, "parent": model.id, "seed": best["seed"], "epoch": best["best_epoch"], "weight": job.spec["lambda"]}

    def finish(session: Session) -> None:
        made = _register(session, model, weights, checked, lineage)
        session.add(FinetuneResult(job_id=job.id, model_id=made, findings=findings))
        session.flush()
        transitions.succeed(session, attempt.job_id, attempt.token)

    attempt.write(finish)


def training_pipeline(attempt: Attempt) -> Pipeline:
    """The training runs of a job, of which a worker that helps computes some with `compute_part`; the probe's features are stored."""
    model, dataset = attempt.rows.model, attempt.rows.dataset
    if model is None or dataset is None:
        raise StageRefused("inputs_missing", "The job names no model or no data set.", None)
    stages = _stages(attempt, model, dataset)
    features = next(output_key(stage.key, FEATURES) for stage in stages if FEATURES in stage.outputs)
    needed = [stage for stage in stages if stage.part is not None or not stage.stored]
    return Pipeline(attempt, needed, given={FEATURES: features}, fetch=Sources(attempt, {}).fetch)


def _stages(attempt: Attempt, model: Model, dataset: Dataset) -> list[Stage]:
    uploaded = None if model.upload_id is None else attempt.rows.uploads[model.upload_id].sha256
    return finetune_stages(attempt.rows.job.spec, model, dataset, uploaded=uploaded, device=attempt.runtime.settings.device)


def finetune_stages(spec: Json, model: Model, dataset: Dataset, *, uploaded: str | None, device: str = "auto") -> list[Stage]:
    """The stages of a finetune job, each with the digest of everything that its outputs depend on; no key depends on the device.

    The probe, the network before training, is scored by the stages of a score job, with the same keys.

    Parameters
    ----------
    uploaded : sha256 of the model's checkpoint, where it has one
    """
    score = {
        "library": spec["library"] | {"parts": []},
        "elements": spec["elements"],
        "protocol": "exact",
        "seed": 0,
        "activations": "calibrated",
    }
    probe = [stage for stage in score_stages(ScoreRequest(score, model, dataset), device=device) if stage.name in PROBE_STAGES]
    training = {name: spec[name] for name in ("library", "elements", *SCHEDULE)}
    # The model's digest does not cover the classifier, which initialises h and is saved after training.
    weights = {"uploaded": uploaded, "pretrained": model.pretrained, "initial_seed": model.initial_seed}
    start = {"model": backbone_of(model) | weights, "dataset": data_of(dataset)}
    tuned = _tuned_request(model, device)
    runs, reports = list[Stage](), list[str]()
    downloads = is_downloaded(model)
    for seed in spec["seeds"]:
        for arm, weight in zip(ARMS, (spec["lambda"], 0.0), strict=True):
            files, run, part = RunFiles(arm, seed), {"arm": arm, "seed": seed}, f"{arm}, seed {seed}"
            trained = stage_key("finetune", **start, training=training, seed=seed, weight=weight)
            scored = stage_key("evaluate", trained=trained, score=score, preprocessing=tuned.preprocessing, weights_of=tuned.weights_of)
            train = {**run, "spec": training, "weight": weight}
            measure = {
                **run,
                "score": score,
                "device": device,
                "model": tuned.to_json(),
                "preprocessing": (model.info or {}).get("preprocessing"),
            }
            runs += [
                Stage(
                    "finetune",
                    trained,
                    (FEATURES, IMAGES_FOLDER),
                    (files.weights, files.head, files.history),
                    arguments=train,
                    sources=("model", "dataset"),
                    network=downloads,
                    sharded=True,
                    part=part,
                    run=files,
                ),
                Stage(
                    "evaluate",
                    scored,
                    (files.weights, files.head, IMAGES_FOLDER),
                    (files.report, files.checked),
                    arguments=measure,
                    sources=("dataset",),
                    sharded=True,
                    part=part,
                ),
            ]
            reports.append(files.report)
    compared = stage_key("compare", probe=probe[-1].key, runs=[stage.key for stage in runs], seeds=spec["seeds"])
    return [
        *probe,
        *runs,
        Stage("compare", compared, (REPORT, *reports), (COMPARISON,), arguments={"seeds": spec["seeds"], "trains": spec["trains"]}),
    ]


def _tuned_request(model: Model, device: str) -> ModelRequest:
    """The request for a fine-tuned network; the child process adds the path of its weights."""
    return ModelRequest(
        role=model.role,
        architecture=model.architecture,
        arguments=model.arguments,
        pretrained=None,
        initial_seed=None,
        layer=model.layer,
        preprocessing=model.preprocessing,
        tokenizer=None,
        device=device,
        weights_of=_published_origin(model),
        pooling=model.pooling,
    )


def _published_origin(model: Model) -> str | None:
    """The tag of the published weights that a fine-tuned network comes from, which decides its preprocessing and activation."""
    return model.pretrained or model.weights_of


@dataclass(frozen=True)
class _Run:
    """One training run: its summary in the result, and its epochs."""

    summary: Json
    epochs: list[Json]


def _read_run(pipeline: Pipeline, files: RunFiles) -> _Run:
    trained, report = (read_json(pipeline.file(name)) for name in (files.history, files.report))
    epochs, best = trained["epochs"], trained["best_epoch"]
    report["warnings"] = [*trained["warnings"], *report["warnings"]]
    validation = next((epoch["validation_accuracy"] for epoch in epochs if epoch["epoch"] == best), None)
    summary: Json = {
        "seed": files.seed,
        "best_epoch": best,
        "epochs": len(epochs),
        "stopped_early": trained["stopped_early"],
        "validation_accuracy": validation,
        "report": report,
    }
    return _Run(summary, epochs)


def _compared(found: Json) -> Json:
    """The output of `compare`, regrouped into means, differences, and the differences in words, treatment against control first."""
    measured = [name for name in MEASURES if name in found]
    differences = {name: found[name]["differences"] for name in measured}
    words = [differences[name][pair]["sentence"] for pair in differences[measured[0]] for name in measured]
    return {"means": {name: found[name]["means"] for name in measured}, "differences": differences, "words": words}


def _warnings(findings: Json) -> list[str]:
    """The warnings of all reports, without repetition, each with the networks that it applies to."""
    about: dict[str, list[str]] = {text: ["the network as it was"] for text in findings["probe"]["warnings"]}
    for arm in ARMS:
        for run in findings[arm]:
            for text in run["report"]["warnings"]:
                about.setdefault(text, []).append(f"{arm}, seed {run['seed']}")
    everything = 1 + sum(len(findings[arm]) for arm in ARMS)
    return [f"{text} ({'all networks' if len(which) == everything else '; '.join(which)})" for text, which in about.items()]


def _register(session: Session, parent: Model, weights: str, checked: Json, lineage: Json) -> str:
    """Add the fine-tuned network as a ready model; returns its id."""
    now = datetime.now(UTC)
    name = f"{parent.name}, fine-tuned"
    upload = Upload(
        id=new_id("upload"),
        owner_id=parent.owner_id,
        filename=f"{safe_name(parent.name.replace(' ', '-'))}-finetuned.safetensors",
        size_bytes=session.get_one(Blob, weights).size_bytes,
        sha256=weights,
        state="complete",
        expires_at=now,
        completed_at=now,
    )
    session.add(upload)
    session.flush()
    model = Model(
        id=new_id("model"),
        owner_id=parent.owner_id,
        name=name,
        role=parent.role,
        architecture=parent.architecture,
        arguments=parent.arguments,
        upload_id=upload.id,
        weights_of=_published_origin(parent),
        layer=parent.layer,
        pooling=parent.pooling,
        preprocessing=parent.preprocessing,
        lineage=lineage,
        state="ready",
        digest=checked["digest"],
        info=checked["info"],
        checked_at=now,
    )
    session.add(model)
    session.flush()
    return model.id
