"""Print the OpenAPI document: `python -m app.openapi_document`; with `--check FILE`, fail where FILE differs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from difflib import unified_diff
from itertools import islice
from pathlib import Path

from app.main import create_app
from app.settings import Settings

SHOWN_LINES = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the document, or compare it with a file."""
    parser = argparse.ArgumentParser(prog="python -m app.openapi_document", description="Print the OpenAPI document of the API.")
    parser.add_argument("--check", type=Path, metavar="FILE", help="compare FILE with the document")
    options = parser.parse_args(arguments)
    text = _text()
    if options.check is None:
        sys.stdout.write(text)
        return 0
    kept = options.check.read_text(encoding="utf-8") if options.check.is_file() else ""
    if kept == text:
        return 0
    changes = unified_diff(kept.splitlines(), text.splitlines(), str(options.check), "the API", lineterm="")
    print(*islice(changes, SHOWN_LINES), sep="\n", file=sys.stderr)
    print(f"{options.check} differs from the API; run `make openapi`.", file=sys.stderr)
    return 1


def _text() -> str:
    app = create_app(Settings(api_key_secret="only for the document, which holds nothing of it"))  # noqa: S106
    return json.dumps(app.openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
