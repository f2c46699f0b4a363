"""`python -m app.api_keys OWNER`: print a new API key with all scopes, of a new or an existing owner."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from app.api_keys.service import create_key, create_owner
from app.db.models import Owner
from app.operator_session import operator_session
from app.settings import get_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the new key alone on standard output; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.api_keys", description="Print a new API key of a new or an existing owner.")
    parser.add_argument("owner", help="a name for people to read, which need not be unique; or the id of an owner (own_…)")
    named = parser.parse_args(arguments).owner
    settings = get_settings()
    with operator_session(settings) as session:
        is_there = named.startswith("own_")
        owner = session.get(Owner, named) if is_there else create_owner(session, named)
        if owner is None:
            parser.error(f"there is no owner {named}; python -m app.quotas lists them.")
        _, secret = create_key(session, owner.id, "operator's key" if is_there else "first key", settings)
    print(secret)
    return 0


if __name__ == "__main__":
    sys.exit(main())
