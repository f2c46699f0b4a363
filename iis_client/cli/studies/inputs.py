"""Register the models, data sets and phrases of a study file; find by content what the service has already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.vocabulary_options import ensure_vocabulary, wait_for_phrases
from iis_client.cli.studies.file import LocalStudy
from iis_client.client import IISClient
from iis_client.errors import CheckFailedError, ConfigurationError, NotFoundError
from iis_client.transport.packing import content_digest, file_digest
from iis_schemas.concept_sets import ConceptSetVersionView
from iis_schemas.datasets import DatasetView
from iis_schemas.models import ModelView
from iis_schemas.studies.file import Source
from iis_schemas.studies.sources import FileDataset, FileModel, FileVlm

Resource = ModelView | DatasetView

AnyResource = TypeVar("AnyResource", ModelView, DatasetView)


class RegisteredInputs:
    """Models and data sets of the service, found by content: the same weights under another name are the same model.

    Lists and digests are read when they are needed, each once.
    """

    def __init__(self, client: IISClient, study: LocalStudy) -> None:
        self._client = client
        self._study = study
        self._models = _CachedList(client.models())
        self._datasets = _CachedList(client.datasets())
        self._by_id: dict[str, Resource] = {}
        self._upload_digests: dict[str, str] = {}
        self._local_digests: dict[Path, str] = {}

    def find(self, key: str, source: Source) -> Resource | None:
        """The resource of a source, if one is registered and did not fail.

        Raises
        ------
        ConfigurationError
            When the file names an id that does not exist; the sentence names its key.
        """
        if source.id is not None:
            return self._by_its_id(key, source, source.id)
        if isinstance(source, FileDataset):
            return next((dataset for dataset in self._datasets if self._is_dataset(source, dataset)), None)
        return next((model for model in self._models if self._is_model(source, model)), None)

    def add(self, resource: Resource) -> None:
        """Remember a resource that was registered just now."""
        if isinstance(resource, ModelView):
            self._models.add(resource)
        else:
            self._datasets.add(resource)

    def _by_its_id(self, key: str, source: Source, resource_id: str) -> Resource:
        if resource_id not in self._by_id:
            try:
                is_dataset = isinstance(source, FileDataset)
                self._by_id[resource_id] = self._client.dataset(resource_id) if is_dataset else self._client.model(resource_id)
            except NotFoundError as error:
                raise ConfigurationError(f"{self._study.at(key)}: {error}") from error
        return self._by_id[resource_id]

    def _is_model(self, source: FileModel | FileVlm, model: ModelView) -> bool:
        checkpoint, text_checkpoint = self._study.checkpoints(source)
        return (
            model.state != "failed"
            and model.role == _role(source)
            and (model.architecture, model.arguments, model.pretrained) == (source.architecture, source.arguments, source.pretrained)
            and model.initial_seed == (source.initial_seed if isinstance(source, FileModel) else None)
            and (model.layer, model.pooling) == ((source.layer, source.pooling) if isinstance(source, FileModel) else (None, None))
            and model.weights_of == source.weights_of
            and model.tokenizer == (source.tokenizer if isinstance(source, FileVlm) else None)
            and _settings(model.preprocessing) == _settings(source.preprocessing)
            and self._has_content(model.upload, checkpoint)
            and self._has_content(model.text_upload, text_checkpoint)
        )

    def _is_dataset(self, source: FileDataset, dataset: DatasetView) -> bool:
        return (
            dataset.state != "failed"
            and dataset.kind == source.kind
            and _settings(dataset.hub) == _settings(source.hub)
            and _same_server_path(dataset.server_path, source.server_path)
            and (dataset.test_share, dataset.split_seed) == (source.test_share, source.split_seed)
            and source.name in (None, dataset.name)
            and self._has_content(dataset.upload, self._study.data(source))
            and self._is_manifest(source, dataset)
        )

    def _is_manifest(self, source: FileDataset, dataset: DatasetView) -> bool:
        chosen, table = source.manifest, dataset.manifest
        if chosen is None or table is None:
            return chosen is None and table is None
        columns = table.model_dump(include={"path_column", "label_column", "split_column"}, exclude_none=True)
        return (table.path, columns) == (chosen.inside, chosen.columns) and self._has_content(table.upload, self._study.manifest(source))

    def _has_content(self, upload: str | None, path: Path | None) -> bool:
        """Whether an upload has the content of a local file or folder, or both are missing."""
        if upload is None or path is None:
            return upload is None and path is None
        if upload not in self._upload_digests:
            self._upload_digests[upload] = self._client.upload_status(upload).sha256
        if path not in self._local_digests:
            self._local_digests[path] = content_digest(path)
        return self._upload_digests[upload] == self._local_digests[path]


class _CachedList(Generic[AnyResource]):
    """A list of the service, read page by page as far as needed, each page once."""

    def __init__(self, resources: Iterator[AnyResource]) -> None:
        self._read: list[AnyResource] = []
        self._resources = resources

    def __iter__(self) -> Iterator[AnyResource]:
        yield from self._read
        for resource in self._resources:
            self._read.append(resource)
            yield resource

    def add(self, resource: AnyResource) -> None:
        self._read.append(resource)


def register_inputs(client: IISClient, terminal: Terminal, study: LocalStudy, registered: RegisteredInputs) -> dict[str, Resource]:
    """Register the models and data sets that the service does not have; return all of them, ready, by key.

    Raises
    ------
    ConfigurationError
        When the file names an id that does not exist; nothing is uploaded then.
    CheckFailedError
        When a worker rejects one; the sentence names its key.
    """
    sources = study.content.sources()
    for key, source in sources.items():
        if source.id is not None and (found := registered.find(key, source)) is not None and found.state == "failed":
            _wait_until_ready(client, study.at(key), found)  # raises the reason
    resources = {
        key: registered.find(key, source) or _register(client, terminal, study, source, registered) for key, source in sources.items()
    }
    with terminal.spinner("A worker checks models and data sets"):
        return {key: _wait_until_ready(client, study.at(key), resource) for key, resource in resources.items()}


def require_single_dataset(study: LocalStudy, scored: Sequence[str], registered: RegisteredInputs) -> None:
    """Refuse phrases of class names for an extended study that scores several data sets, before anything is uploaded.

    Parameters
    ----------
    scored : ids of the data sets of the study

    Raises
    ------
    ConfigurationError
    """
    if study.vocabulary is None or not study.vocabulary.from_classes:
        return
    found = [registered.find(f"datasets[{place}]", source) for place, source in enumerate(study.content.datasets)]
    if len({*scored, *(dataset.id if dataset is not None else "" for dataset in found)}) > 1:
        raise ConfigurationError(
            f"{study.at('vocabulary')}: from-classes requires a single data set, and the study would have several;"
            " give a concept set or a file of phrases."
        )


def register_phrases(client: IISClient, terminal: Terminal, study: LocalStudy, dataset: str) -> str | None:
    """Return the vocabulary of a study request, ready; a file or class names become a concept set once.

    Parameters
    ----------
    dataset : id of the data set whose class names from-classes uses
    """
    source = study.vocabulary
    if source is None:
        return None
    if source.concept_set is not None:
        return ensure_vocabulary(client, terminal, source, dataset)
    name = _concept_set_name(study, dataset)
    version = _find_version(client, name)
    if version is None:
        from_classes = dataset if source.from_classes else None
        version = client.create_concept_set(source.file, from_classes=from_classes, name=name).version
    version = wait_for_phrases(client, terminal, version)
    return f"{version.concept_set}@{version.number}"


def registered_phrases(client: IISClient, study: LocalStudy, dataset: str | None) -> str | None:
    """The vocabulary that `register_phrases` would return, if it exists already."""
    source = study.vocabulary
    if source is None:
        return None
    if source.concept_set is not None:
        return source.concept_set if source.number is None else f"{source.concept_set}@{source.number}"
    if source.file is None and dataset is None:
        return None
    version = _find_version(client, _concept_set_name(study, dataset or ""))
    return f"{version.concept_set}@{version.number}" if version is not None else None


def _find_version(client: IISClient, name: str) -> ConceptSetVersionView | None:
    """First version of a concept set of that name that did not fail."""
    named = (concept_set for concept_set in client.concept_sets() if concept_set.name == name)
    versions = (client.concept_set_version(concept_set, 1) for concept_set in named)
    return next((version for version in versions if version.state != "failed"), None)


def _concept_set_name(study: LocalStudy, dataset: str) -> str:
    """A name derived from the content, so that the same phrases are found again."""
    file = study.vocabulary.file if study.vocabulary is not None else None
    return f"classes of {dataset}" if file is None else f"{file.name} {file_digest(file)[:16]}"


def _role(source: FileModel | FileVlm) -> str:
    return "vlm" if isinstance(source, FileVlm) else "backbone"


def _settings(settings: BaseModel | None) -> dict[str, Any]:
    return {} if settings is None else settings.model_dump(mode="json", exclude_none=True)


def _same_server_path(one: str | None, other: str | None) -> bool:
    """Whether two server paths are equal up to slashes and dots; `..` matters after a link."""
    return one == other or (one is not None and other is not None and PurePosixPath(one) == PurePosixPath(other))


def _register(client: IISClient, terminal: Terminal, study: LocalStudy, source: Source, registered: RegisteredInputs) -> Resource:
    if isinstance(source, FileDataset):
        resource: Resource = _register_dataset(client, terminal, study, source)
    else:
        resource = _register_model(client, terminal, study, source)
    registered.add(resource)
    return resource


def _register_dataset(client: IISClient, terminal: Terminal, study: LocalStudy, source: FileDataset) -> DatasetView:
    path, table, chosen = study.data(source), study.manifest(source), None
    if source.manifest is not None:
        with terminal.upload_bar(table) as progress:
            place = {"path": source.manifest.inside} if table is None else {"upload": client.upload(table, progress).id}
        chosen = {**place, **source.manifest.columns}
    with terminal.upload_bar(path) as progress:
        return client.create_dataset(
            path,
            kind=source.kind,
            server_path=source.server_path,
            hub=source.hub,
            manifest=chosen,
            test_share=source.test_share,
            split_seed=source.split_seed,
            name=source.name,
            progress=progress,
        )


def _register_model(client: IISClient, terminal: Terminal, study: LocalStudy, source: FileModel | FileVlm) -> ModelView:
    uploads: list[str | None] = []
    for file in study.checkpoints(source):
        with terminal.upload_bar(file) as progress:
            uploads.append(client.upload(file, progress).id if file is not None else None)
    settings: dict[str, Any] = {
        "upload": uploads[0],
        "pretrained": source.pretrained,
        "weights_of": source.weights_of,
        "arguments": source.arguments,
        "preprocessing": source.preprocessing,
    }
    architecture = source.architecture or ""
    if isinstance(source, FileVlm):
        return client.create_model(architecture, role="vlm", text_upload=uploads[1], tokenizer=source.tokenizer, **settings)
    settings |= {"initial_seed": source.initial_seed, "layer": source.layer, "pooling": source.pooling}
    return client.create_model(architecture, name=source.shown, **settings)


def _wait_until_ready(client: IISClient, at: str, resource: Resource) -> Resource:
    try:
        return client.wait_until_ready(resource)
    except CheckFailedError as error:
        raise CheckFailedError(error.resource, error.code, f"{at}: {error}", error.param) from error
