"""The models and data sets that a study's file names: where each comes from. The rest of the file is in .file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NoReturn, cast

from iis_client.cli.studies.architectures import read_architecture, read_arguments, read_preprocessing, require_alike, require_two_towers
from iis_client.cli.studies.fields import Fields
from iis_client.cli.studies.limits import HUB_NAME, HUB_REVISION, MAX_ID, MAX_LAYER, MAX_NAME, MAX_SEED, MAX_SERVER_PATH, PLAIN_NAME, TAG
from iis_client.errors import ConfigurationError, LocalFileError
from iis_client.types.scores import Role

MODEL_SOURCES = ("path", "pretrained", "initial_seed", "id")
DATASET_SOURCES = ("path", "features", "server_path", "hub", "id")
TEST_SHARE, SPLIT_SEED = 0.2, 0  # what the service takes unless told


@dataclass(frozen=True)
class ModelDefaults:
    """What all models of a file have in common unless they say otherwise."""

    architecture: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    preprocessing: dict[str, Any] | None = None
    layer: str | None = None
    family: str | None = None


@dataclass(frozen=True)
class ModelSource:
    """A model that is registered already (`id`), or what it takes to register it, and what its owner knows about it.

    Attributes
    ----------
    at : where the file names it
    label : what tables and figures call it; None only of one given by id, which has a name
    """

    at: str
    role: Role = "backbone"
    id: str | None = None
    architecture: str = ""
    checkpoint: Path | None = None
    text_checkpoint: Path | None = None
    pretrained: str | None = None
    initial_seed: int | None = None
    tokenizer: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    preprocessing: dict[str, Any] | None = None
    layer: str | None = None
    label: str | None = None
    family: str | None = None
    accuracy: float | None = None
    epoch: float | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """What has to be on this machine."""
        return tuple(file for file in (self.checkpoint, self.text_checkpoint) if file is not None)


@dataclass(frozen=True)
class DatasetSource:
    """A data set that is registered already (`id`), or what it takes to register it; `name` only where the file gives one."""

    at: str
    id: str | None = None
    path: Path | None = None
    kind: Literal["images", "features"] = "images"
    server_path: str | None = None
    hub: dict[str, Any] | None = None
    name: str | None = None
    test_share: float = TEST_SHARE
    split_seed: int = SPLIT_SEED

    @property
    def shown(self) -> str:
        """What it is called before it is registered."""
        return (
            self.name or (self.path.name if self.path is not None else None) or self.id or self.server_path or str((self.hub or {})["name"])
        )


def said_by_model(source: ModelSource) -> str:
    """What says which model it is: all but where it stands and what is only told of it."""
    return repr(replace(source, at="", label=None, family=None, accuracy=None, epoch=None))


def said_by_dataset(source: DatasetSource | None) -> str:
    """The same of a data set; None is the scored one."""
    return repr(source and replace(source, at=""))


def read_model_defaults(value: object, at: str) -> ModelDefaults:
    """What `model_defaults` says.

    Raises
    ------
    ConfigurationError
    """
    fields = Fields(value, at, "model_defaults")
    defaults = ModelDefaults(
        read_architecture(fields),
        read_arguments(fields),
        read_preprocessing(fields),
        fields.text("layer", MAX_LAYER),
        fields.text("family", MAX_NAME),
    )
    fields.done()
    return defaults


def read_model(value: object, at: str, folder: Path, defaults: ModelDefaults) -> ModelSource:
    """One model: an id, or a mapping.

    Parameters
    ----------
    folder : what paths are relative to

    Raises
    ------
    ConfigurationError
    """
    fields = Fields({"id": value} if isinstance(value, str) else value, at, "a model")
    known: dict[str, Any] = {
        "label": fields.text("label", MAX_NAME),
        "family": fields.text("family", MAX_NAME) or defaults.family,
        "accuracy": fields.number("accuracy", 0, 1),
        "epoch": fields.number("epoch", 0),
    }
    source = _weights(fields, at, folder, ("path", "pretrained", "initial_seed", "id"))
    if source.get("id") is None:
        source["architecture"] = read_architecture(fields) or defaults.architecture or _required(fields, "architecture", "timm:resnet18")
        source["arguments"] = {**defaults.arguments, **read_arguments(fields)}
        preprocessing = read_preprocessing(fields)
        source["preprocessing"] = defaults.preprocessing if preprocessing is None else preprocessing
        source["layer"] = fields.text("layer", MAX_LAYER) or defaults.layer
        known["label"] = known["label"] or _label(source)[:MAX_NAME]
        require_alike(fields, source)
    fields.done()
    return ModelSource(at, **source, **known)


def read_vlm(value: object, at: str, folder: Path) -> ModelSource:
    """The vision-language model: an id, or a mapping.

    Raises
    ------
    ConfigurationError
    """
    fields = Fields({"id": value} if isinstance(value, str) else value, at, "a vlm")
    source = _weights(fields, at, folder, ("path", "pretrained", "id"))
    if source.get("id") is None:
        source["architecture"] = read_architecture(fields) or _required(fields, "architecture", "open_clip:ViT-B-16")
        text = fields.text("text_path")
        source["text_checkpoint"] = _file(folder, text) if text is not None else None
        source["tokenizer"] = fields.word("tokenizer", PLAIN_NAME, "the name of an open_clip architecture")
        source["arguments"] = read_arguments(fields)
        source["preprocessing"] = read_preprocessing(fields)
        require_two_towers(fields, source)
    fields.done()
    return ModelSource(at, "vlm", **source)


def read_dataset(value: object, at: str, folder: Path) -> DatasetSource:
    """One data set: an id, a path, or a mapping.

    Raises
    ------
    ConfigurationError
    """
    if isinstance(value, str):
        value = {"id" if value.startswith("dst_") else "path": value}
    fields = Fields(value, at, "a data set")
    given = _one_of(fields, at, "data set", DATASET_SOURCES)
    taken: dict[str, Any] = {}
    match given:
        case "hub":
            taken["hub"] = _hub(fields)
        case "id":
            taken["id"] = fields.text("id", MAX_ID)
        case "server_path":
            taken["server_path"] = _server_path(fields)
        case _:
            taken |= {"path": _file(folder, fields.text(given) or ""), "kind": "features" if given == "features" else "images"}
    if given != "id":
        taken["name"] = fields.text("name", MAX_NAME)
        share = fields.number("test_share", 0, 1, without=(0, 1))
        seed = fields.whole("split_seed", 0, MAX_SEED)
        taken |= {"test_share": TEST_SHARE if share is None else share, "split_seed": SPLIT_SEED if seed is None else seed}
    for name in DATASET_SOURCES:
        fields.take(name)
    fields.done()
    return DatasetSource(at, **taken)


def require_source(source: ModelSource | DatasetSource) -> None:
    """Refuse what names a file that is not there.

    Raises
    ------
    LocalFileError
    """
    if isinstance(source, ModelSource):
        for file in source.files:
            if not file.is_file():
                raise LocalFileError(f"{source.at}: there is no file {file}; name a checkpoint that is there.")
    elif source.path is not None and not (source.path.is_file() or (source.kind == "images" and source.path.is_dir())):
        wanted = "a folder of class folders or an archive of one" if source.kind == "images" else "an npz or safetensors file"
        raise LocalFileError(f"{source.at}: there is nothing at {source.path}; name {wanted}.")


def _weights(fields: Fields, at: str, folder: Path, sources: tuple[str, ...]) -> dict[str, Any]:
    given = _one_of(fields, at, "model", sources)
    match given:
        case "path":
            found: dict[str, Any] = {"checkpoint": _file(folder, fields.text("path") or "")}
        case "initial_seed":
            found = {"initial_seed": fields.whole("initial_seed", 0, MAX_SEED)}
        case "pretrained":
            found = {"pretrained": fields.word("pretrained", TAG, "a tag of letters, digits, '_', '-' and '.'")}
        case _:
            found = {"id": fields.text("id", MAX_ID)}
    for name in sources:
        fields.take(name)
    return found


def _hub(fields: Fields) -> dict[str, Any]:
    hub = fields.mapping("hub") or {}
    inner = Fields(hub, fields.where("hub"), "hub")
    if not inner.has("name") or not inner.has("revision"):
        raise ConfigurationError(f"{fields.where('hub')} needs a name and a revision, so that its images never change under a result.")
    inner.word("name", HUB_NAME, "OWNER/NAME or NAME")
    inner.word("revision", HUB_REVISION, "a commit, a tag or a branch")
    inner.word("configuration", TAG, "the name of a configuration")
    for column in ("image_column", "label_column"):
        inner.text(column, MAX_NAME)
    inner.done()
    return hub


def _server_path(fields: Fields) -> str | None:
    given = fields.text("server_path", MAX_SERVER_PATH)
    if given is None or PurePosixPath(given).is_absolute():
        return given
    raise fields.refusal("server_path", "a path on the server from its root, such as /data/imagenet", given)


def _one_of(fields: Fields, at: str, noun: str, sources: tuple[str, ...]) -> str:
    given = [name for name in sources if fields.has(name)]
    if len(given) == 1:
        return given[0]
    said = f"it has {' and '.join(given)}" if given else "it has none"
    raise ConfigurationError(f"{at} must say where the {noun} comes from by one of {', '.join(sources)}; {said}.")


def _required(fields: Fields, name: str, example: str) -> NoReturn:
    raise ConfigurationError(f"{fields.where(name)} is missing; give it, for example {example}.")


def _label(source: dict[str, Any]) -> str:
    if (checkpoint := cast("Path | None", source.get("checkpoint"))) is not None:
        return checkpoint.stem
    name = str(source["architecture"]).partition(":")[2] or str(source["architecture"])
    return name if source.get("pretrained") is not None else f"{name}, untrained ({source['initial_seed']})"


def _file(folder: Path, text: str) -> Path:
    return folder / Path(text).expanduser()
