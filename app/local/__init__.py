"""Embedded stack: PostgreSQL and Redis from wheels, migrations, API and workers on one machine."""
