"""Find resources by what people write: an id, the beginning of one, a name, or @last."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any, Literal

from iis_client.errors import ConfigurationError
from iis_client.transport.connection import Connection
from iis_client.transport.polling import pages

LAST = "@last"
ID_CHARACTERS = 26
MIN_PREFIX_CHARACTERS = 4
MAX_SHOWN = 5
_ULID = "[0-9a-hjkmnp-tv-z]"

ReferableKind = Literal["model", "dataset", "library", "job", "study", "vocabulary", "webhook", "key", "share"]


@dataclass(frozen=True)
class Named:
    """Id and name of a resource; of a webhook, its URL."""

    id: str
    name: str

    def __str__(self) -> str:
        return f"{self.id} ({self.name})" if self.name else self.id


@dataclass(frozen=True)
class ReferenceKind:
    """A kind of resource: its noun, the prefix of its ids, and its list.

    Attributes
    ----------
    plural : noun of several, and the group of commands of `iis`
    searchable : the list is in order of ids and filters by name
    """

    noun: str
    plural: str
    prefix: str
    path: str
    searchable: bool = True

    @property
    def group(self) -> str:
        return self.plural.replace("data sets", "datasets").rpartition(" ")[2]


KINDS: dict[ReferableKind, ReferenceKind] = {
    "model": ReferenceKind("model", "models", "mdl_", "/v1/models"),
    "dataset": ReferenceKind("data set", "data sets", "dst_", "/v1/datasets"),
    "library": ReferenceKind("concept library", "concept libraries", "lib_", "/v1/concept-libraries"),
    "job": ReferenceKind("job", "jobs", "job_", "/v1/jobs"),
    "study": ReferenceKind("study", "studies", "std_", "/v1/studies"),
    "vocabulary": ReferenceKind("vocabulary", "vocabularies", "cst_", "/v1/concept-sets", searchable=False),
    "webhook": ReferenceKind("webhook", "webhooks", "whk_", "/v1/webhooks", searchable=False),
    "key": ReferenceKind("API key", "API keys", "key_", "/v1/api-keys", searchable=False),
    "share": ReferenceKind("share link", "shares", "shr_", "/v1/shares", searchable=False),
}


class References(Connection):
    """Ids of the owner's resources."""

    def find_id(self, kind: ReferableKind, reference: str) -> str:
        """Id of the one resource that a reference names.

        Parameters
        ----------
        reference : an id, the beginning of one with or without `job_` and the like, a name, or `@last` for the newest

        Raises
        ------
        ConfigurationError
            When it fits no resource, or several.
        """
        known = KINDS[kind]
        characters = reference.removeprefix(known.prefix)
        if re.fullmatch(f"{_ULID}{{{ID_CHARACTERS}}}", characters):
            return known.prefix + characters
        if reference == LAST:
            found = list(islice(self._listed(known, limit=1), 1))
            if not found:
                raise ConfigurationError(f"There are no {known.plural}, so {LAST} names none.")
            return found[0].id
        found = {each.id: each for each in self._fitting(known, reference)}
        if kind == "vocabulary" and not found:
            found = {each.id: each for each in self._shipped() if each.id == reference}
        if not found:
            raise ConfigurationError(
                f"There is no {known.noun} {reference!r}: no name is this, and no id begins so; list yours with: iis {known.group} list"
            )
        if len(found) > 1:
            shown = ", ".join(map(str, islice(found.values(), MAX_SHOWN))) + (", …" if len(found) > MAX_SHOWN else "")
            raise ConfigurationError(f"{reference!r} fits several {known.plural}: {shown}; write more of the id.")
        return next(iter(found))

    def recent(self, kind: ReferableKind, limit: int = 100) -> list[Named]:
        """Ids and names of the newest resources of a kind, newest first; of vocabularies, the shipped ones too."""
        shipped = self._shipped() if kind == "vocabulary" else []
        return [*shipped, *islice(self._listed(KINDS[kind], limit=limit), limit)]

    def _fitting(self, kind: ReferenceKind, reference: str) -> Iterator[Named]:
        """Resources of that name, and those whose ids begin so."""
        characters = reference.removeprefix(kind.prefix)
        is_prefix = len(characters) >= MIN_PREFIX_CHARACTERS and re.fullmatch(f"{_ULID}{{1,{ID_CHARACTERS}}}", characters) is not None
        start = kind.prefix + characters
        if not kind.searchable:
            for each in self._listed(kind):
                if each.name == reference or (is_prefix and each.id.startswith(start)):
                    yield each
            return
        if len(reference) <= 200 and "\0" not in reference and reference:
            yield from (each for each in self._listed(kind, name_contains=reference) if each.name == reference)
        if is_prefix:  # ids sort by time, newest first: the page after the largest id with this beginning
            largest = start.ljust(len(kind.prefix) + ID_CHARACTERS, "z")
            following = self._listed(kind, after=largest, limit=MAX_SHOWN + 1)
            yield from islice(takewhile(lambda each: each.id.startswith(start), following), MAX_SHOWN + 1)

    def _listed(self, kind: ReferenceKind, **query: Any) -> Iterator[Named]:
        return (_named(item) for item in pages(self._transport, kind.path, query))

    def _shipped(self) -> list[Named]:
        answer = self._transport.send("GET", f"{KINDS['vocabulary'].path}/shipped").json()
        return [_named(item) for item in answer["data"]]


def _named(item: dict[str, Any]) -> Named:
    return Named(item["id"], item.get("name") or item.get("url") or "")
