"""What a study's file names, at the service: found there by content, or else sent. What is asked for with it is in .request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar

from iis_client.cli.output.terminal import Terminal
from iis_client.cli.studies.file import StudyFile
from iis_client.cli.studies.sources import DatasetSource, ModelSource
from iis_client.cli.vocabulary_options import VocabularySource, ensure_vocabulary, wait_for_phrases
from iis_client.client import IISClient
from iis_client.errors import CheckFailedError, ConfigurationError, NotFoundError
from iis_client.transport.packing import content_digest, file_digest
from iis_client.types.concepts import ConceptSetVersion
from iis_client.types.scores import Dataset, Model

Source = ModelSource | DatasetSource
Row = Model | Dataset

OneRow = TypeVar("OneRow", Model, Dataset)


class Registered:
    """What the service has already, told apart by content: the same weights under another name are the same model.

    Rows and digests are looked up when they are needed, each once.
    """

    def __init__(self, client: IISClient) -> None:
        self._client = client
        self._models = _Remembered(client.models())
        self._datasets = _Remembered(client.datasets())
        self._by_id: dict[str, Row] = {}
        self._sent: dict[str, str] = {}
        self._local: dict[Path, str] = {}

    def find(self, source: Source) -> Row | None:
        """The row of a source, if there is one that was not refused.

        Raises
        ------
        ConfigurationError
            When the file names an id that is not there; the text says where.
        """
        if source.id is not None:
            return self._named(source, source.id)
        if isinstance(source, ModelSource):
            return next((row for row in self._models if self._is_model(source, row)), None)
        return next((row for row in self._datasets if self._is_dataset(source, row)), None)

    def add_model(self, model: Model) -> None:
        """Remember one that was registered just now."""
        self._models.add(model)

    def add_dataset(self, dataset: Dataset) -> None:
        """Remember one that was registered just now."""
        self._datasets.add(dataset)

    def _named(self, source: Source, name: str) -> Row:
        if name not in self._by_id:
            try:
                self._by_id[name] = self._client.model(name) if isinstance(source, ModelSource) else self._client.dataset(name)
            except NotFoundError as error:
                raise ConfigurationError(f"{source.at}: {error}") from error
        return self._by_id[name]

    def _is_model(self, source: ModelSource, row: Model) -> bool:
        told = {name: getattr(source, name) for name in ("role", "architecture", "pretrained", "initial_seed", "layer", "arguments")}
        return (
            row["state"] != "failed"
            and all(row[name] == value for name, value in told.items())
            and (row["preprocessing"] or {}) == (source.preprocessing or {})
            and row["tokenizer"] == source.tokenizer
            and self._holds(row["upload"], source.checkpoint)
            and self._holds(row["text_upload"], source.text_checkpoint)
        )

    def _is_dataset(self, source: DatasetSource, row: Dataset) -> bool:
        hub = {name: value for name, value in (row["hub"] or {}).items() if value is not None}
        return (
            row["state"] != "failed"
            and (row["kind"], hub) == (source.kind, source.hub or {})
            and _same_place(row["server_path"], source.server_path)
            and (row["test_share"], row["split_seed"]) == (source.test_share, source.split_seed)
            and source.name in (None, row["name"])
            and self._holds(row["upload"], source.path)
        )

    def _holds(self, upload: str | None, path: Path | None) -> bool:
        """Whether an upload has the content of a file or folder on this machine; neither there is alike, too."""
        if upload is None or path is None:
            return upload is None and path is None
        if upload not in self._sent:
            self._sent[upload] = self._client.sent(upload)["sha256"]
        if path not in self._local:
            self._local[path] = content_digest(path)
        return self._sent[upload] == self._local[path]


class _Remembered(Generic[OneRow]):
    """A list of the service that is read page by page, as far as it is needed, and each page once."""

    def __init__(self, rows: Iterator[OneRow]) -> None:
        self._read: list[OneRow] = []
        self._rows = rows

    def __iter__(self) -> Iterator[OneRow]:
        yield from self._read
        for row in self._rows:
            self._read.append(row)
            yield row

    def add(self, row: OneRow) -> None:
        self._read.append(row)


def provide(client: IISClient, terminal: Terminal, sources: Sequence[Source], registered: Registered) -> dict[str, Row]:
    """The rows of all sources, ready, by where the file names them; only what the service has not got is sent.

    Raises
    ------
    ConfigurationError
        When the file names an id that is not there, before anything is sent.
    CheckFailedError
        When a worker refuses one; the text says where the file names it.
    """
    for source in sources:
        if source.id is not None and (row := registered.find(source)) is not None and row["state"] == "failed":
            _ready(client, source.at, row)  # says why
    found = {source.at: registered.find(source) or _register(client, terminal, source, registered) for source in sources}
    with terminal.spinner("A worker checks models and data sets"):
        return {at: _ready(client, at, row) for at, row in found.items()}


def require_one_scored(study: StudyFile, scored: Sequence[str], registered: Registered) -> None:
    """Refuse phrases of class names for an extended study that scores several data sets, before anything is sent.

    Parameters
    ----------
    scored : ids of the data sets that the study scores already

    Raises
    ------
    ConfigurationError
    """
    if study.vocabulary is None or not study.vocabulary.from_classes:
        return
    rows = [registered.find(source) for source in study.datasets]
    if len({*scored, *(row["id"] if row is not None else "" for row in rows)}) > 1:
        raise ConfigurationError(
            f"{study.path.name}: vocabulary: from-classes takes the classes of one data set, and the study would have several;"
            " name a concept set or a file of phrases."
        )


def provide_phrases(client: IISClient, terminal: Terminal, study: StudyFile, dataset: str) -> str | None:
    """The vocabulary as a study names it, its phrases ready; a file or the names of classes become a concept set once.

    Parameters
    ----------
    dataset : id of the one whose classes are meant, where the file says from-classes
    """
    source = study.vocabulary
    if source is None:
        return None
    if source.concept_set is not None:
        return ensure_vocabulary(client, terminal, source, dataset)
    name = _name_of(source, dataset)
    version = _made(client, name)
    if version is None:
        version = client.create_concept_set(source.file, from_classes=dataset if source.from_classes else None, name=name)["version"]
    version = wait_for_phrases(client, terminal, version)
    return f"{version['concept_set']}@{version['number']}"


def known_phrases(client: IISClient, study: StudyFile, rows: Mapping[str, Row]) -> str | None:
    """The vocabulary as `provide_phrases` would say it, where nothing has to be made for it; None where something has, or there is none."""
    source = study.vocabulary
    if source is None:
        return None
    if source.concept_set is not None:
        number = f"@{source.number}" if source.number is not None else ""
        return f"{source.concept_set}{number}"
    dataset = rows.get(study.datasets[0].at)
    if source.file is None and dataset is None:
        return None
    version = _made(client, _name_of(source, dataset["id"] if dataset is not None else ""))
    return f"{version['concept_set']}@{version['number']}" if version is not None else None


def _made(client: IISClient, name: str) -> ConceptSetVersion | None:
    """The phrases that were made under a name, if there are any that were not refused: what failed once is made again."""
    named = (each for each in client.concept_sets() if each["name"] == name)
    versions = (client.concept_set_version(each["id"], 1) for each in named)
    return next((version for version in versions if version["state"] != "failed"), None)


def _name_of(source: VocabularySource, dataset: str) -> str:
    """A name that says the content, so that the same phrases are found again."""
    if source.file is None:
        return f"classes of {dataset}"
    return f"{source.file.name} {file_digest(source.file)[:16]}"


def _same_place(one: str | None, other: str | None) -> bool:
    """Whether two paths on the server are written alike, but for slashes and dots that say nothing; `..` says something after a link."""
    return one == other or (one is not None and other is not None and PurePosixPath(one) == PurePosixPath(other))


def _register(client: IISClient, terminal: Terminal, source: Source, registered: Registered) -> Row:
    if isinstance(source, DatasetSource):
        with terminal.upload_bar(source.path) as progress:
            dataset = client.create_dataset(
                source.path,
                kind=source.kind,
                server_path=source.server_path,
                hub=source.hub,
                test_share=source.test_share,
                split_seed=source.split_seed,
                name=source.name,
                progress=progress,
            )
        registered.add_dataset(dataset)
        return dataset
    uploads: list[str | None] = []
    for file in (source.checkpoint, source.text_checkpoint):
        with terminal.upload_bar(file) as progress:
            uploads.append(client.upload(file, progress)["id"] if file is not None else None)
    model = client.create_model(
        source.architecture,
        role=source.role,
        upload=uploads[0],
        text_upload=uploads[1],
        pretrained=source.pretrained,
        initial_seed=source.initial_seed,
        tokenizer=source.tokenizer,
        arguments=source.arguments,
        layer=source.layer,
        preprocessing=source.preprocessing,
        name=source.label,
    )
    registered.add_model(model)
    return model


def _ready(client: IISClient, at: str, row: Row) -> Row:
    try:
        if "role" in row:
            return client.wait_until_ready(row)
        return client.wait_until_ready(row)
    except CheckFailedError as error:
        raise CheckFailedError(error.resource, error.code, f"{at}: {error}", error.param) from error
