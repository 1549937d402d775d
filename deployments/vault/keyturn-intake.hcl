# The token that stores one pair. It is minted for a gong_admin through the token role of the same name: single use, a
# minute long, not renewable, and without the default policy. It writes a new version and can neither read nor delete.

path "keyturn/data/+/+/client" {
  capabilities = ["create", "update"]
}
