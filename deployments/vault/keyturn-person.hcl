# Everybody who signs in. Groups are further policies: `keyturn-approver` on a token is group `approver` for keyturn.

path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
