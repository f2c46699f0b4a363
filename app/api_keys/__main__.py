"""`python -m app.api_keys OWNER`: whoever operates the service adds an owner and gets that owner's first key, shown this once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from app.api_keys.service import create_key, create_owner
from app.db.session import make_engine, make_session_factory
from app.settings import get_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the new key alone on standard output; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.api_keys", description="Add an owner and print the owner's first API key.")
    parser.add_argument("owner", help="a name for people to read; it need not be unique")
    name = parser.parse_args(arguments).owner
    settings = get_settings()
    engine = make_engine(settings)
    try:
        with make_session_factory(engine)() as session:
            owner = create_owner(session, name)
            _, secret = create_key(session, owner.id, "first key", settings)
            session.commit()
    finally:
        engine.dispose()
    print(secret)
    return 0


if __name__ == "__main__":
    sys.exit(main())
