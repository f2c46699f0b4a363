"""The service as Python calls. How requests are sent is in client.transport, how files are in client.uploads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, cast

from client import uploads
from client.address import find_address
from client.errors import CheckFailedError
from client.events import follow
from client.packing import as_one_file
from client.records import (
    FINISHED_STATES,
    Checked,
    Concept,
    ConceptLibrary,
    Curve,
    Dataset,
    Elements,
    Event,
    Job,
    Library,
    Model,
    Result,
    Upload,
)
from client.transport import Transport
from client.waiting import pages, require_success, wait_for

CheckedRow = TypeVar("CheckedRow", Model, Dataset)


class IISClient:
    """A connection to one service under one API key.

    Parameters
    ----------
    base_url : of the service; else IIS_URL, else the stack that `iis up` started on this machine
    api_key : `iis_…`; else IIS_API_KEY, else that stack's own first key

    Raises
    ------
    ConfigurationError
        When neither says where the service is.

    Examples
    --------
    >>> with IISClient() as client:  # doctest: +SKIP
    ...     model = client.create_model("timm:resnet18", checkpoint="resnet18.safetensors")
    ...     data = client.create_dataset("cifar10/")
    ...     job = client.score(model["id"], data["id"], {"kind": "cluster", "concept_count": 200})
    ...     print(client.wait(job["id"]), client.result(job["id"])["report"]["iis"])
    """

    def __init__(self, base_url: str | None = None, api_key: str | None = None, *, transport: Transport | None = None) -> None:
        if transport is None:
            address = find_address(base_url, api_key)
            transport = Transport(address.url, address.api_key)
        self._transport = transport

    @property
    def base_url(self) -> str:
        """Where the service is."""
        return self._transport.base_url

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def upload(self, path: str | Path, progress: uploads.Progress | None = None) -> Upload:
        """Send a file, or a folder as one tar; goes on where an earlier attempt with the same content stopped.

        Parameters
        ----------
        progress : called with (bytes there, bytes in all) as parts go out

        Raises
        ------
        LocalFileError
            When there is nothing to send at the path.
        """
        with as_one_file(Path(path)) as file:
            return uploads.send_file(self._transport, file, progress)

    def create_model(
        self,
        architecture: str,
        *,
        checkpoint: str | Path | None = None,
        upload: str | None = None,
        pretrained: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        layer: str | None = None,
        preprocessing: Mapping[str, Any] | None = None,
        name: str | None = None,
        progress: uploads.Progress | None = None,
    ) -> Model:
        """Register a backbone; it is `pending` until a worker has loaded it (`wait_until_ready`).

        Parameters
        ----------
        architecture : `timm:NAME`, `torchvision:NAME`, `open_clip:NAME` or `onnx`
        checkpoint : a file on this machine, uploaded first
        upload : the id of a checkpoint uploaded before
        pretrained : a tag of the architecture's own library, in place of a checkpoint
        arguments : keyword arguments of the architecture, for example {"in_chans": 1}
        layer : which layer is the representation; the pooled penultimate one by default
        preprocessing : what to change of the architecture's own, for example {"input_size": 32}
        """
        if checkpoint is not None:
            upload = self.upload(checkpoint, progress)["id"]
        fields = {
            "name": name or (Path(checkpoint).name if checkpoint is not None else None),
            "architecture": architecture,
            "arguments": dict(arguments or {}),
            "upload": upload,
            "pretrained": pretrained,
            "layer": layer,
            "preprocessing": dict(preprocessing) if preprocessing is not None else None,
        }
        return cast("Model", self._post("/v1/models", _given(fields)))

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
        progress: uploads.Progress | None = None,
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
        return cast("Dataset", self._post("/v1/datasets", _given(fields)))

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
        """Wait until a worker has looked at a model or data set.

        Raises
        ------
        CheckFailedError
            When it was refused; the text says why and what to send instead.
        WaitTimeoutError
            When the time is over.
        """

        def ready(found: Checked) -> bool:
            return found["state"] != "pending"

        checked = wait_for(self._transport, row["links"]["self"], ready, timeout_seconds)
        error = checked["error"]
        if error is not None:
            raise CheckFailedError(checked["id"], error["code"], error["message"], error.get("param"))
        return cast("CheckedRow", checked)

    def score(
        self,
        model: str | None,
        dataset: str,
        library: Library,
        *,
        elements: Elements | None = None,
        protocol: Literal["exact", "reference"] = "exact",
        seed: int = 0,
        deadline_seconds: float | None = None,
    ) -> Job:
        """Submit a job: score a model on a data set through a concept library. Both must be ready.

        Parameters
        ----------
        model : None for a data set of features
        library : {"kind": "cluster", "concept_count": 200}, or {"id": "lib_…"} for one fitted before
        """
        fields = {
            "kind": "score",
            "model": model,
            "dataset": dataset,
            "library": library,
            "elements": elements,
            "protocol": protocol,
            "seed": seed,
            "deadline_seconds": deadline_seconds,
        }
        return cast("Job", self._post("/v1/jobs", _given(fields)))

    def job(self, job: str) -> Job:
        """One job."""
        return cast("Job", self._get(f"/v1/jobs/{job}"))

    def jobs(self, *, state: str | None = None) -> Iterator[Job]:
        """Your jobs, newest first."""
        return cast("Iterator[Job]", self._pages("/v1/jobs", state=state))

    def cancel(self, job: str) -> Job:
        """Cancel a job: at once while it is queued, within seconds while it runs."""
        return cast("Job", self._post(f"/v1/jobs/{job}/cancel", None))

    def events(self, job: str, last_event_id: int | None = None) -> Iterator[Event]:
        """What happens to a job, live, until it ends; a lost connection is taken up where it broke."""
        return follow(self._transport, job, last_event_id)

    def wait(self, job: str, timeout_seconds: float | None = None) -> Job:
        """Wait until a job has succeeded.

        Raises
        ------
        JobFailedError
            When it failed; the text says why.
        JobCanceledError
            When it was canceled.
        WaitTimeoutError
            When the time is over.
        """

        def finished(found: Job) -> bool:
            return found["state"] in FINISHED_STATES

        return require_success(wait_for(self._transport, f"/v1/jobs/{job}", finished, timeout_seconds))

    def result(self, job: str) -> Result:
        """A finished job's report."""
        return cast("Result", self._get(f"/v1/jobs/{job}/result"))

    def curves(self, job: str) -> list[Curve]:
        """A finished job's ARR curves: its library's and the random control's."""
        return cast("list[Curve]", self._get(f"/v1/jobs/{job}/curves")["data"])

    def plot(self, job: str, name: str = "arr", image_format: Literal["png", "svg"] = "png") -> bytes:
        """A finished job's figure: `arr` or `accuracy`."""
        return self._transport.send("GET", f"/v1/jobs/{job}/plots/{name}.{image_format}").content

    def concept_libraries(self) -> Iterator[ConceptLibrary]:
        """Concept libraries fitted by your jobs, newest first."""
        return cast("Iterator[ConceptLibrary]", self._pages("/v1/concept-libraries"))

    def concept_library(self, library: str) -> ConceptLibrary:
        """One concept library."""
        return cast("ConceptLibrary", self._get(f"/v1/concept-libraries/{library}"))

    def concepts(self, library: str) -> Iterator[Concept]:
        """The concepts of a library by index, each with the elements that show it."""
        return cast("Iterator[Concept]", self._pages(f"/v1/concept-libraries/{library}/concepts"))

    def nearest_concepts(self, library: str, vector: Sequence[float], limit: int = 10) -> list[Concept]:
        """The concepts that point most nearly the way of `vector`, nearest first."""
        found = self._post(f"/v1/concept-libraries/{library}/nearest", {"vector": list(vector), "limit": limit})
        return cast("list[Concept]", found["data"])

    def _get(self, path: str) -> Any:
        return self._transport.send("GET", path).json()

    def _post(self, path: str, fields: Any) -> Any:
        return self._transport.send("POST", path, json=fields).json()

    def _pages(self, path: str, **filters: str | None) -> Iterator[Any]:
        return pages(self._transport, path, _given(filters))


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
