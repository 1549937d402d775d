"""A real OpenBao in a folder."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from keyturn.errors import ConfigurationError, UnavailableError
from keyturn.sandbox.openbao import OpenBao, TlsFiles, start_openbao
from keyturn.sandbox.ports import free_port
from keyturn.sandbox.processes import Children
from keyturn.sandbox.sign_in import token
from keyturn.sandbox.vault_api import VaultApi

Found = Callable[[Path], list[Path]]
SECRET = "a-secret-of-this-test"


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """A running server, for tests that leave it as it is."""
    with Children(tmp_path_factory.mktemp("openbao")) as children:
        yield start_openbao(children)


def store(bao: OpenBao) -> None:
    """Keep a secret."""
    with bao.api() as root:
        root.write("keyturn/data/acme/production/client", {"options": {"cas": 0}, "data": {"client_secret": SECRET}})


def stored(bao: OpenBao) -> str:
    """The secret kept."""
    with bao.api() as root:
        return str(root.read("keyturn/data/acme/production/client")["data"]["data"]["client_secret"])


def test_it_resumes_with_everything(tmp_path: Path, open_to_others: Found) -> None:
    """After a stop: same people, passwords, AppRole and secrets; what was kept on disk is private."""
    with Children(tmp_path) as children:
        first = start_openbao(children)
        store(first)
    with Children(tmp_path) as children:
        second = start_openbao(children)
        assert stored(second) == SECRET
        assert (second.role_id, second.secret_id) == (first.role_id, first.secret_id)
        assert second.passwords == first.passwords
        assert all(second.login(name) for name in ("alice", "bob", "erin", "grace"))
    assert open_to_others(tmp_path) == []


def test_it_resumes_after_kill_9(tmp_path: Path) -> None:
    """What was stored is there after the server was killed, and sign-ins from before are still good."""
    with Children(tmp_path) as children:
        bao = start_openbao(children)
        store(bao)
        before = bao.login("alice")
        os.kill(bao.child.process.pid, signal.SIGKILL)
        bao.child.process.wait()
        again = start_openbao(children)
        assert stored(again) == SECRET
        with again.api(before) as alice:
            assert alice.read("auth/token/lookup-self")["data"]["display_name"] == "userpass-alice"


def test_no_secret_shows(bao: OpenBao) -> None:
    """Neither the process's arguments, nor its log, audit file and configuration, nor our own texts show a secret."""
    store(bao)
    folder = bao.audit_file.parent
    unseal_key = json.loads((folder / "keys.json").read_text())["unseal_key"]
    texts = [
        " ".join(psutil.Process(bao.child.process.pid).cmdline()),
        bao.child.log.read_text(),
        bao.audit_file.read_text(),
        (folder / "openbao.hcl").read_text(),
        repr(bao),
    ]
    for secret in (SECRET, unseal_key, bao.root_token, bao.secret_id, *bao.passwords.values()):
        assert not [text for text in texts if secret in text]
    assert "keyturn/data/acme/production/client" in texts[2]


def test_it_listens_on_this_machine_only(bao: OpenBao) -> None:
    """Both its ports are bound to 127.0.0.1."""
    connections = psutil.Process(bao.child.process.pid).net_connections("inet")
    assert {c.laddr.ip for c in connections if c.status == "LISTEN"} == {"127.0.0.1"}


def test_people_sign_in_from_another_process(bao: OpenBao) -> None:
    """Given the folder, `sign_in` prints a person's token; strangers are told who is there."""
    state = bao.audit_file.parents[1]
    (state / "ports.json").write_text(json.dumps({"openbao": int(bao.addr.rpartition(":")[2])}))
    argv = [sys.executable, "-m", "keyturn.sandbox.sign_in", str(state)]
    printed = subprocess.run([*argv, "bob"], check=True, capture_output=True, text=True).stdout
    with bao.api(printed.strip()) as bob:
        assert bob.read("auth/token/lookup-self")["data"]["display_name"] == "userpass-bob"
    stranger = subprocess.run([*argv, "mallory"], check=False, capture_output=True, text=True)
    assert stranger.returncode != 0
    assert "In it: alice, bob, erin, grace." in stranger.stderr


def test_a_stopped_sandbox_lets_nobody_sign_in(tmp_path: Path) -> None:
    """Signing in to a sandbox that is not running is an error in plain words."""
    (tmp_path / "people.json").write_text('{"bob": "password"}')
    (tmp_path / "ports.json").write_text(json.dumps({"openbao": free_port()}))
    with pytest.raises(UnavailableError, match="gave no answer"):
        token(tmp_path, "bob")


def test_an_interrupted_first_start_does_no_harm(tmp_path: Path) -> None:
    """When the server was initialised and its key never arrived, the next start begins afresh."""
    with Children(tmp_path) as children:
        children.stop(start_openbao(children).child)
        for never_written in ("openbao/keys.json", "people.json", "approle.json"):
            (tmp_path / never_written).unlink()
        assert start_openbao(children).login("alice")


def test_it_speaks_tls(tmp_path: Path) -> None:
    """With a certificate it answers over TLS to those who trust the authority, and to nobody else."""
    tls = certificate(tmp_path)
    with Children(tmp_path / "state") as children:
        bao = start_openbao(children, tls=tls)
        assert bao.addr.startswith("https://127.0.0.1:")
        with bao.api(bao.login("alice")) as alice:
            assert alice.read("auth/token/lookup-self")["data"]["display_name"] == "userpass-alice"
        with VaultApi(bao.addr, ca=certificate(tmp_path).ca) as stranger, pytest.raises(UnavailableError):
            stranger.read("sys/health")


def test_what_was_lost_or_revoked_is_noticed(tmp_path: Path) -> None:
    """A kept AppRole secret id is tried before it is used again; without its unseal key a server stays sealed."""
    with Children(tmp_path) as children:
        first = start_openbao(children)
        with first.api() as root:
            root.write("auth/approle/role/keyturn-worker/secret-id/destroy", {"secret_id": first.secret_id})
        children.stop(first.child)
        second = start_openbao(children)
        assert second.secret_id != first.secret_id
        with second.api("") as anybody:
            signed_in = {"role_id": second.role_id, "secret_id": second.secret_id}
            assert "keyturn-worker" in anybody.write("auth/approle/login", signed_in)["auth"]["policies"]
        children.stop(second.child)
        (tmp_path / "openbao" / "keys.json").unlink()
        with pytest.raises(ConfigurationError, match="stays sealed"):
            start_openbao(children)


def certificate(folder: Path) -> TlsFiles:
    """A new self-signed certificate for 127.0.0.1, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    serial = f"{made.serial_number:x}"
    pem, private = folder / f"{serial}.pem", folder / f"{serial}.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return TlsFiles(certificate=pem, key=private, ca=pem)
