"""Tools of the MCP server: score, wait, result, concepts, explain. Each is one or a few calls of IISClient."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import Field

from iis_client.client import IISClient
from iis_client.errors import ConfigurationError, JobFailedError, WaitTimeoutError
from iis_client.mcp_server.answers import concept_answer, explanation_answer, job_answer, report_answer
from iis_client.mcp_server.local_files import LocalFiles
from iis_client.resources.images import IMAGE_ID
from iis_schemas.jobs.libraries import DEFAULT_CONCEPT_COUNT, MAX_CONCEPTS, MIN_CONCEPTS

CALL_SECONDS = 45
"""Longest wait within a call unless asked for; hosts end calls after about a minute."""
ConceptOrder = Literal["importance", "firing_rate", "purity", "index"]

JobReference = Annotated[str, Field(description="Job: its id, the beginning of its id, its name, or @last for the newest")]


class Tools:
    """The tools, on one service with one key.

    Parameters
    ----------
    files : that may be sent to the service
    """

    def __init__(self, client: IISClient, files: LocalFiles) -> None:
        self._client = client
        self._files = files

    def score(
        self,
        dataset: Annotated[str, Field(description="Registered data set (id, name or @last), or the path of a folder or archive of images")],
        model: Annotated[
            str | None,
            Field(description="Registered model (id, name or @last), or an architecture such as timm:resnet18; absent for ready features"),
        ] = None,
        checkpoint: Annotated[str | None, Field(description="Path of the architecture's weights; default: its published weights")] = None,
        library: Annotated[
            Literal["cluster", "prototype", "end2end", "nmf", "sae", "random"], Field(description="Kind of the concept library")
        ] = "cluster",
        concept_count: Annotated[int, Field(description="Number of concepts M", ge=MIN_CONCEPTS, le=MAX_CONCEPTS)] = DEFAULT_CONCEPT_COUNT,
        name: Annotated[str | None, Field(description="Name of the job, to find it by")] = None,
    ) -> dict[str, Any]:
        """Submit a job that scores how interpretable the representation of a vision model is. Continue with `wait`."""
        model_id = self._model(model, checkpoint)
        dataset_id = self._dataset(dataset)
        job = self._client.score(model_id, dataset_id, {"kind": library, "concept_count": concept_count}, name=name)
        return job_answer(job, self._client.base_url)

    def wait(
        self,
        job: JobReference,
        timeout_seconds: Annotated[float, Field(description="Longest wait", ge=0, le=600)] = CALL_SECONDS,
    ) -> dict[str, Any]:
        """Wait until a job has finished; return its state, progress, and the reason of a failure. Call it again while the job runs."""
        found = self._client.find_id("job", job)
        with suppress(WaitTimeoutError, JobFailedError):  # the state says so
            self._client.wait(found, timeout_seconds)
        return job_answer(self._client.job(found), self._client.base_url)

    def result(self, job: JobReference) -> dict[str, Any]:
        """Score of a finished job: verdict, Inherent Interpretability Score (IIS) with interval, controls, curve, warnings and notes."""
        found = self._client.find_id("job", job)
        return report_answer(self._client.result(found), self._client.base_url)

    def concepts(
        self,
        job: JobReference,
        order: Annotated[ConceptOrder, Field(description="Highest first; `index` is the order of the library")] = "importance",
        limit: Annotated[int, Field(description="Number of concepts", ge=1, le=200)] = 20,
    ) -> dict[str, Any]:
        """Concepts that the model is read through: names, importance, firing rate, purity, most frequent class, example images."""
        found = self._client.find_id("job", job)
        library = self._client.result(found).library
        if library is None:
            raise ConfigurationError(f"Job {found} has no concept library.")
        metrics = {each.concept: each for each in self._client.concept_metrics(found)}
        uses = {each.concept: each for each in self._client.concept_uses(found)}
        listed = [concept_answer(each, uses.get(each.index), metrics.get(each.index)) for each in self._client.concepts(library)]
        if order != "index":
            listed.sort(key=lambda each: -_number(each, order))
        return {"job": found, "library": library, "concept_count": len(listed), "concepts": list(islice(listed, limit))}

    def explain(
        self,
        job: JobReference,
        image: Annotated[str, Field(description="Index of a test image, id of a posted image (img_…), or the path of an image")],
        kept: Annotated[int | None, Field(description="Number of concepts kept, a point of the curve; default: a tenth", ge=1)] = None,
        top: Annotated[int, Field(description="Number of supporting and of opposing concepts", ge=1, le=50)] = 5,
        contrast: Annotated[str | None, Field(description="Class to explain the predicted class against")] = None,
    ) -> dict[str, Any]:
        """Explain the prediction for an image by the contributions of concepts, with the smallest change that alters it."""
        found = self._client.find_id("job", job)
        given = image if image.isdecimal() or IMAGE_ID.fullmatch(image) else self._files.resolve(image)
        explanation = self._client.explain(found, given, kept=kept, top=top, contrast=contrast)
        return explanation_answer(explanation, self._client.base_url)

    def _model(self, model: str | None, checkpoint: str | None) -> str | None:
        if model is None or ":" not in model:
            if checkpoint is not None:
                raise ConfigurationError(f"A checkpoint needs an architecture such as timm:resnet18 as `model`, not {model or 'none'}.")
            return None if model is None else self._client.find_id("model", model)
        path = None if checkpoint is None else self._files.resolve(checkpoint)
        return self._client.wait_until_ready(self._client.create_model(model, checkpoint=path), CALL_SECONDS).id

    def _dataset(self, dataset: str) -> str:
        if "/" not in dataset and not self._files.has(dataset):
            return self._client.find_id("dataset", dataset)
        path = self._files.resolve(dataset)
        kind = "features" if path.suffix in (".npz", ".safetensors") else None
        return self._client.wait_until_ready(self._client.create_dataset(path, kind=kind), CALL_SECONDS).id


def _number(concept: Mapping[str, Any], name: str) -> float:
    value = concept.get(name)
    return float("-inf") if value is None else float(value)
