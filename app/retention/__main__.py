"""`python -m app.retention`: show the retention periods of owners, and set those of one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from app.db.deletion.retention import PERIODS, overrides_of, periods_of, set_overrides
from app.operator_session import operator_session
from app.quotas.repository import all_owners
from app.settings import get_settings

DEFAULT = "default"


def main(arguments: Sequence[str] | None = None) -> int:
    """Set periods, and print one line for each period of the selected owners; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.retention", description="Show the retention periods of owners; set those of one.")
    parser.add_argument("owner", nargs="?", help="id of one owner (own_…); every owner unless given")
    for name in PERIODS:
        help_text = f"days, 0 to keep for good, or {DEFAULT} for the service's own"
        parser.add_argument(
            f"--{name.replace('_', '-')}-days", dest=name, type=_days, metavar="N", default=argparse.SUPPRESS, help=help_text
        )
    options = vars(parser.parse_args(arguments))
    owner_id = options.pop("owner")
    if options and owner_id is None:
        parser.error("name the owner whose periods to set; python -m app.retention lists them.")
    settings = get_settings()
    with operator_session(settings) as session:
        if options and not set_overrides(session, owner_id, options):
            parser.error(f"there is no owner {owner_id}; python -m app.retention lists them.")
        selected = [owner for owner in all_owners(session) if owner_id in (None, owner.id)]
        if not selected:
            parser.error(f"there is no owner {owner_id}; python -m app.retention lists them.")
        for owner in selected:
            print(f"{owner.id}  {owner.name}")
            own = overrides_of(session, owner.id)
            for name, days in periods_of(session, owner.id, settings).items():
                period = "kept" if days is None else f"{days} days"
                print(f"  {name:<12} {period}{'' if own[name] is None else ', its own'}")
    return 0


def _days(argument: str) -> int | None:
    if argument == DEFAULT:
        return None
    if not argument.isdecimal() or int(argument) > 36_500:
        raise argparse.ArgumentTypeError(f"{argument!r} is not a number of days up to 36500; give one, 0 to keep for good, or {DEFAULT}.")
    return int(argument)


if __name__ == "__main__":
    sys.exit(main())
