"""Options that several commands share, and the validation of their values."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from iis_client.errors import ConfigurationError


class OutputForm(StrEnum):
    """Forms of lists and resources on standard output."""

    table = "table"
    json = "json"
    csv = "csv"


JsonOption = Annotated[bool, typer.Option("--json", help="Print the service's JSON instead of tables.")]
OutputOption = Annotated[OutputForm, typer.Option("--output", help="Form of the output; json is what --json prints.")]
TagsOption = Annotated[list[str] | None, typer.Option("--tag", help="List only those with this tag; may be repeated.")]
NameOption = Annotated[str | None, typer.Option("--name", help="List only those whose name contains this.")]
LimitOption = Annotated[int, typer.Option("--limit", help="Maximum number of items.", min=1)]
PlotOption = Annotated[Path | None, typer.Option("--plot", help="Save the ARR figure to this file (.png or .svg).", dir_okay=False)]
KeptOption = Annotated[int | None, typer.Option(help="Number of concepts kept, a point of the job's curve; default: about a tenth.", min=1)]
SparsityOption = Annotated[float | None, typer.Option(help="The same point of the curve as a sparsity, 0 to 1.", min=0, max=1)]
VlmOption = Annotated[
    str | None,
    typer.Option(
        help="Vision-language model: open_clip:NAME@CHECKPOINT (a file or a pretrained tag), "
        "onnx:TOKENIZER@IMAGE.onnx,TEXT.onnx, or a registered model: id, its beginning, name, or @last."
    ),
]
VlmArgOption = Annotated[
    list[str] | None, typer.Option(help="Argument of the vision-language model's architecture, key=value; may be repeated.")
]
VlmPreprocessOption = Annotated[
    list[str] | None, typer.Option(help="Override of the vision-language model's preprocessing, such as input_size=32; may be repeated.")
]
VlmWeightsOfOption = Annotated[
    str | None, typer.Option(help="Tag of the published weights that the vision-language model's checkpoint has or was trained from.")
]


def key_values(words: list[str] | None, option: str) -> dict[str, Any]:
    """Parse `key=value` words; a value that is not JSON is a string.

    Raises
    ------
    ConfigurationError
        When a word is not `key=value`.
    """
    pairs: dict[str, Any] = {}
    for word in words or []:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"{option} takes key=value, not {word!r}.")
        try:
            pairs[name] = json.loads(value)
        except ValueError:
            pairs[name] = value
    return pairs


def require_single_node(kept: int | None, sparsity: float | None) -> None:
    """Refuse --kept together with --sparsity.

    Raises
    ------
    ConfigurationError
        When both are given.
    """
    if kept is not None and sparsity is not None:
        raise ConfigurationError("--kept and --sparsity select the same point of the curve; give one of them.")


def require_figure_path(figure: Path, option: str) -> None:
    """Check the path of a figure before any work is done.

    Raises
    ------
    ConfigurationError
        When the suffix is neither .png nor .svg, or the folder does not exist.
    """
    figure_format(figure)
    require_parent_folder(figure, option)


def require_parent_folder(file: Path, option: str) -> None:
    """Check before any work is done that the folder of an output file exists.

    Raises
    ------
    ConfigurationError
        When it does not.
    """
    if not file.parent.is_dir():
        raise ConfigurationError(
            f"There is no folder {file.parent} to save {file.name} in; create it, or choose another path for {option}."
        )


def figure_format(figure: Path) -> Literal["png", "svg"]:
    """Image format of a figure, by the suffix of its path.

    Raises
    ------
    ConfigurationError
        When it is neither .png nor .svg.
    """
    match figure.suffix.lower():
        case ".png":
            return "png"
        case ".svg":
            return "svg"
        case _:
            raise ConfigurationError(f"A figure can be saved as .png or .svg, not as {figure.name}.")
