"""Values out of a YAML file, each of the type it must have, or a sentence that names its key. What the keys mean is in .file."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from iis_client.errors import ConfigurationError, LocalFileError

SHOWN_CHARACTERS = 40
ITEMS_SHOWN = 8

Value = TypeVar("Value")


class Fields:
    """One mapping of the file, whose keys are taken out one after the other; `done` refuses those that nobody took.

    Parameters
    ----------
    value : what YAML made of it
    at : where it stands, such as `study.yaml: models[0]`; of the whole file its name and a colon
    what : it is, for the sentence that refuses a key: "a model"

    Raises
    ------
    ConfigurationError
        When it is no mapping with words as keys.
    """

    def __init__(self, value: object, at: str, what: str) -> None:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in cast("dict[Any, Any]", value)):
            raise ConfigurationError(f"{at} must be a mapping of keys to values, not {shown(value)}.")
        self._values = cast("dict[str, Any]", value)
        self._at = at
        self._what = what
        self._known: list[str] = []

    @property
    def names(self) -> frozenset[str]:
        """The keys that are there with a value."""
        return frozenset(name for name in self._values if self.has(name))

    def has(self, name: str) -> bool:
        """Whether a key is there with a value."""
        return self._values.get(name) is not None

    def where(self, name: str) -> str:
        """The path of a key."""
        return f"{self._at} {name}" if self._at.endswith(":") else f"{self._at}.{name}"

    def take(self, name: str) -> Any:
        """The value of a key as YAML has it; None where it is not there."""
        self._known.append(name)
        return self._values.get(name)

    def text(self, name: str, most: int | None = None) -> str | None:
        """A text that is not empty, of `most` characters."""
        value = self.take(name)
        if value is None or (isinstance(value, str) and value and (most is None or len(value) <= most)):
            return value
        bound = f" of 1 to {most} characters" if most is not None else ""
        hint = "; a number needs quotes to be a text" if isinstance(value, int | float) else ""
        raise self.refusal(name, f"a text{bound}{hint}", value)

    def word(self, name: str, pattern: re.Pattern[str], meaning: str) -> str | None:
        """A text of a certain form, which `meaning` says."""
        value = self.take(name)
        if value is None or (isinstance(value, str) and pattern.fullmatch(value)):
            return value
        raise self.refusal(name, meaning, value)

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        """One of some words."""
        value = self.take(name)
        if value is None or value in choices:
            return value
        raise self.refusal(name, f"one of {', '.join(choices)}", value)

    def number(self, name: str, low: float, high: float = math.inf, *, without: Sequence[float] = ()) -> float | None:
        """A number within bounds, as `as_number` takes them."""
        value = self.take(name)
        return None if value is None else as_number(value, self.where(name), low, high, without=without)

    def whole(self, name: str, low: int, high: int) -> int | None:
        """A whole number within bounds."""
        value = self.take(name)
        return None if value is None else as_whole(value, self.where(name), low, high)

    def flag(self, name: str) -> bool | None:
        """true or false."""
        value = self.take(name)
        if value is None or isinstance(value, bool):
            return value
        raise self.refusal(name, "true or false", value)

    def mapping(self, name: str) -> dict[str, Any] | None:
        """A mapping whose values can be sent as they are."""
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, dict) or not _is_json(value):
            raise self.refusal(name, "a mapping of keys to numbers, texts and lists", value)
        return cast("dict[str, Any]", value)

    def each(self, name: str, read: Callable[[object, str], Value], most: int | None = None) -> list[Value] | None:
        """A list of `most` items, each read by `read(item, where it stands)`."""
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self.refusal(name, "a list", value)
        items = cast("list[object]", value)
        if most is not None and len(items) > most:
            raise ConfigurationError(f"{self.where(name)} has {len(items):,} items, and the most is {most:,}; take some away.")
        return [read(item, f"{self.where(name)}[{place}]") for place, item in enumerate(items)]

    def each_once(self, name: str, read: Callable[[object, str], Value], said: Callable[[Value], str], most: int) -> list[Value] | None:
        """The same, of items that all say something else; `said` tells what one says."""
        items = self.each(name, read, most)
        places: dict[str, int] = {}
        for place, item in enumerate(items or []):
            earlier = places.setdefault(said(item), place)
            if earlier != place:
                raise ConfigurationError(f"{self.where(name)}[{place}] says the same as {self.where(name)}[{earlier}]; name each once.")
        return items

    def refusal(self, name: str, wanted: str, value: object) -> ConfigurationError:
        """The sentence about a value that is none."""
        return ConfigurationError(f"{self.where(name)} must be {wanted}, not {shown(value)}.")

    def done(self) -> None:
        """Refuse the keys that nobody took.

        Raises
        ------
        ConfigurationError
        """
        for name in self._values:
            if name not in self._known:
                near = get_close_matches(name, self._known, 1)
                meant = f"did you mean {near[0]}?" if near else f"it has {', '.join(self._known)}."
                raise ConfigurationError(f"{self.where(name)} is no key of {self._what}; {meant}")


def read_yaml(path: Path) -> Fields:
    """The mapping that a YAML file holds.

    Raises
    ------
    LocalFileError
        When there is no such file.
    ConfigurationError
        When it is no YAML, or holds no mapping.
    """
    if not path.is_file():
        raise LocalFileError(f"There is no file {path}; name a study's YAML file.")
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        at = f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}" if error.problem_mark else "its text"
        raise ConfigurationError(f"{path.name} is not YAML at {at}: {error.problem or error.context}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path.name} is no text in UTF-8, so it cannot be read as YAML.") from error
    return Fields(value, f"{path.name}:", "a study")


def as_number(value: object, at: str, low: float, high: float = math.inf, *, without: Sequence[float] = ()) -> float:
    """A finite number within bounds.

    Parameters
    ----------
    without : bounds that are not within themselves

    Raises
    ------
    ConfigurationError
    """
    lowest, highest = max(low, -sys.float_info.max), min(high, sys.float_info.max)
    if isinstance(value, int | float) and not isinstance(value, bool) and lowest <= value <= highest and value not in without:
        return value
    raise ConfigurationError(f"{at} must be a number{_bounds(low, high, without)}, not {shown(value)}.")


def as_whole(value: object, at: str, low: int, high: int) -> int:
    """A whole number within bounds.

    Raises
    ------
    ConfigurationError
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high and value == int(value):
        return int(value)
    raise ConfigurationError(f"{at} must be a whole number from {low} to {high}, not {shown(value)}.")


def shown(value: object) -> str:
    """A value as a sentence names it."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    said = repr(value)
    return said if len(said) <= SHOWN_CHARACTERS else f"{said[:SHOWN_CHARACTERS]}…"


def shown_list(items: Sequence[object]) -> str:
    """The first items of a list, as a sentence names them."""
    said = ", ".join(str(item) for item in items[:ITEMS_SHOWN])
    return f"[{said}, …]" if len(items) > ITEMS_SHOWN else f"[{said}]"


def _bounds(low: float, high: float, without: Sequence[float]) -> str:
    if not without and not math.isinf(low) and not math.isinf(high):
        return f" from {low:g} to {high:g}"
    lower = "" if math.isinf(low) else f" above {low:g}" if low in without else f" of {low:g} or more"
    upper = "" if math.isinf(high) else f" below {high:g}" if high in without else f" up to {high:g}"
    return " and".join(bound for bound in (lower, upper) if bound)


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
