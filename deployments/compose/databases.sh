#!/bin/sh
# Run once by the postgres image, on an empty volume: an owner and a database for the ledger, and for Prefect.
set -eu
SECRETS=${SECRETS:-/run/secrets}

# psql reads the passwords itself: they are in no argument, and quoted as SQL wants it.
psql --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres --no-psqlrc <<SQL
\set ledger \`cat '$SECRETS/ledger_password'\`
\set prefect \`cat '$SECRETS/prefect_password'\`
CREATE ROLE keyturn LOGIN PASSWORD :'ledger';
CREATE ROLE prefect LOGIN PASSWORD :'prefect';
CREATE DATABASE keyturn OWNER keyturn;
CREATE DATABASE prefect OWNER prefect;
REVOKE CONNECT ON DATABASE keyturn FROM PUBLIC;
REVOKE CONNECT ON DATABASE prefect FROM PUBLIC;
SQL
