"""Models of the protocol: a job is a model, and each number of kept concepts, so each of its predictors, is a version."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.errors import Conflict, NotFound
from app.jobs.service import succeeded_job
from app.predictors import service as predictors
from app.predictors.service import Found
from iis_engine.nodes import choose_node
from iis_schemas.inference import ModelMetadata, TensorMetadata

PLATFORM = "iis_predictor"
MAX_VERSIONS = 1000  # a curve has some 20 nodes
INPUT = TensorMetadata(name="image", datatype="BYTES", shape=[-1])
OUTPUTS = (
    TensorMetadata(name="label", datatype="BYTES", shape=[-1]),
    TensorMetadata(name="label_index", datatype="INT64", shape=[-1]),
    TensorMetadata(name="probabilities", datatype="FP64", shape=[-1, -1]),
    TensorMetadata(name="class_names", datatype="BYTES", shape=[-1]),
    TensorMetadata(name="concepts", datatype="INT64", shape=[-1, -1]),
    TensorMetadata(name="concept_names", datatype="BYTES", shape=[-1, -1]),
    TensorMetadata(name="activations", datatype="FP64", shape=[-1, -1]),
    TensorMetadata(name="contributions", datatype="FP64", shape=[-1, -1]),
)


@dataclass(frozen=True)
class ServedModel:
    """One version of a model.

    Attributes
    ----------
    versions : of the model: numbers of kept concepts, ascending
    """

    found: Found
    versions: list[int]

    @property
    def metadata(self) -> ModelMetadata:
        """What the protocol says of a model."""
        versions = [str(version) for version in self.versions]
        return ModelMetadata(name=self.found.view.job, versions=versions, platform=PLATFORM, inputs=[INPUT], outputs=list(OUTPUTS))


def served_model(session: Session, owner_id: str, name: str, version: str | None) -> ServedModel:
    """The model of a name, which is the id of a scored job; without a version the node of its explanations, nearest to max(5, M/10).

    Raises
    ------
    NotFound
        When the owner has no such job, or its curve has no such node.
    Conflict
        When the job has not succeeded, has no predictors, or was scored on ready features, so that no network reads images.
    """
    job = succeeded_job(session, owner_id, name)
    listed = predictors.list_predictors(session, owner_id, job=job.id, after=None, limit=MAX_VERSIONS)
    if not listed:
        raise Conflict(f"Job {name} has no predictors; score it with protocol exact.", code="no_predictor")
    by_kept = {view.kept: view.id for view in listed}
    versions = sorted(by_kept)
    if version is None:
        kept = choose_node(versions, listed[0].concept_count)
    elif version in (named := {str(each): each for each in versions}):
        kept = named[version]
    else:
        raise NotFound(f"Model {name} has no version {version[:40]}; its versions are {', '.join(map(str, versions))}.")
    found = predictors.find_predictor(session, owner_id, by_kept[kept])
    predictors.require_predictable(found, images=1)
    return ServedModel(found, versions)
