# Group `gong_admin`: hands in the pair that Gong shows once, and types it into StackOne's form where no API does.

# The pair is stored with a token of its own: single use, one minute, and able to write only (keyturn-intake.hcl).
path "auth/token/create/keyturn-intake" {
  capabilities = ["create", "update"]
}

# Which version comes next, for check-and-set. Metadata holds no secret.
path "keyturn/metadata/+/+/client" {
  capabilities = ["read"]
}

# A pair is only ever read wrapped: the answer is a token that opens once, and Vault notices if somebody else opened it.
path "keyturn/data/+/+/client" {
  capabilities     = ["read"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "10m"
}

# Opens a wrapping token that somebody handed over instead of the pair.
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}

path "transit/hmac/keyturn-fingerprint" {
  capabilities = ["update"]
}

# Tells whether the mount is KV version 2: a version 1 mount ignores check-and-set without a word.
path "sys/internal/ui/mounts/keyturn" {
  capabilities = ["read"]
}

path "auth/token/lookup-self" {
  capabilities = ["read"]
}
