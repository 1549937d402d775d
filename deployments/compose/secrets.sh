#!/bin/sh
# Make every secret that compose.yaml names, at random, and a certificate authority for OpenBao. What exists is kept.
#   ./secrets.sh example.com
# The folder is closed to everybody else on this machine; the files in it can be read by the containers that get them,
# which run under users of their own.
set -eu
domain=${1:?usage: secrets.sh DOMAIN}
command -v openssl > /dev/null || { echo "secrets.sh needs openssl" >&2; exit 1; }
cd "${SECRETS_FOLDER:-$(dirname "$0")}"
mkdir -p secrets
chmod 700 secrets
cd secrets
umask 077

new() { # name, and mode; an empty secret is none: what made it has failed
    [ ! -s "$1" ] || return 0
    cat > "$1.new"
    [ -s "$1.new" ] || { rm "$1.new"; echo "secrets.sh: nothing came for $1" >&2; return 1; }
    chmod "${2:-444}" "$1.new"
    mv -f "$1.new" "$1"
}
random() { openssl rand -hex 24; }

random | tr -d '\n' | new postgres_password
random | tr -d '\n' | new ledger_password
random | tr -d '\n' | new prefect_password
random | tr -d '\n' | new metrics_token
random | tr -d '\n' | new grafana_password
random | tr -d '\n' | new redis_password 400
random | tr -d '\n' | new prefect_login 400

echo "requirepass $(cat redis_password)" | new redis.conf
# Read by compose itself, as you.
new prefect-client.env 600 <<END
PREFECT_API_AUTH_STRING=keyturn:$(cat prefect_login)
END
encryption_key=$(openssl rand -base64 32)
new prefect-server.env 600 <<END
PREFECT_SERVER_DATABASE_CONNECTION_URL=postgresql+asyncpg://prefect:$(cat prefect_password)@postgres/prefect
PREFECT_SERVER_API_AUTH_STRING=keyturn:$(cat prefect_login)
PREFECT_API_AUTH_STRING=keyturn:$(cat prefect_login)
PREFECT_SERVER_ENCRYPTION_KEY=$(echo "$encryption_key" | tr '+/' '-_')
PREFECT_SERVER_DOCKET_URL=redis://:$(cat redis_password)@redis:6379/1
PREFECT_REDIS_MESSAGING_PASSWORD=$(cat redis_password)
PREFECT_REDIS_WORKER_CLEANUP_QUEUE_PASSWORD=$(cat redis_password)
END

ledger() { printf '[ledger]\nurl = "postgresql://keyturn:%s@postgres/keyturn"\n' "$(cat ledger_password)"; }
# keyturn's own settings. Fill the empty ones in: README.md says from where.
ledger | new ledger.toml
{
    ledger
    printf '\n[vault]\nrole_id = ""\nsecret_id = ""\n\n[stackone]\napi_key = ""\n'
} | new worker.toml
{
    ledger
    printf '\n[vault]\nrole_id = ""\nsecret_id = ""\n\n[stackone]\napi_key = ""\n'
    printf '\n[console]\nmetrics_token = "%s"\nwebhook_secret = ""\n\n[console.oidc]\nclient_secret = ""\n' "$(cat metrics_token)"
} | new console.toml

signed() { # name, lifetime in days, and the names that it is for
    [ ! -e "$1.pem" ] || return 0
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$1.key.new" -out "$1.csr" -subj "/CN=$1" 2> /dev/null
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$3" > "$1.ext"
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days "$2" -extfile "$1.ext" -out "$1.pem.new" 2> /dev/null
    chmod 444 "$1.key.new" "$1.pem.new"
    mv "$1.key.new" "$1.key" && mv "$1.pem.new" "$1.pem"
    rm "$1.csr" "$1.ext"
}

if [ ! -e ca.pem ]; then
    openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout ca.key -out ca.pem -days 3650 \
        -subj "/CN=keyturn's own authority" -addext keyUsage=critical,keyCertSign,cRLSign 2> /dev/null
    chmod 400 ca.key && chmod 444 ca.pem
fi
signed openbao 825 "DNS:openbao,DNS:openbao-1,DNS:openbao-2,DNS:openbao-3,DNS:localhost,IP:127.0.0.1"
# To try it out. Put a certificate that browsers trust in place of it, for these four names.
signed tls 90 "DNS:console.$domain,DNS:prefect.$domain,DNS:vault.$domain,DNS:grafana.$domain"
