"""Print docs/configuration.md from the settings: `python -m app.configuration_page`; with `--check FILE`, fail where FILE differs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic.fields import FieldInfo

from app.setting_sources import Section
from app.settings import SECTIONS

HEAD = """\
# Configuration

API and worker read the settings below from environment variables. Lists are JSON. Units are in the names. With `_FILE` appended, a variable
names a file with the value (`IIS_DATABASE_URL_FILE=/run/secrets/database_url`), for secrets that should not be in the environment.
Generated from `app/settings.py` by `make configuration`; `make check` fails where this page differs.
"""
UNITS = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))
DURATIONS = ((24 * 3600, "day"), (3600, "hour"))


def page() -> str:
    """The page, one table a section."""
    return "\n".join([HEAD, *(line for section in SECTIONS for line in _section(section))])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.configuration_page", description=__doc__)
    parser.add_argument("--check", type=Path, metavar="FILE", help="compare with FILE instead of printing")
    options = parser.parse_args(arguments)
    if options.check is None:
        sys.stdout.write(page())
        return 0
    if options.check.is_file() and options.check.read_text() == page():
        return 0
    print(f"{options.check} differs from the settings; run `make configuration`.", file=sys.stderr)
    return 1


def _section(section: type[Section]) -> Iterator[str]:
    yield f"## {section.__doc__}\n"
    yield "| variable | default | meaning |"
    yield "| --- | --- | --- |"
    for name in section.__annotations__:
        field = section.model_fields[name]
        yield f"| `IIS_{name.upper()}` | {_default(name, field)} | {field.description} |"
    yield ""


def _default(name: str, field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "default" in extra:
        return str(cast("dict[str, Any]", extra)["default"])
    value = field.get_default()
    if value is None:
        return "none"
    readable = _readable(name, value)
    return f"`{value if isinstance(value, str) else json.dumps(value)}`" + (f" ({readable})" if readable else "")


def _readable(name: str, value: Any) -> str:
    if name.endswith("_bytes"):
        return next((f"{value / size:g} {unit}" for size, unit in UNITS if value >= size), "")
    if name.endswith("_seconds"):
        return next((f"{value / size:g} {unit}{'s' * (value > size)}" for size, unit in DURATIONS if value >= size), "")
    return ""


if __name__ == "__main__":
    sys.exit(main())
