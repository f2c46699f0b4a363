"""The commands `iis models …`."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Annotated

import typer

from iis_client.cli.connection import connect
from iis_client.cli.groups import add_delete, add_rename, add_show, add_tag, list_filters, resource_group
from iis_client.cli.inputs.registration import register_model, wait_until_ready
from iis_client.cli.output.resources import model_table
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.model_options import (
    ArchOption,
    ArgOption,
    PoolingOption,
    PreprocessOption,
    PretrainedOption,
    SourceArgument,
    WeightsOfOption,
    read_source,
)
from iis_client.cli.settings.options import JsonOption, LimitOption, NameOption, OutputForm, OutputOption, TagsOption, key_values
from iis_client.errors import ConfigurationError

app = resource_group("models", "List, show, create, rename, tag and delete models.")


@app.command("list")
def list_models(
    name: NameOption = None,
    tag: TagsOption = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
    output: OutputOption = OutputForm.table,
) -> None:
    """List your models, newest first."""
    with connect() as client:
        listed = list(islice(client.models(**list_filters(name, tag)), limit))
    Terminal().answer(listed, [model_table(listed, datetime.now(UTC))], as_json=as_json, output=output)


@app.command()
def create(
    source: SourceArgument = None,
    *,
    arch: ArchOption = None,
    pretrained: PretrainedOption = None,
    weights_of: WeightsOfOption = None,
    arg: ArgOption = None,
    preprocess: PreprocessOption = None,
    layer: Annotated[
        str | None, typer.Option(help="Layer whose output is the representation; default: the pooled penultimate layer.")
    ] = None,
    pooling: PoolingOption = None,
    name: Annotated[str | None, typer.Option(help="Name; default: that of the file, or the architecture.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Tag; may be repeated.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Upload and register a model, and wait until a worker has loaded it."""
    terminal = Terminal(quiet=as_json)
    checkpoint, architecture = read_source(source, arch, pretrained)
    if architecture is None:
        raise ConfigurationError("An architecture is required: timm:resnet18, or --arch beside a checkpoint.")
    arguments, overrides = key_values(arg, "--arg"), key_values(preprocess, "--preprocess") or None
    with connect() as client:
        model = register_model(
            client,
            terminal,
            checkpoint,
            architecture,
            pretrained=pretrained,
            weights_of=weights_of,
            arguments=arguments,
            preprocessing=overrides,
            layer=layer,
            pooling=None if pooling is None else pooling.value,
            name=name,
            tags=tag,
        )
        ready = wait_until_ready(client, terminal, model, "A worker loads the model", "Model")
    terminal.answer(ready, [f"Model {ready.id} ({ready.name}) is {ready.state}."], as_json=as_json)


add_show(app, "model", "model", lambda client, model: client.model(model))
add_rename(app, "model", "model", lambda client, model, changes: client.update_model(model, **changes))
add_tag(
    app, "model", "model", lambda client, model: client.model(model), lambda client, model, changes: client.update_model(model, **changes)
)
add_delete(
    app, "model", "model", lambda client, model: client.delete_model(model), "Delete models; results of finished jobs stay readable."
)
