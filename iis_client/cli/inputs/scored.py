"""Model and data set of `iis score`: files and architectures to register, or references to registered ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iis_client.cli.inputs.registration import register_dataset, register_model
from iis_client.cli.settings.model_options import is_file_or_architecture, read_source
from iis_client.errors import ConfigurationError

if TYPE_CHECKING:
    from iis_client.cli.output.terminal import Terminal
    from iis_client.client import IISClient
    from iis_client.resources.references import ReferableKind
    from iis_schemas.datasets import DatasetView
    from iis_schemas.models import ModelView


@dataclass(frozen=True)
class NewModel:
    """A model to register, with further arguments of `create_model`."""

    checkpoint: Path | None
    architecture: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class ScoredInputs:
    """Inputs of a score as the command line gives them; strings are references to registered ones, after `find_inputs` their ids.

    Attributes
    ----------
    model : None for ready features
    labels, columns : a table beside new images, and the names of its columns
    """

    model: NewModel | str | None
    data: Path | str
    is_features: bool = False
    labels: Path | None = None
    columns: dict[str, str] | None = None


def read_inputs(
    source: str | None,
    *,
    arch: str | None,
    data: Path | None,
    features: Path | None,
    labels: Path | None,
    columns: dict[str, str],
    network: dict[str, Any],
) -> ScoredInputs:
    """Read the arguments that name the model and the data; nothing is sent.

    Parameters
    ----------
    network : further arguments of `create_model`, None where an option was not given

    Raises
    ------
    ConfigurationError
        When one is missing, or an option does not go with the others.
    """
    if features is not None:
        if (source, arch, data, network["pretrained"]) != (None, None, None, None):
            raise ConfigurationError("--features contains the representation; leave out the checkpoint, --arch, --pretrained and --data.")
        return ScoredInputs(None, features, is_features=True)
    has_model = source is not None or arch is not None
    if data is None or (data.exists() and not has_model):
        raise ConfigurationError(
            "A model (timm:resnet18, a checkpoint with --arch, or a registered model) and --data (a folder or a registered data set)"
            " are required."
        )
    if not data.exists() and labels is not None:
        raise ConfigurationError(f"There is no folder or file {data}, and a registered data set has its labels; leave out --labels.")
    if not has_model:
        _require_no_network(network, f"There is no model, as {data} is a registered data set of ready features")
    model = _read_model(source, arch, network) if has_model else None
    return ScoredInputs(model, data if data.exists() else str(data), labels=labels, columns=columns)


def find_inputs(client: IISClient, inputs: ScoredInputs) -> ScoredInputs:
    """Find the ids of registered inputs.

    Raises
    ------
    ConfigurationError
        When a reference fits no resource, or several.
    """
    model = _find(client, "model", inputs.model) if isinstance(inputs.model, str) else inputs.model
    data = _find(client, "dataset", inputs.data) if isinstance(inputs.data, str) else inputs.data
    return replace(inputs, model=model, data=data)


def register_inputs(client: IISClient, terminal: Terminal, inputs: ScoredInputs) -> tuple[ModelView | None, DatasetView]:
    """Register new inputs, and get registered ones; a worker may still have to check them."""
    model: ModelView | None = None
    if isinstance(inputs.model, str):
        model = client.model(inputs.model)
    elif inputs.model is not None:
        model = register_model(client, terminal, inputs.model.checkpoint, inputs.model.architecture, **inputs.model.settings)
    if isinstance(inputs.data, str):
        return model, client.dataset(inputs.data)
    if inputs.is_features:
        return model, register_dataset(client, terminal, inputs.data, kind="features")
    return model, register_dataset(client, terminal, inputs.data, inputs.labels, inputs.columns)


def _read_model(source: str | None, arch: str | None, network: dict[str, Any]) -> NewModel | str:
    if source is not None and arch is None and not is_file_or_architecture(source):
        _require_no_network(network, f"There is no file {source}, and a registered model has its own settings")
        return source
    checkpoint, architecture = read_source(source, arch, network["pretrained"])
    if architecture is None:
        raise ConfigurationError("A checkpoint needs its architecture; give --arch, such as --arch timm:resnet18.")
    return NewModel(checkpoint, architecture, network)


def _require_no_network(network: dict[str, Any], reason: str) -> None:
    options = {"arguments": "--arg", "preprocessing": "--preprocess"}
    if given := [options.get(name, f"--{name.replace('_', '-')}") for name, value in network.items() if value]:
        raise ConfigurationError(f"{reason}; leave out {', '.join(given)}, or give a checkpoint or an architecture such as timm:resnet18.")


def _find(client: IISClient, kind: ReferableKind, reference: str) -> str:
    try:
        return client.find_id(kind, reference)
    except ConfigurationError as error:
        raise ConfigurationError(f"There is no file {reference}. {error}") from error
