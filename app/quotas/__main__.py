"""`python -m app.quotas`: show limits and use of owners, and set the limits of one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.db.models import Owner
from app.operator_session import operator_session
from app.quotas.limits import NAMES
from app.quotas.repository import QuotaRepository, all_owners, set_overrides
from app.quotas.service import DAY, quotas_of
from app.settings import Settings, get_settings

SERVICES_OWN = "default"


def main(arguments: Sequence[str] | None = None) -> int:
    """Set limits, and print one line for each limit of the selected owners; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.quotas", description="Show the quotas of owners; set those of one.")
    parser.add_argument("owner", nargs="?", help="id of one owner (own_…); every owner unless given")
    for name in NAMES:
        help_text = f"a number, 0 for no limit, or {SERVICES_OWN} for the service's own"
        parser.add_argument(f"--{name.replace('_', '-')}", type=_limit, metavar="N", default=argparse.SUPPRESS, help=help_text)
    options = vars(parser.parse_args(arguments))
    owner_id = options.pop("owner")
    if options and owner_id is None:
        parser.error("say which owner's quotas to set; python -m app.quotas lists them.")
    settings = get_settings()
    with operator_session(settings) as session:
        if options and not set_overrides(session, owner_id, options):
            parser.error(f"there is no owner {owner_id}; python -m app.quotas lists them.")
        meant = [owner for owner in all_owners(session) if owner_id in (None, owner.id)]
        if owner_id and not meant:
            parser.error(f"there is no owner {owner_id}; python -m app.quotas lists them.")
        for owner in meant:
            _print(session, owner, settings)
    return 0


def _print(session: Session, owner: Owner, settings: Settings) -> None:
    limits, used = quotas_of(session, owner.id, settings), QuotaRepository(session, owner.id)
    own = used.overrides()
    counts = {
        "stored_bytes": used.stored_bytes(),
        "open_uploads": used.open_uploads(),
        "unfinished_jobs": used.unfinished_jobs(),
        "jobs_per_day": used.jobs_since(datetime.now(UTC) - DAY),
        "pending_validations": used.pending_validations(),
    }
    print(f"{owner.id}  {owner.name}")
    for name in NAMES:
        limit = getattr(limits, name)
        said = "no limit" if limit is None else f"of {limit}"
        print(f"  {name:<19} {counts[name]} {said}{'' if own[name] is None else ', its own'}")


def _limit(text: str) -> int | None:
    if text == SERVICES_OWN:
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number; give one, 0 for no limit, or {SERVICES_OWN}.")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
