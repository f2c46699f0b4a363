"""All tables. Rows of a tenant have `owner_id`."""

from __future__ import annotations

from app.db.base import Base, Json
from app.db.tables.input_tables import Blob, ConceptSet, ConceptSetVersion, Dataset, Model, Upload, UploadPart
from app.db.tables.job_tables import INTERNAL_JOB_KINDS, PUBLIC_JOB_KINDS, IdempotencyRecord, Job, JobEvent, StageArtifact
from app.db.tables.owner_tables import ApiKey, Owner, RetiredSecret
from app.db.tables.result_tables import (
    Concept,
    ConceptLibrary,
    Curve,
    CurvePoint,
    DroppedPhrase,
    ExplanationBatch,
    FinetuneResult,
    Plot,
    PostedImage,
    Predictor,
    Result,
)
from app.db.tables.share_tables import Share
from app.db.tables.study_tables import Study, StudyCell
from app.db.tables.task_tables import JobTask, Worker
from app.db.tables.webhook_tables import Webhook, WebhookDelivery
from iis_schemas.names import FINISHED_STATES, JOB_STATES

__all__ = [
    "FINISHED_STATES",
    "INTERNAL_JOB_KINDS",
    "JOB_STATES",
    "PUBLIC_JOB_KINDS",
    "ApiKey",
    "Base",
    "Blob",
    "Concept",
    "ConceptLibrary",
    "ConceptSet",
    "ConceptSetVersion",
    "Curve",
    "CurvePoint",
    "Dataset",
    "DroppedPhrase",
    "ExplanationBatch",
    "FinetuneResult",
    "IdempotencyRecord",
    "Job",
    "JobEvent",
    "JobTask",
    "Json",
    "Model",
    "Owner",
    "Plot",
    "PostedImage",
    "Predictor",
    "Result",
    "RetiredSecret",
    "Share",
    "StageArtifact",
    "Study",
    "StudyCell",
    "Upload",
    "UploadPart",
    "Webhook",
    "WebhookDelivery",
    "Worker",
]
