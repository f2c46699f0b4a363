"""Parse --vlm and --vocabulary; register the vision-language model and the phrases. The commands are in score and vocabulary."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iis_client.cli.output.concepts import format_counts
from iis_client.cli.output.terminal import Terminal
from iis_client.errors import ConfigurationError, LocalFileError

if TYPE_CHECKING:
    from iis_client.client import IISClient
    from iis_schemas.concept_sets import ConceptSetVersionView
    from iis_schemas.models import ModelView

FROM_CLASSES = "from-classes"
PHRASE_SUFFIXES = (".txt", ".json", ".csv")
CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".onnx")

_REFERENCE = re.compile(r"(@last|[^@\0]+)(?:@([1-9][0-9]{0,8}))?")
_VLM_FORMS = (
    "--vlm takes open_clip:NAME@CHECKPOINT (a file or a pretrained tag), onnx:TOKENIZER@IMAGE.onnx,TEXT.onnx, "
    "or a registered model: id, its beginning, name, or @last"
)
_VOCABULARY_FORMS = (
    f"a vocabulary is a shipped name (birds), one of yours (id, its beginning, name, or @last; with @2 at its end version 2),"
    f" a file ({', '.join(PHRASE_SUFFIXES)}) or {FROM_CLASSES}"
)


@dataclass(frozen=True)
class VlmSource:
    """A registered vision-language model (`model`, a reference, or its id once it was found), or the arguments to register one."""

    model: str | None = None
    architecture: str = ""
    checkpoint: Path | None = None
    text_checkpoint: Path | None = None
    pretrained: str | None = None
    tokenizer: str | None = None
    arguments: dict[str, Any] | None = None
    preprocessing: dict[str, Any] | None = None
    weights_of: str | None = None


@dataclass(frozen=True)
class VocabularySource:
    """The vocabulary option: a concept set of the service (`concept_set`, `number`), a `file`, or neither: generate from class names.

    `concept_set` is a reference, or its id once it was found.
    """

    concept_set: str | None = None
    number: int | None = None
    file: Path | None = None

    @property
    def from_classes(self) -> bool:
        """Whether the phrases are generated from class names."""
        return self.concept_set is None and self.file is None


@dataclass(frozen=True)
class TextOptions:
    """The values of --vlm and --vocabulary."""

    vlm: VlmSource
    vocabulary: VocabularySource


def parse_text_options(
    vlm: str | None,
    arguments: dict[str, Any],
    preprocessing: dict[str, Any],
    vocabulary: str | None,
    *,
    weights_of: str | None = None,
    needed: bool,
) -> TextOptions | None:
    """Parse --vlm and --vocabulary; None if neither is given and the library is not a text library (`needed`).

    Raises
    ------
    ConfigurationError
        When one is missing, or a value is not valid.
    LocalFileError
        When a file does not exist.
    """
    if vlm is None or vocabulary is None:
        if needed:
            raise ConfigurationError("A text library requires --vlm (open_clip:ViT-B-16@weights.safetensors) and --vocabulary (birds).")
        if (vlm, vocabulary, weights_of) != (None, None, None) or arguments or preprocessing:
            raise ConfigurationError("--vlm and --vocabulary are required together: the vision-language model, and the phrases.")
        return None
    return TextOptions(parse_vlm(vlm, arguments, preprocessing, weights_of), parse_vocabulary(vocabulary))


def parse_vlm(value: str, arguments: dict[str, Any], preprocessing: dict[str, Any], weights_of: str | None = None) -> VlmSource:
    """Parse --vlm and --vlm-weights-of, and check its files before anything is sent.

    Raises
    ------
    ConfigurationError
        When the value is not valid.
    LocalFileError
        When a file does not exist.
    """
    if value and ":" not in value and not value.startswith("onnx@") and not Path(value).expanduser().exists():
        if arguments or preprocessing or weights_of is not None:
            raise ConfigurationError(
                f"{value} is registered with its arguments; leave out --vlm-arg, --vlm-preprocess and --vlm-weights-of."
            )
        return VlmSource(model=value)
    architecture, _, weights = value.partition("@")
    family, _, name = architecture.partition(":")
    settings: dict[str, Any] = {"arguments": arguments or None, "preprocessing": preprocessing or None}
    if family == "onnx" and weights.count(",") == 1:
        if weights_of is not None:
            raise ConfigurationError("--vlm-weights-of names weights of open_clip; an onnx pair has none, so leave it out.")
        image, text = (_require_file(Path(file).expanduser()) for file in weights.split(","))
        return VlmSource(architecture="onnx", checkpoint=image, text_checkpoint=text, tokenizer=name or None, **settings)
    if family != "open_clip" or not name or not weights:
        raise ConfigurationError(f"{_VLM_FORMS}, not {value!r}.")
    file = Path(weights).expanduser()
    if file.is_file() or file.name != weights or file.suffix in CHECKPOINT_SUFFIXES:
        return VlmSource(architecture=architecture, checkpoint=_require_file(file), weights_of=weights_of, **settings)
    if weights_of is not None:
        raise ConfigurationError("--vlm-weights-of names the published weights that a checkpoint file comes from; a tag is these weights.")
    return VlmSource(architecture=architecture, pretrained=weights, **settings)


def register_vlm(client: IISClient, terminal: Terminal, source: VlmSource) -> ModelView:
    """Upload and register the model of --vlm, unless it is registered already. The model can still be pending."""
    if source.model is not None:
        return client.model(source.model)
    uploads: list[str | None] = []
    for file in (source.checkpoint, source.text_checkpoint):
        with terminal.upload_bar(file) as progress:
            uploads.append(client.upload(file, progress).id if file is not None else None)
    return client.create_model(
        source.architecture,
        role="vlm",
        upload=uploads[0],
        text_upload=uploads[1],
        pretrained=source.pretrained,
        weights_of=source.weights_of,
        tokenizer=source.tokenizer,
        arguments=source.arguments,
        preprocessing=source.preprocessing,
        name=source.checkpoint.name if source.checkpoint is not None else None,
    )


def parse_vocabulary(value: str) -> VocabularySource:
    """Parse --vocabulary; what is no file here is a reference, since vocabularies are named after their files.

    Raises
    ------
    ConfigurationError
        When the value is not valid.
    """
    if value == FROM_CLASSES:
        return VocabularySource()
    file = Path(value).expanduser()
    if file.suffix.lower() in PHRASE_SUFFIXES and file.is_file():
        return VocabularySource(file=file)
    return VocabularySource(*parse_reference(value))


def parse_reference(value: str) -> tuple[str, int | None]:
    """Split `ID` or `ID@VERSION` into id and version.

    Raises
    ------
    ConfigurationError
        When the value is neither.
    """
    match = _REFERENCE.fullmatch(value)
    if match is None:
        raise ConfigurationError(f"There is no vocabulary {value!r}; {_VOCABULARY_FORMS}.")
    return match[1], int(match[2]) if match[2] else None


def find_phrases(client: IISClient, options: TextOptions) -> TextOptions:
    """Find the ids of a registered vocabulary and vision-language model before large files are sent.

    Raises
    ------
    ConfigurationError, NotFoundError
        As `find_vocabulary` does; also when no model of yours has this name or id.
    """
    vocabulary = find_vocabulary(client, options.vocabulary)
    return TextOptions(find_vlm(client, options.vlm), vocabulary)


def find_vlm(client: IISClient, source: VlmSource) -> VlmSource:
    """Find the id of a registered vision-language model.

    Raises
    ------
    ConfigurationError
        When no model of yours has this name or id, or several have.
    """
    return source if source.model is None else replace(source, model=client.find_id("model", source.model))


def find_vocabulary(client: IISClient, source: VocabularySource) -> VocabularySource:
    """Find the id of a vocabulary of the service, and check that it has the version.

    Raises
    ------
    ConfigurationError
        When no vocabulary has this name or id, or several have.
    NotFoundError
        When the concept set or version does not exist.
    """
    if source.concept_set is None:
        return source
    try:
        found = client.find_id("vocabulary", source.concept_set)
    except ConfigurationError as error:
        shipped = ", ".join(each.id for each in client.shipped_concept_sets())
        is_file = Path(source.concept_set).suffix.lower() in PHRASE_SUFFIXES
        file = f"There is no file {source.concept_set}. " if is_file else ""
        raise ConfigurationError(f"{file}{str(error).rstrip('.')}. The shipped vocabularies are {shipped}; {_VOCABULARY_FORMS}.") from error
    client.concept_set_version(found, source.number)
    return VocabularySource(found, source.number)


def ensure_vocabulary(client: IISClient, terminal: Terminal, source: VocabularySource, dataset: str) -> str:
    """Return the vocabulary of a job request, ready; create a concept set from a file or from class names first.

    The job excludes phrases that do not fit its model or data set; the concept set keeps them for other jobs.
    """
    if source.concept_set is not None:
        version = client.concept_set_version(source.concept_set, source.number)
        wait_for_phrases(client, terminal, version)
        return f"{source.concept_set}@{version.number}" if source.concept_set.startswith("cst_") else source.concept_set
    from_classes = dataset if source.file is None else None
    made = client.create_concept_set(source.file, from_classes=from_classes)
    version = wait_for_phrases(client, terminal, made.version)
    dropped = Counter(each.reason for each in client.dropped_phrases(made.id, version.number))
    excluded = f", {dropped.total()} excluded ({format_counts(dropped)})" if dropped else ""
    terminal.note(f"Concept set {made.id} has {version.phrase_count} phrases{excluded}.")
    return f"{made.id}@{version.number}"


def wait_for_phrases(client: IISClient, terminal: Terminal, version: ConceptSetVersionView) -> ConceptSetVersionView:
    """Wait until a worker has generated or compared the phrases of a pending version."""
    if version.state == "pending":
        with terminal.spinner("A worker prepares the phrases"):
            return client.wait_until_ready(version)
    return client.wait_until_ready(version)


def _require_file(file: Path) -> Path:
    if not file.is_file():
        raise LocalFileError(f"There is no file {file}; give an existing file.")
    return file
