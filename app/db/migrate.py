"""Bringing a database to the newest schema from code; the migrations themselves lie in the folder `migrations`."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

MIGRATIONS_FOLDER = Path(__file__).parents[2] / "migrations"  # beside `app`, in the checkout and in the wheel alike


def alembic_config(database_url: str) -> Config:
    """Alembic's configuration without a file, so that an installed wheel needs none."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Apply every missing migration; safe to call from several processes at once."""
    command.upgrade(alembic_config(database_url), revision)


def downgrade(database_url: str, revision: str) -> None:
    """Take migrations back to `revision` (`base` for all of them)."""
    command.downgrade(alembic_config(database_url), revision)
