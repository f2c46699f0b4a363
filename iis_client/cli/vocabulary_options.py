"""What --vlm and --vocabulary mean: a model that compares images with phrases, and the phrases. No command is here."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iis_client.cli.output.concepts import counted
from iis_client.cli.output.terminal import Terminal
from iis_client.client import IISClient
from iis_client.errors import ConfigurationError, LocalFileError
from iis_client.types.concepts import ConceptSetVersion
from iis_client.types.scores import Model

FROM_CLASSES = "from-classes"
PHRASE_SUFFIXES = (".txt", ".json", ".csv")
CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".onnx")

_REFERENCE = re.compile(r"([A-Za-z0-9_-]+)(?:@([1-9][0-9]{0,8}))?")
_VLM_FORMS = (
    "--vlm takes open_clip:NAME@CHECKPOINT (a file or a pretrained tag), onnx:TOKENIZER@IMAGE.onnx,TEXT.onnx, "
    "or the id of a model registered before (mdl_…)"
)
_VOCABULARY_FORMS = (
    "a vocabulary is a shipped name (birds), a concept set of yours (cst_…, cst_…@2), "
    f"a file ({', '.join(PHRASE_SUFFIXES)}) or {FROM_CLASSES}"
)


@dataclass(frozen=True)
class VlmSource:
    """A vision-language model that is registered already (`model`), or what it takes to register it."""

    model: str | None = None
    architecture: str = ""
    checkpoint: Path | None = None
    text_checkpoint: Path | None = None
    pretrained: str | None = None
    tokenizer: str | None = None
    arguments: dict[str, Any] | None = None
    preprocessing: dict[str, Any] | None = None


@dataclass(frozen=True)
class VocabularySource:
    """Phrases that the service has (`concept_set`, `number`), those of a `file`, or those gathered from the names of classes."""

    concept_set: str | None = None
    number: int | None = None
    file: Path | None = None

    @property
    def from_classes(self) -> bool:
        """Whether the phrases are still to be gathered from the names of classes."""
        return self.concept_set is None and self.file is None


@dataclass(frozen=True)
class Words:
    """What --vlm and --vocabulary say together."""

    vlm: VlmSource
    vocabulary: VocabularySource


def read_words(
    vlm: str | None, arguments: dict[str, Any], preprocessing: dict[str, Any], vocabulary: str | None, *, needed: bool
) -> Words | None:
    """Understand --vlm and --vocabulary; None where neither is given and none is `needed`.

    Raises
    ------
    ConfigurationError
        When one is missing, or something is written in no way that is known.
    LocalFileError
        When a file that they name is not there.
    """
    if vlm is None or vocabulary is None:
        if needed:
            raise ConfigurationError("A text library needs --vlm (open_clip:ViT-B-16@weights.safetensors) and --vocabulary (birds).")
        if (vlm, vocabulary) != (None, None) or arguments or preprocessing:
            raise ConfigurationError("--vlm and --vocabulary go together: a model that compares images with phrases, and the phrases.")
        return None
    return Words(read_vlm(vlm, arguments, preprocessing), read_vocabulary(vocabulary))


def read_vlm(given: str, arguments: dict[str, Any], preprocessing: dict[str, Any]) -> VlmSource:
    """Understand --vlm and its files, before anything is sent.

    Raises
    ------
    ConfigurationError
        When it is written in no way that is known.
    LocalFileError
        When a file that it names is not there.
    """
    if given.startswith("mdl_"):
        if arguments or preprocessing:
            raise ConfigurationError(f"{given} is registered with its arguments; leave out --vlm-arg and --vlm-preprocess.")
        return VlmSource(model=given)
    architecture, _, weights = given.partition("@")
    family, _, name = architecture.partition(":")
    about: dict[str, Any] = {"arguments": arguments or None, "preprocessing": preprocessing or None}
    if family == "onnx" and weights.count(",") == 1:
        image, text = (_existing(Path(file).expanduser()) for file in weights.split(","))
        return VlmSource(architecture="onnx", checkpoint=image, text_checkpoint=text, tokenizer=name or None, **about)
    if family != "open_clip" or not name or not weights:
        raise ConfigurationError(f"{_VLM_FORMS}, not {given!r}.")
    file = Path(weights).expanduser()
    if file.is_file() or file.name != weights or file.suffix in CHECKPOINT_SUFFIXES:
        return VlmSource(architecture=architecture, checkpoint=_existing(file), **about)
    return VlmSource(architecture=architecture, pretrained=weights, **about)


def register_vlm(client: IISClient, terminal: Terminal, source: VlmSource) -> Model:
    """The model that --vlm means, uploaded and registered where it is not there yet. It may not be ready."""
    if source.model is not None:
        return client.model(source.model)
    uploads: list[str | None] = []
    for file in (source.checkpoint, source.text_checkpoint):
        with terminal.sending(file) as progress:
            uploads.append(client.upload(file, progress)["id"] if file is not None else None)
    return client.create_model(
        source.architecture,
        role="vlm",
        upload=uploads[0],
        text_upload=uploads[1],
        pretrained=source.pretrained,
        tokenizer=source.tokenizer,
        arguments=source.arguments,
        preprocessing=source.preprocessing,
        name=source.checkpoint.name if source.checkpoint is not None else None,
    )


def read_vocabulary(given: str) -> VocabularySource:
    """Understand --vocabulary and its file, before anything is sent.

    Raises
    ------
    ConfigurationError
        When it is written in no way that is known.
    LocalFileError
        When the file that it names is not there.
    """
    if given == FROM_CLASSES:
        return VocabularySource()
    file = Path(given).expanduser()
    if file.suffix.lower() in PHRASE_SUFFIXES:
        return VocabularySource(file=_existing(file))
    return VocabularySource(*read_reference(given))


def read_reference(given: str) -> tuple[str, int | None]:
    """Cut `ID` or `ID@VERSION` into its two parts.

    Raises
    ------
    ConfigurationError
        When it is neither.
    """
    written = _REFERENCE.fullmatch(given)
    if written is None:
        raise ConfigurationError(f"There is no vocabulary {given!r}; {_VOCABULARY_FORMS}.")
    return written[1], int(written[2]) if written[2] else None


def require_vocabulary(client: IISClient, source: VocabularySource) -> None:
    """Ask the service for a vocabulary that it is said to have, before large files are sent.

    Raises
    ------
    ConfigurationError
        When no shipped one has that name.
    NotFoundError
        When it has no such concept set or version.
    """
    if source.concept_set is None:
        return
    if not source.concept_set.startswith("cst_"):
        names = [each["id"] for each in client.shipped_concept_sets()]
        if source.concept_set not in names:
            raise ConfigurationError(f"There is no shipped vocabulary {source.concept_set!r} ({', '.join(names)}); {_VOCABULARY_FORMS}.")
    client.concept_set_version(source.concept_set, source.number)


def provide_vocabulary(client: IISClient, terminal: Terminal, source: VocabularySource, dataset: str) -> str:
    """The vocabulary as a job names it, its version ready; a file or the names of classes become a new concept set first.

    Phrases that do not go with this model or data set are left out by the job, so that the set serves other jobs whole.
    """
    if source.concept_set is not None:
        version = client.concept_set_version(source.concept_set, source.number)
        wait_for_phrases(client, terminal, version)
        return f"{source.concept_set}@{version['number']}" if source.concept_set.startswith("cst_") else source.concept_set
    from_classes = dataset if source.file is None else None
    made = client.create_concept_set(source.file, from_classes=from_classes)
    version = wait_for_phrases(client, terminal, made["version"])
    dropped = Counter(each["reason"] for each in client.dropped_phrases(made["id"], version["number"]))
    left_out = f", {dropped.total()} left out ({counted(dropped)})" if dropped else ""
    terminal.note(f"Concept set {made['id']} has {version['phrase_count']} phrases{left_out}.")
    return f"{made['id']}@{version['number']}"


def wait_for_phrases(client: IISClient, terminal: Terminal, version: ConceptSetVersion) -> ConceptSetVersion:
    """Wait where a worker still has to gather the phrases, or to compare them with each other."""
    if version["state"] == "pending":
        with terminal.busy("A worker prepares the phrases"):
            return client.wait_until_ready(version)
    return client.wait_until_ready(version)


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise LocalFileError(f"There is no file {file}; name one that is there.")
    return file
