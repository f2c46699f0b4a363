"""The commands `iis libraries …`. Score jobs create concept libraries; concepts are in iis_client.cli.concepts."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

from iis_client.cli.connection import connect
from iis_client.cli.groups import add_delete, add_rename, add_show, add_tag, list_filters, resource_group
from iis_client.cli.output.resources import library_table
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.options import JsonOption, LimitOption, NameOption, OutputForm, OutputOption, TagsOption

NOUN = "concept library"

app = resource_group("libraries", "List, show, rename, tag and delete concept libraries. Score jobs create them.")


@app.command("list")
def list_libraries(
    name: NameOption = None,
    tag: TagsOption = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
    output: OutputOption = OutputForm.table,
) -> None:
    """List your concept libraries, newest first."""
    with connect() as client:
        listed = list(islice(client.concept_libraries(**list_filters(name, tag)), limit))
    Terminal().answer(listed, [library_table(listed, datetime.now(UTC))], as_json=as_json, output=output)


add_show(app, "library", NOUN, lambda client, library: client.concept_library(library))
add_rename(app, "library", NOUN, lambda client, library, changes: client.update_concept_library(library, **changes))
add_tag(
    app,
    "library",
    NOUN,
    lambda client, library: client.concept_library(library),
    lambda client, library, changes: client.update_concept_library(library, **changes),
)
add_delete(
    app,
    "library",
    NOUN,
    lambda client, library: client.delete_concept_library(library),
    "Delete concept libraries with their concepts and predictors; the scores of their jobs stay.",
)
