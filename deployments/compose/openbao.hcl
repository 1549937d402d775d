# One file for all three nodes; which node it is stands in BAO_RAFT_NODE_ID, BAO_API_ADDR and BAO_CLUSTER_ADDR.
ui = true
# A node that stands by may be behind: what was written a moment ago is read from the one that leads.
disable_standby_reads = true

storage "raft" {
  path                   = "/openbao/file"
  performance_multiplier = 1

  retry_join {
    leader_api_addr     = "https://openbao-1:8200"
    leader_ca_cert_file = "/run/secrets/ca.pem"
  }
  retry_join {
    leader_api_addr     = "https://openbao-2:8200"
    leader_ca_cert_file = "/run/secrets/ca.pem"
  }
  retry_join {
    leader_api_addr     = "https://openbao-3:8200"
    leader_ca_cert_file = "/run/secrets/ca.pem"
  }
}

listener "tcp" {
  address         = "0.0.0.0:8200"
  cluster_address = "0.0.0.0:8201"
  tls_cert_file   = "/run/secrets/openbao.pem"
  tls_key_file    = "/run/secrets/openbao.key"
  tls_min_version = "tls12"

  # Who asked stands in the audit log as nginx saw it.
  x_forwarded_for_authorized_addrs      = "172.31.240.10"
  x_forwarded_for_reject_not_present    = false
  x_forwarded_for_reject_not_authorized = false
}

# The only place that says who opened a pair. If no device can write, OpenBao answers nothing at all.
audit "file" "file" {
  options {
    file_path = "/openbao/logs/audit.log"
  }
}
