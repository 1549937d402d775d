# Group `viewer`: looks at runs and gates. That happens in keyturn's ledger, so nothing in Vault is opened.

path "auth/token/lookup-self" {
  capabilities = ["read"]
}
