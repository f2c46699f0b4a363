"""Checks of single settings, each with a sentence that names the setting and what it may be."""

from __future__ import annotations

from collections.abc import Sequence

from iis_engine.errors import SettingError


def require_name(value: str, known: Sequence[str], noun: str, param: str) -> None:
    """Refuse a name that is not one of `known`.

    Raises
    ------
    SettingError
    """
    if value not in known:
        raise SettingError(f"{value!r} is not {noun}; choose one of {', '.join(known)}.", param=param)


def require_at_least(least: int, value: int, param: str) -> None:
    """Refuse a number below `least`.

    Raises
    ------
    SettingError
    """
    if value < least:
        raise SettingError(f"{param} must be at least {least}; it is {value!r}.", param=param)
