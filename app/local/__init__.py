"""The whole service on one machine: PostgreSQL and Redis from wheels, migrations, API and workers."""
