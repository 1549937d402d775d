"""Three OpenBao nodes on raft, with TLS and an audit file each, unsealed by whoever keeps them up.

In production a node unseals itself, by a cloud's key service or an HSM, or people do it. Here the key lies in a file
beside the data, and the keeper uses it after every start.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path

from keyturn.errors import KeyturnError, UnavailableError, VendorRefusedError
from keyturn.sandbox.cluster.keeper import Keeper
from keyturn.sandbox.openbao import Node, OpenBao, TlsFiles, administered, start_node, unsealed
from keyturn.sandbox.processes import Child, Children
from keyturn.sandbox.vault_api import VaultApi

_OPEN = (HTTPStatus.OK, HTTPStatus.TOO_MANY_REQUESTS)  # active, standby


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes of a cluster.

    Attributes:
        keys: the file with the unseal key and the root token, which all share.
        tls: with a certificate for all of them, and for whoever stands in front.
    """

    nodes: Sequence[Node]
    keys: Path
    tls: TlsFiles

    @classmethod
    def of(cls, state: Path, ports: Sequence[tuple[int, int]], tls: TlsFiles) -> Nodes:
        """Nodes on those ports: for clients, and for each other."""
        addresses = [f"https://127.0.0.1:{port}" for port, _ in ports]
        nodes = [
            Node(f"openbao-{n}", state / "openbao" / str(n), addr, between, tls,
                 tuple(other for other in addresses if other != addr))
            for n, (addr, (_, between)) in enumerate(zip(addresses, ports, strict=True), start=1)
        ]  # fmt: skip
        return cls(nodes, state / "openbao" / "keys.json", tls)

    def up(self, children: Children, keeper: Keeper, addr: str) -> OpenBao:
        """Start all, unseal them, set up what is missing, and keep them up.

        Args:
            children: where they are kept.
            keeper: starts them again, unsealed.
            addr: where clients reach them.

        Raises:
            UnavailableError: one does not come up, or they elect no leader.
        """
        started = [start_node(children, node) for node in self.nodes]
        first = started[0]
        with self._api(self.nodes[0]) as api:
            first.wait_until(lambda: api.health() is not None)
            root_token = unsealed(api, self.keys)
        for node, child in zip(self.nodes, started, strict=True):
            self._open(node, child)
        with VaultApi(addr, ca=self.tls.ca) as api:
            first.wait_until(lambda: _has_leader(api))
        for node, child in zip(self.nodes, started, strict=True):
            keeper.keep(child, partial(self._again, children, node))
        return administered(first, addr, root_token, children.state, tuple(n.folder for n in self.nodes), self.tls.ca)

    def leader(self) -> str | None:
        """The name of the node that leads now; `None` while they elect one."""
        for node in self.nodes:
            with self._api(node) as api:
                if api.health() == HTTPStatus.OK:
                    return node.name
        return None

    def _again(self, children: Children, node: Node) -> Child:
        """Start it again; one that does not open, because the others are away, must not stay beside the next try."""
        child = start_node(children, node)
        try:
            self._open(node, child)
        except KeyturnError:
            children.stop(child)
            raise
        return child

    def _open(self, node: Node, child: Child) -> None:
        """Unseal a node until it is open: a new one has to be taken in by the others first."""
        key = json.loads(self.keys.read_text())["unseal_key"]
        with self._api(node) as api:

            def is_open() -> bool:
                if api.health() not in _OPEN:
                    with suppress(VendorRefusedError, UnavailableError):  # not yet taken in, or not yet listening
                        api.write("sys/unseal", {"key": key})
                return api.health() in _OPEN

            child.wait_until(is_open)

    def _api(self, node: Node) -> VaultApi:
        return VaultApi(node.addr, ca=self.tls.ca)


def _has_leader(api: VaultApi) -> bool:
    try:
        return bool(api.read("sys/leader").get("leader_address"))
    except (UnavailableError, VendorRefusedError):
        return False
