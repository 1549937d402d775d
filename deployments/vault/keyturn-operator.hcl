# Group `operator`: runs keyturn day by day, and types the pair into StackOne's form where no API does. Sees which
# version is in use; reads a pair only wrapped, and writes nothing.

path "keyturn/data/+/+/pointer" {
  capabilities = ["read"]
}

path "keyturn/metadata/*" {
  capabilities = ["read", "list"]
}

path "keyturn/data/+/+/client" {
  capabilities     = ["read"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "10m"
}

path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}

# `keyturn audit verify` compares the trail with its head that is kept here.
path "keyturn/data/audit/head" {
  capabilities = ["read"]
}

# Evidence files. Vault's audit file says who signed.
path "transit/sign/keyturn-evidence" {
  capabilities = ["update"]
}

path "transit/keys/keyturn-evidence" {
  capabilities = ["read"]
}

path "keyturn/config" {
  capabilities = ["read"]
}

# Tells whether the mount is KV version 2: a version 1 mount ignores check-and-set without a word.
path "sys/internal/ui/mounts/keyturn" {
  capabilities = ["read"]
}

path "auth/token/lookup-self" {
  capabilities = ["read"]
}
