"""Run the Alembic migrations of the folder `migrations` from code."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

MIGRATIONS_FOLDER = Path(__file__).parents[2] / "migrations"  # beside `app`


def alembic_config(database_url: str) -> Config:
    """Alembic configuration without alembic.ini, so that it does not depend on the working directory."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Apply all missing migrations; safe to call from several processes at once."""
    command.upgrade(alembic_config(database_url), revision)


def downgrade(database_url: str, revision: str) -> None:
    """Revert migrations down to `revision` (`base` for all)."""
    command.downgrade(alembic_config(database_url), revision)
