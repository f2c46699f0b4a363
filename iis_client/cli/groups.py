"""Groups of commands on one kind of resource: `iis models list`, `show`, `rename`, `tag` and `delete`.

Annotations are evaluated where a command is defined, since they hold the group's own argument.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from iis_client.cli.connection import connect
from iis_client.cli.inputs.references import complete
from iis_client.cli.output.fields import field_listing
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.options import JsonOption, OutputForm, OutputOption
from iis_client.errors import ConfigurationError, IISError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from iis_client.client import IISClient
    from iis_client.resources.descriptions import DescriptionChanges, ListFilters
    from iis_client.resources.references import ReferableKind

Read = Callable[["IISClient", str], Any]
View = Callable[[Any], Iterable["RenderableType"]]
Update = Callable[["IISClient", str, "DescriptionChanges"], Any]
Delete = Callable[["IISClient", str], None]


class ListsByDefault(TyperGroup):
    """Group of commands that lists where no command is named: `iis jobs --state failed` is `iis jobs list --state failed`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def resource_group(name: str, help_text: str) -> typer.Typer:
    """A group of commands that lists by default."""
    return typer.Typer(name=name, help=help_text, cls=ListsByDefault, no_args_is_help=False)


def add_show(app: typer.Typer, kind: "ReferableKind", noun: str, read: Read, view: View | None = None) -> None:
    """Add the command `show`, which prints all fields of a resource, or its own view."""
    argument = _argument(kind, noun)

    def show(reference: Annotated[str, argument], as_json: JsonOption = False, output: OutputOption = OutputForm.table) -> None:
        with connect() as client:
            shown = read(client, client.find_id(kind, reference))
        Terminal().answer(shown, [field_listing(shown)] if view is None else view(shown), as_json=as_json, output=output)

    app.command("show", help=f"Show all fields of a {noun}.")(show)


def add_rename(app: typer.Typer, kind: "ReferableKind", noun: str, update: Update) -> None:
    """Add the command `rename`."""
    argument = _argument(kind, noun)

    def rename(reference: Annotated[str, argument], name: Annotated[str, typer.Argument(help="The new name.")]) -> None:
        with connect() as client:
            renamed = update(client, client.find_id(kind, reference), {"name": name})
        Terminal().show(f"{_sentence_start(noun)} {renamed.id} is named {renamed.name}.")

    app.command("rename", help=f"Give a {noun} another name.")(rename)


def add_tag(app: typer.Typer, kind: "ReferableKind", noun: str, read: Read, update: Update) -> None:
    """Add the command `tag`."""
    argument = _argument(kind, noun)

    def tag(
        reference: Annotated[str, argument],
        tags: Annotated[list[str] | None, typer.Argument(metavar="[TAG]…", help="Tags to add.")] = None,
        remove: Annotated[list[str] | None, typer.Option(help="Tag to remove; may be repeated.")] = None,
    ) -> None:
        if not tags and not remove:
            raise ConfigurationError("Give tags to add, or --remove TAG.")
        with connect() as client:
            found = client.find_id(kind, reference)
            kept = [each for each in (*read(client, found).tags, *(tags or ())) if each not in (remove or ())]
            tagged = update(client, found, {"tags": kept})
        Terminal().show(
            f"{_sentence_start(noun)} {tagged.id} has " + (f"the tags {', '.join(tagged.tags)}." if tagged.tags else "no tags.")
        )

    app.command("tag", help=f"Add tags to a {noun}, or remove them.")(tag)


def add_delete(app: typer.Typer, kind: "ReferableKind", noun: str, delete: Delete, help_text: str) -> None:
    """Add the command `delete`, of one or several resources; the ids are found before anything is deleted."""
    argument = typer.Argument(metavar=f"{_metavar(noun)}…", help="Ids, beginnings of ids, or names.", autocompletion=complete(kind))

    def delete_all(references: Annotated[list[str], argument]) -> None:
        delete_each(kind, noun, references, delete)

    app.command("delete", help=help_text)(delete_all)


def list_filters(name: str | None, tags: Sequence[str] | None) -> "ListFilters":
    """Filters of a list by the options --name and --tag."""
    filters: ListFilters = {}
    if name is not None:
        filters["name_contains"] = name
    if tags:
        filters["tags"] = tags
    return filters


def delete_each(kind: "ReferableKind", noun: str, references: Sequence[str], delete: Delete) -> None:
    """Find all resources, then delete them one by one; exit with code 1 if one could not be deleted."""
    terminal, failed = Terminal(), False
    with connect() as client:
        for found in [client.find_id(kind, reference) for reference in references]:
            try:
                delete(client, found)
                terminal.show(f"{_sentence_start(noun)} {found} is deleted.")
            except IISError as error:
                terminal.error(str(error))
                failed = True
    if failed:
        raise typer.Exit(1)


def _argument(kind: "ReferableKind", noun: str) -> Any:
    help_text = f"A {noun}: id, its beginning, name, or @last."
    return typer.Argument(metavar=_metavar(noun), help=help_text, autocompletion=complete(kind), show_default=False)


def _metavar(noun: str) -> str:
    return noun.rpartition(" ")[2].upper() if noun != "data set" else "DATASET"


def _sentence_start(noun: str) -> str:
    return noun[0].upper() + noun[1:]
