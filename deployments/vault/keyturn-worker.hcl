# Workers, signed in by AppRole. They read the secret a person has handed in, and move the pointer that says which
# version is in use. They can never write, delete or destroy a client secret.

path "keyturn/data/+/+/client" {
  capabilities = ["read"]
}

path "keyturn/data/+/+/pointer" {
  capabilities = ["create", "read", "update"]
}

path "keyturn/metadata/+/+/+" {
  capabilities = ["read"]
}

# By which channels people are told. Only an administrator writes it.
path "keyturn/data/notify/channels" {
  capabilities = ["read"]
}

# The audit trail's head, which the watch keeps here, out of reach of the ledger's database.
path "keyturn/data/audit/head" {
  capabilities = ["create", "read", "update"]
}

# `keyturn doctor` checks that the mount is KV version 2, demands check-and-set, and keeps enough versions.
path "keyturn/config" {
  capabilities = ["read"]
}

path "sys/internal/ui/mounts/keyturn" {
  capabilities = ["read"]
}

# Fingerprints are keyed: whoever sees one learns nothing without Vault.
path "transit/hmac/keyturn-fingerprint" {
  capabilities = ["update"]
}

# Evidence files.
path "transit/sign/keyturn-evidence" {
  capabilities = ["update"]
}

path "transit/keys/keyturn-evidence" {
  capabilities = ["read"]
}

# Tells `keyturn doctor` which of these rights the token has.
path "sys/capabilities-self" {
  capabilities = ["update"]
}

path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}
