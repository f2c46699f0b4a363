"""Models and data sets: register, list, and wait until a worker has checked them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from http.client import OK
from pathlib import Path
from typing import Any, TypeVar, Unpack

from pydantic import BaseModel

from iis_client.answers import RegisteredDataset, RegisteredModel
from iis_client.errors import CheckFailedError
from iis_client.resources.descriptions import DescriptionChanges, ListFilters, NameOrder, change_body, list_query
from iis_client.transport.connection import Connection
from iis_client.transport.messages import build_request, id_of, parse_answer, request_body
from iis_client.transport.polling import wait_for
from iis_client.transport.uploads import UploadProgress
from iis_schemas.concept_sets import ConceptSetVersionView
from iis_schemas.datasets import DatasetCreate, DatasetView, HubChoice, ManifestChoice
from iis_schemas.descriptions import DescriptionUpdate
from iis_schemas.models import ModelCreate, ModelView, PreprocessingChoice
from iis_schemas.names import DatasetKind, PoolingName, Role
from iis_schemas.uploads import UploadView
from iis_schemas.uses import UsesView

CheckedResource = TypeVar("CheckedResource", bound=ModelView | DatasetView | ConceptSetVersionView)
Registered = TypeVar("Registered", RegisteredModel, RegisteredDataset)

NOT_SENT = "upl_not_sent_yet"
"""In place of the id of a file that is sent after the request has been checked."""


class ModelsAndDatasets(Connection):
    """Calls on models and data sets."""

    def create_model(
        self,
        architecture: str,
        *,
        role: Role | None = None,
        checkpoint: str | Path | None = None,
        text_checkpoint: str | Path | None = None,
        upload: str | UploadView | None = None,
        text_upload: str | UploadView | None = None,
        pretrained: str | None = None,
        weights_of: str | None = None,
        initial_seed: int | None = None,
        tokenizer: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        layer: str | None = None,
        pooling: PoolingName | None = None,
        preprocessing: PreprocessingChoice | Mapping[str, Any] | None = None,
        name: str | None = None,
        notes: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, str] | None = None,
        progress: UploadProgress | None = None,
    ) -> RegisteredModel:
        """Register a backbone or a vision-language model; it is `pending` until a worker has loaded it (`wait_until_ready`).

        Where you have a model of the same content with the same settings, the answer is that one, unchanged, and `existed` is true.

        Parameters
        ----------
        architecture : `timm:NAME`, `torchvision:NAME`, `open_clip:NAME`, `hf:ORG/NAME` or `timm:hf-hub:ORG/NAME` (repositories of the
            Hugging Face Hub, where the service may download), `transformers` or `onnx`; for a vision-language model,
            `open_clip:NAME` or `onnx`
        role : `vlm` for a vision-language model; default: `backbone`
        checkpoint : a local file, which is uploaded first; without one, `pretrained` and `initial_seed`, the default weights of the
            architecture's library
        text_checkpoint : text tower of a vision-language model in onnx, where `checkpoint` is the image tower
        upload, text_upload : the same files, uploaded before
        pretrained : pretrained tag of the architecture's library, instead of a checkpoint
        weights_of : tag of the published weights that the checkpoint has or was trained from, for preprocessing and activation
        initial_seed : no checkpoint: the untrained architecture, initialised from this seed
        tokenizer : tokenizer of that text tower, by the name of an open_clip architecture; default: CLIP's
        arguments : keyword arguments of the architecture, for example {"in_chans": 1}
        layer : layer whose output is the representation; default: the pooled penultimate layer
        pooling : of that layer: `class` token, mean of `patches` or of `all` tokens but registers, or attention pool (`map`)
        preprocessing : overrides of the architecture's preprocessing, for example {"input_size": 32}
        name, notes, tags, metadata : of your own, to find it by (`update_model` changes them)

        Raises
        ------
        ConfigurationError
            When an argument is not valid.
        """
        upload = NOT_SENT if checkpoint is not None else upload
        text_upload = NOT_SENT if text_checkpoint is not None else text_upload
        fields = {
            "name": name or (Path(checkpoint).name if checkpoint is not None else None),
            "role": role,
            "architecture": architecture,
            "arguments": dict(arguments or {}),
            "upload": None if upload is None else id_of(upload),
            "text_upload": None if text_upload is None else id_of(text_upload),
            "pretrained": pretrained,
            "weights_of": weights_of,
            "initial_seed": initial_seed,
            "tokenizer": tokenizer,
            "layer": layer,
            "pooling": pooling,
            "preprocessing": preprocessing,
            "notes": notes,
            "tags": tags,
            "metadata": metadata,
        }
        request = build_request(ModelCreate, fields)
        if checkpoint is not None:
            request.upload = self.upload(checkpoint, progress).id
        if text_checkpoint is not None:
            request.text_upload = self.upload(text_checkpoint, progress).id
        return self._register(RegisteredModel, "/v1/models", request)

    def create_dataset(
        self,
        path: str | Path | None = None,
        *,
        upload: str | UploadView | None = None,
        kind: DatasetKind | None = None,
        server_path: str | None = None,
        hub: HubChoice | Mapping[str, Any] | None = None,
        manifest: str | Path | ManifestChoice | Mapping[str, Any] | None = None,
        test_share: float | None = None,
        split_seed: int | None = None,
        name: str | None = None,
        notes: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, str] | None = None,
        progress: UploadProgress | None = None,
    ) -> RegisteredDataset:
        """Register a data set; it is `pending` until a worker has read it (`wait_until_ready`).

        Where you have a data set of the same content with the same settings, the answer is that one, unchanged, and `existed` is true.

        Parameters
        ----------
        path : a folder of class folders (or train/ and test/ with class folders inside), an archive of one, or a file of features
        upload : an archive or file, uploaded before
        kind : `features` for matrices of features with labels; default: `images`
        server_path : a folder on the server that its operator allows
        hub : a Hub data set: {"name": …, "revision": …, "image_column": …, "label_column": …}
        manifest : a local table of paths, labels and splits, or a choice: {"path": …} for one among the images, {"upload": …} for one
            uploaded before, with the columns' names if they are unusual: {"path_column": …, "label_column": …, "split_column": …}
        test_share, split_seed : split of a folder without train/ and test/
        name, notes, tags, metadata : of your own, to find it by (`update_dataset` changes them)

        Raises
        ------
        ConfigurationError
            When an argument is not valid.
        """
        upload = NOT_SENT if path is not None else upload
        table = manifest if isinstance(manifest, (str, Path)) else None
        fields = {
            "name": name or (Path(path).resolve().name if path is not None else None),
            "kind": kind,
            "upload": None if upload is None else id_of(upload),
            "server_path": server_path,
            "hub": hub,
            "manifest": {"upload": NOT_SENT} if table is not None else manifest,
            "test_share": test_share,
            "split_seed": split_seed,
            "notes": notes,
            "tags": tags,
            "metadata": metadata,
        }
        request = build_request(DatasetCreate, fields)
        if path is not None:
            request.upload = self.upload(path, progress).id
        if table is not None:
            request.manifest = ManifestChoice(upload=self.upload(table, progress).id)
        return self._register(RegisteredDataset, "/v1/datasets", request)

    def model(self, model: str | ModelView) -> ModelView:
        """One model."""
        return self._get(ModelView, f"/v1/models/{id_of(model)}")

    def dataset(self, dataset: str | DatasetView) -> DatasetView:
        """One data set."""
        return self._get(DatasetView, f"/v1/datasets/{id_of(dataset)}")

    def models(self, *, sort: NameOrder | None = None, **filters: Unpack[ListFilters]) -> Iterator[ModelView]:
        """Your models, newest first unless sorted; with `tags`, `metadata` and `name_contains`, those that match all of them."""
        return self._pages(ModelView, "/v1/models", list_query(filters, sort))

    def datasets(self, *, sort: NameOrder | None = None, **filters: Unpack[ListFilters]) -> Iterator[DatasetView]:
        """Your data sets, newest first unless sorted; with `tags`, `metadata` and `name_contains`, those that match all of them."""
        return self._pages(DatasetView, "/v1/datasets", list_query(filters, sort))

    def update_model(self, model: str | ModelView, **changes: Unpack[DescriptionChanges]) -> ModelView:
        """Change `name`, `notes`, `tags` or `metadata` of a model; other fields do not change. None removes, also a value of `metadata`."""
        return self._patch(ModelView, f"/v1/models/{id_of(model)}", change_body(DescriptionUpdate, changes))

    def update_dataset(self, dataset: str | DatasetView, **changes: Unpack[DescriptionChanges]) -> DatasetView:
        """Change `name`, `notes`, `tags` or `metadata` of a data set; other fields do not change. None removes, as for `update_model`."""
        return self._patch(DatasetView, f"/v1/datasets/{id_of(dataset)}", change_body(DescriptionUpdate, changes))

    def model_uses(self, model: str | ModelView) -> UsesView:
        """Numbers of the jobs, studies and concept libraries that use a model, to read before it is deleted."""
        return self._get(UsesView, f"/v1/models/{id_of(model)}/uses")

    def dataset_uses(self, dataset: str | DatasetView) -> UsesView:
        """Numbers of the jobs, studies and concept libraries that use a data set, to read before it is deleted."""
        return self._get(UsesView, f"/v1/datasets/{id_of(dataset)}/uses")

    def delete_model(self, model: str | ModelView) -> None:
        """Delete a model and cancel its validation; results of finished jobs stay readable.

        Raises
        ------
        ConflictError
            While a job that needs it has not finished.
        """
        self._delete(f"/v1/models/{id_of(model)}")

    def delete_dataset(self, dataset: str | DatasetView) -> None:
        """Delete a data set and cancel its validation; results of finished jobs stay readable.

        Raises
        ------
        ConflictError
            While a job that needs it has not finished.
        """
        self._delete(f"/v1/datasets/{id_of(dataset)}")

    def _register(self, model: type[Registered], path: str, request: BaseModel) -> Registered:
        response = self._transport.send("POST", path, json=request_body(request))
        return parse_answer(model, {**response.json(), "existed": response.status_code == OK})

    def wait_until_ready(self, resource: CheckedResource, timeout_seconds: float | None = None) -> CheckedResource:
        """Wait until a worker has checked a model, a data set or a version of a concept set.

        Raises
        ------
        CheckFailedError
            When the worker rejected it; the text says why and what to send instead.
        WaitTimeoutError
            When it is not checked within `timeout_seconds`.
        """

        def unfinished_state(answer: CheckedResource) -> str | None:
            return "pending" if answer.state == "pending" else None

        name = f"{resource.concept_set}@{resource.number}" if isinstance(resource, ConceptSetVersionView) else resource.id
        checked = wait_for(self._transport, type(resource), resource.links["self"], unfinished_state, timeout_seconds, name=name)
        if checked.error is not None:
            raise CheckFailedError(name, checked.error.code, checked.error.message, checked.error.param)
        return checked
