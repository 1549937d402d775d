# The console, signed in by AppRole. It acts for people whom it has signed in itself: takes a pair in and passes it on, and
# hands one out wrapped. It gets a pair only wrapped, also for itself when somebody presses "Check now", so that Vault's log
# tells each time; and it writes neither pairs nor pointers with its own token.

# A pair is stored with a token of its own: single use, one minute, and able to write only (keyturn-intake.hcl).
path "auth/token/create/keyturn-intake" {
  capabilities = ["create", "update"]
}

# Which versions there are. Metadata holds no secret.
path "keyturn/metadata/+/+/+" {
  capabilities = ["read"]
}

# Which version is in use.
path "keyturn/data/+/+/pointer" {
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

# Evidence files.
path "transit/sign/keyturn-evidence" {
  capabilities = ["update"]
}

path "transit/keys/keyturn-evidence" {
  capabilities = ["read"]
}

# The audit trail's head, for evidence.
path "keyturn/data/audit/head" {
  capabilities = ["read"]
}

# Whom somebody is in Vault who signed in at the OpenID provider: one human is one person, for four eyes.
path "identity/lookup/entity" {
  capabilities = ["create", "update"]
  allowed_parameters = {
    "alias_name"           = []
    "alias_mount_accessor" = []
  }
}

# Tells whether the mount is KV version 2: a version 1 mount ignores check-and-set without a word.
path "sys/internal/ui/mounts/keyturn" {
  capabilities = ["read"]
}

path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}
