"""Models and data sets: registering them, and waiting until a worker has looked at what was sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from iis_client.errors import CheckFailedError
from iis_client.transport import uploads
from iis_client.transport.connection import Connection, given
from iis_client.transport.polling import wait_for
from iis_client.types.concepts import ConceptSetVersion
from iis_client.types.scores import Dataset, Model, Role

CheckedRow = TypeVar("CheckedRow", Model, Dataset, ConceptSetVersion)


class ModelsAndDatasets(Connection):
    """Calls on models and data sets."""

    def create_model(
        self,
        architecture: str,
        *,
        role: Role = "backbone",
        checkpoint: str | Path | None = None,
        text_checkpoint: str | Path | None = None,
        upload: str | None = None,
        text_upload: str | None = None,
        pretrained: str | None = None,
        initial_seed: int | None = None,
        tokenizer: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        layer: str | None = None,
        preprocessing: Mapping[str, Any] | None = None,
        name: str | None = None,
        progress: uploads.UploadProgress | None = None,
    ) -> Model:
        """Register a backbone or a vision-language model; it is `pending` until a worker has loaded it (`wait_until_ready`).

        Parameters
        ----------
        architecture : `timm:NAME`, `torchvision:NAME`, `open_clip:NAME` or `onnx`; the last two for a vision-language model
        role : `vlm` for a model that compares images with phrases; else a backbone
        checkpoint : a file on this machine, uploaded first
        text_checkpoint : of a vision-language model in onnx the text tower, where `checkpoint` is the image tower
        upload, text_upload : ids of the same files uploaded before
        pretrained : a tag of the architecture's own library, in place of a checkpoint
        initial_seed : no weights at all: the architecture untrained, as it is initialised from this seed
        tokenizer : whose tokens that text tower takes, by the name of an open_clip architecture; CLIP's own by default
        arguments : keyword arguments of the architecture, for example {"in_chans": 1}
        layer : which layer is the representation; the pooled penultimate one by default
        preprocessing : what to change of the architecture's own, for example {"input_size": 32}
        """
        if checkpoint is not None:
            upload = self.upload(checkpoint, progress)["id"]
        if text_checkpoint is not None:
            text_upload = self.upload(text_checkpoint, progress)["id"]
        fields = {
            "name": name or (Path(checkpoint).name if checkpoint is not None else None),
            "role": role,
            "architecture": architecture,
            "arguments": dict(arguments or {}),
            "upload": upload,
            "text_upload": text_upload,
            "pretrained": pretrained,
            "initial_seed": initial_seed,
            "tokenizer": tokenizer,
            "layer": layer,
            "preprocessing": dict(preprocessing) if preprocessing is not None else None,
        }
        return cast("Model", self._post("/v1/models", given(fields)))

    def create_dataset(
        self,
        path: str | Path | None = None,
        *,
        upload: str | None = None,
        kind: Literal["images", "features"] = "images",
        server_path: str | None = None,
        hub: Mapping[str, Any] | None = None,
        test_share: float | None = None,
        split_seed: int | None = None,
        name: str | None = None,
        progress: uploads.UploadProgress | None = None,
    ) -> Dataset:
        """Register a data set; it is `pending` until a worker has read it (`wait_until_ready`).

        Parameters
        ----------
        path : a folder of class folders (or train/ and test/ with class folders inside), an archive of one, or a file of features
        upload : the id of an archive or file uploaded before
        kind : `features` for ready matrices with labels
        server_path : a folder that the service can read and allows
        hub : a Hub data set: {"name": …, "revision": …, "image_column": …, "label_column": …}
        test_share, split_seed : how to split a folder that has no train/ and test/
        """
        if path is not None:
            upload = self.upload(path, progress)["id"]
        fields = {
            "name": name or (Path(path).resolve().name if path is not None else None),
            "kind": kind,
            "upload": upload,
            "server_path": server_path,
            "hub": dict(hub) if hub is not None else None,
            "test_share": test_share,
            "split_seed": split_seed,
        }
        return cast("Dataset", self._post("/v1/datasets", given(fields)))

    def model(self, model: str) -> Model:
        """One model."""
        return cast("Model", self._get(f"/v1/models/{model}"))

    def dataset(self, dataset: str) -> Dataset:
        """One data set."""
        return cast("Dataset", self._get(f"/v1/datasets/{dataset}"))

    def models(self) -> Iterator[Model]:
        """Your models, newest first."""
        return cast("Iterator[Model]", self._pages("/v1/models"))

    def datasets(self) -> Iterator[Dataset]:
        """Your data sets, newest first."""
        return cast("Iterator[Dataset]", self._pages("/v1/datasets"))

    def wait_until_ready(self, row: CheckedRow, timeout_seconds: float | None = None) -> CheckedRow:
        """Wait until a worker has looked at a model, a data set or a version of a concept set.

        Raises
        ------
        CheckFailedError
            When it was refused; the text says why and what to send instead.
        WaitTimeoutError
            When the time is over.
        """

        def checked(found: CheckedRow) -> bool:
            return found["state"] != "pending"

        name = f"{row['concept_set']}@{row['number']}" if "concept_set" in row else row["id"]
        found: CheckedRow = wait_for(self._transport, row["links"]["self"], checked, timeout_seconds, name=name)
        error = found["error"]
        if error is not None:
            raise CheckFailedError(name, error["code"], error["message"], error.get("param"))
        return found
