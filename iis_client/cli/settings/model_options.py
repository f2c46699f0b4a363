"""Options that describe a network and a data set, shared by `iis score`, `iis models create` and `iis datasets create`."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from iis_client.cli.settings.options import key_values
from iis_client.errors import ConfigurationError, LocalFileError
from iis_schemas.names import ARCHITECTURE_FAMILIES, FILE_FAMILIES

_NAMED = re.compile(f"(?:{'|'.join(family for family in ARCHITECTURE_FAMILIES if family not in FILE_FAMILIES)}):.+")


class PoolingChoice(StrEnum):
    """Poolings of a named layer."""

    CLASS = "class"
    PATCHES = "patches"
    ALL = "all"
    MAP = "map"


SourceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[CHECKPOINT|ARCHITECTURE]",
        help="Checkpoint (safetensors, torch, onnx, or an archive of transformers), or an architecture with its default weights, "
        "such as timm:resnet18.",
    ),
]
ScoredSourceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[CHECKPOINT|ARCHITECTURE|MODEL]",
        help="Checkpoint (safetensors, torch, onnx, or an archive of transformers), an architecture with its default weights, such as "
        "timm:resnet18, or a registered model: id, its beginning, name, or @last.",
    ),
]
ArchOption = Annotated[
    str | None, typer.Option(help="Architecture: timm:NAME, torchvision:NAME, open_clip:NAME, hf:ORG/NAME, transformers or onnx.")
]
PretrainedOption = Annotated[
    str | None, typer.Option(help="Pretrained tag of the architecture's library instead of a checkpoint; default: its default weights.")
]
WeightsOfOption = Annotated[str | None, typer.Option(help="Tag of the published weights that the checkpoint has or was trained from.")]
ArgOption = Annotated[list[str] | None, typer.Option(help="Argument of the architecture, key=value; may be repeated.")]
PreprocessOption = Annotated[list[str] | None, typer.Option(help="Override of the preprocessing, such as input_size=32; may be repeated.")]
PoolingOption = Annotated[
    PoolingChoice | None, typer.Option(help="Pooling of --layer: class token, patches, all tokens but registers, or attention (map).")
]
ManifestOption = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        "--manifest",
        help="Table of paths, labels and splits of the images (csv, tsv, jsonl, parquet).",
        exists=True,
        dir_okay=False,
    ),
]
ManifestColumnOption = Annotated[
    list[str] | None, typer.Option(help="Column of the table: path=NAME, label=NAME or split=NAME; may be repeated.")
]


def is_file_or_architecture(source: str) -> bool:
    """Whether a command's first argument is a file that exists or an architecture, and not a reference to a registered model."""
    return Path(source).expanduser().exists() or _NAMED.fullmatch(source) is not None


def read_source(source: str | None, arch: str | None, pretrained: str | None) -> tuple[Path | None, str | None]:
    """Checkpoint and architecture of a command line whose first argument is one of them.

    Raises
    ------
    ConfigurationError
        When an architecture is given twice, or a checkpoint and a pretrained tag.
    LocalFileError
        When the file does not exist.
    """
    if source is None:
        return None, arch
    file = Path(source).expanduser()
    if not file.exists() and _NAMED.fullmatch(source):
        if arch is not None:
            raise ConfigurationError(f"{source} is an architecture, and --arch gives another; leave out one of them.")
        return None, source
    if not file.is_file():
        raise LocalFileError(f"There is no file {source}; give a checkpoint, or an architecture such as timm:resnet18.")
    if pretrained is not None:
        raise ConfigurationError("Give either a CHECKPOINT file or --pretrained TAG (or --features FILE), not both.")
    return file, arch


def manifest_columns(manifest: Path | None, given: list[str] | None) -> dict[str, str]:
    """Columns of a manifest as the API names them.

    Raises
    ------
    ConfigurationError
        When a column is not path=NAME, label=NAME or split=NAME, or there is no manifest.
    """
    columns = {role: str(name) for role, name in key_values(given, "--manifest-column").items()}
    if columns and manifest is None:
        raise ConfigurationError("--manifest-column names columns of a table; give it with --labels.")
    if unknown := sorted(set(columns) - {"path", "label", "split"}):
        raise ConfigurationError(f"--manifest-column takes path=NAME, label=NAME or split=NAME, not {unknown[0]}.")
    return {f"{role}_column": name for role, name in columns.items()}
