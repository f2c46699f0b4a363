#!/bin/sh
# Runs once, when PostgreSQL creates its data folder: the service connects as a role that owns its database and is no superuser.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set password="$(cat "${DATABASE_PASSWORD_FILE:-/run/secrets/database_password}")" \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'EOF'
CREATE EXTENSION IF NOT EXISTS vector;
CREATE ROLE iis LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
ALTER DATABASE :"DBNAME" OWNER TO iis;
EOF
