#!/bin/sh
# Writes the secrets of docker-compose.yml into deploy/secrets, once. The folder is readable by its owner alone; the files are readable inside
# the containers that get them, whose processes run as other users.
set -eu
folder=$(dirname "$0")/secrets
if [ -e "$folder" ]; then
    echo "$folder exists; remove it to make other secrets, which existing volumes do not know." >&2
    exit 1
fi
umask 077
mkdir "$folder"
random() { openssl rand -hex "$1"; }

database=$(random 24)
random 24 > "$folder/postgres_superuser_password"
echo "$database" > "$folder/database_password"
echo "postgresql+psycopg://iis:$database@postgres:5432/iis" > "$folder/database_url"

broker=$(random 24)
digest=$(printf %s "$broker" | openssl dgst -sha256 -r | cut -d ' ' -f 1)
echo "redis://iis:$broker@redis:6379/0" > "$folder/redis_url"
cat > "$folder/redis_users" <<EOF
user default off
user health on nopass resetkeys -@all +ping
user iis on #$digest resetkeys ~* resetchannels &* -@all +@all -@admin -@dangerous +info
EOF

access=GK$(random 12)
secret=$(random 32)
printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$access" "$secret" > "$folder/s3_credentials"
printf 'GARAGE_DEFAULT_ACCESS_KEY=%s\nGARAGE_DEFAULT_SECRET_KEY=%s\nGARAGE_DEFAULT_BUCKET=iis\n' "$access" "$secret" > "$folder/garage.env"
random 32 > "$folder/garage_rpc_secret"

random 24 > "$folder/api_key_secret"
chmod 444 "$folder"/*
