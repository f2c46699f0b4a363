"""Options that several commands share, and how their values are read. What the commands do is in the modules beside this one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from iis_client.errors import ConfigurationError

JsonOption = Annotated[bool, typer.Option("--json", help="Print the service's JSON in place of a table.")]
PlotOption = Annotated[Path | None, typer.Option("--plot", help="Save the ARR figure here (.png or .svg).", dir_okay=False)]
KeptOption = Annotated[
    int | None, typer.Option(help="How many concepts are kept, a point of the job's curve; about a tenth by default.", min=1)
]
SparsityOption = Annotated[float | None, typer.Option(help="The same as a sparsity, 0 to 1.", min=0, max=1)]
VlmOption = Annotated[
    str | None,
    typer.Option(
        help="A vision-language model: open_clip:NAME@CHECKPOINT (a file or a pretrained tag), "
        "onnx:TOKENIZER@IMAGE.onnx,TEXT.onnx, or the id of one registered before."
    ),
]
VlmArgOption = Annotated[list[str] | None, typer.Option(help="An argument of its architecture, key=value; may be repeated.")]
VlmPreprocessOption = Annotated[list[str] | None, typer.Option(help="An override of its preprocessing, such as input_size=32.")]


def key_values(given: list[str] | None, option: str) -> dict[str, Any]:
    """Read `key=value` words; a value is JSON, or else a plain string.

    Raises
    ------
    ConfigurationError
        For a word without a key or a value.
    """
    pairs: dict[str, Any] = {}
    for one in given or []:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"{option} takes key=value, not {one!r}.")
        try:
            pairs[name] = json.loads(value)
        except ValueError:
            pairs[name] = value  # a bare word is a string
    return pairs


def require_one_node(kept: int | None, sparsity: float | None) -> None:
    """Refuse two ways to say one thing.

    Raises
    ------
    ConfigurationError
        When both are given.
    """
    if kept is not None and sparsity is not None:
        raise ConfigurationError("--kept and --sparsity say the same thing in two ways; give one of the two.")


def require_figure_place(figure: Path, option: str) -> None:
    """Tell an impossible wish before the work, not after it.

    Raises
    ------
    ConfigurationError
        When a figure cannot be saved so, or there.
    """
    figure_format(figure)
    require_folder_of(figure, option)


def require_folder_of(file: Path, option: str) -> None:
    """The same for a file of any kind.

    Raises
    ------
    ConfigurationError
        When there is no folder to save it in.
    """
    if not file.parent.is_dir():
        raise ConfigurationError(f"There is no folder {file.parent} to save {file.name} in; make it, or choose another place for {option}.")


def figure_format(figure: Path) -> Literal["png", "svg"]:
    """The format that a figure's name asks for.

    Raises
    ------
    ConfigurationError
        When it is none that there is.
    """
    match figure.suffix.lower():
        case ".png":
            return "png"
        case ".svg":
            return "svg"
        case _:
            raise ConfigurationError(f"A figure can be saved as .png or .svg, not as {figure.name}.")
