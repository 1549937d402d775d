"""The topology of `deployments/compose` without containers: what an operator runs, on one machine.

::

    keeper.py      starts again what ended, as systemd would
    authority.py   the cluster's own certificate authority
    vault_nodes.py three OpenBao nodes on raft, with TLS
    redis.py       what Prefect's servers tell each other by
    prefects.py    two Prefect servers, their background services, three workers
    balancer.py    nginx in front of servers, consoles and nodes
    topology.py    all of it, brought up and kept up
"""
