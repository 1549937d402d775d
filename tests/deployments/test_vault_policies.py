"""Every permission and every denial of `deployments/vault/*.hcl`, on a real OpenBao."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from keyturn.errors import VendorRefusedError
from keyturn.sandbox.openbao import OpenBao
from keyturn.sandbox.vault_api import VaultApi
from keyturn.sandbox.vault_setup import PEOPLE
from tests.deployments.allowed import PAIR, denied, deposit

HMAC = "transit/hmac/keyturn-fingerprint"
INTAKE = "auth/token/create/keyturn-intake"
_numbers = count(1)


@pytest.fixture
def path() -> str:
    """An integration nobody has written yet."""
    return f"acme/test-{next(_numbers)}"


@pytest.fixture
def stored(bao: OpenBao, path: str) -> str:
    """An integration with one stored pair."""
    with bao.api() as root:
        root.write(f"keyturn/data/{path}/client", deposit())
    return path


@pytest.fixture
def worker(bao: OpenBao) -> Iterator[VaultApi]:
    """Signed in as a worker, by AppRole."""
    with VaultApi(bao.addr) as nobody:
        answer = nobody.write("auth/approle/login", {"role_id": bao.role_id, "secret_id": bao.secret_id})
    with bao.api(answer["auth"]["client_token"]) as api:
        yield api


@pytest.fixture
def grace(bao: OpenBao) -> Iterator[VaultApi]:
    """Signed in as the person of group gong_admin."""
    with bao.api(bao.login("grace")) as api:
        yield api


@pytest.fixture
def alice(bao: OpenBao) -> Iterator[VaultApi]:
    """Signed in as the person of groups requester and operator."""
    with bao.api(bao.login("alice")) as api:
        yield api


@pytest.fixture
def bob(bao: OpenBao) -> Iterator[VaultApi]:
    """Signed in as the person of group approver."""
    with bao.api(bao.login("bob")) as api:
        yield api


def intake(api: VaultApi, **options: object) -> dict[str, Any]:
    """Mint an intake token; returns Vault's `auth` object."""
    answer: dict[str, Any] = api.write(INTAKE, options)["auth"]
    return answer


def wrapped(api: VaultApi, path: str, ttl: str = "60s") -> str:
    """Read a path wrapped; returns the wrapping token."""
    return str(api.read(path, X_Vault_Wrap_TTL=ttl)["wrap_info"]["token"])


def test_worker_reads_a_client_secret(worker: VaultApi, stored: str) -> None:
    """A worker reads the pair, newest or by version."""
    assert worker.read(f"keyturn/data/{stored}/client")["data"]["data"] == PAIR
    assert worker.read(f"keyturn/data/{stored}/client?version=1")["data"]["data"] == PAIR


@pytest.mark.parametrize(
    ("method", "what"),
    [("POST", "data"), ("PUT", "data"), ("PATCH", "data"), ("DELETE", "data"), ("DELETE", "metadata"),
     ("POST", "metadata"), ("POST", "delete"), ("POST", "undelete"), ("PUT", "destroy")],
)  # fmt: skip
def test_worker_changes_no_client_secret(worker: VaultApi, stored: str, method: str, what: str) -> None:
    """A worker gets 403 creating, writing, patching, deleting or destroying a client secret, in every way KV offers."""
    assert denied(worker, "POST", "keyturn/data/acme/new/client", deposit())
    assert denied(worker, method, f"keyturn/{what}/{stored}/client", {**deposit(1), "versions": [1]})


def test_worker_moves_the_pointer(worker: VaultApi, path: str) -> None:
    """A worker creates the pointer, writes it again by check-and-set, reads it, and cannot delete it or its history."""
    worker.write(f"keyturn/data/{path}/pointer", {"options": {"cas": 0}, "data": {"fence": 1}})
    worker.write(f"keyturn/data/{path}/pointer", {"options": {"cas": 1}, "data": {"fence": 2}})
    assert worker.read(f"keyturn/data/{path}/pointer")["data"]["data"] == {"fence": 2}
    assert denied(worker, "DELETE", f"keyturn/data/{path}/pointer")
    assert denied(worker, "DELETE", f"keyturn/metadata/{path}/pointer")


def test_check_and_set_is_demanded(worker: VaultApi, path: str) -> None:
    """The mount refuses a write that does not say which version it replaces, and a stale one."""
    with pytest.raises(VendorRefusedError, match="check-and-set parameter required"):
        worker.write(f"keyturn/data/{path}/pointer", {"data": {"fence": 1}})
    worker.write(f"keyturn/data/{path}/pointer", {"options": {"cas": 0}, "data": {"fence": 1}})
    with pytest.raises(VendorRefusedError, match="did not match"):
        worker.write(f"keyturn/data/{path}/pointer", {"options": {"cas": 0}, "data": {"fence": 2}})


def test_worker_sees_how_the_mount_is_set_up(worker: VaultApi, stored: str) -> None:
    """What doctor needs: KV version 2, check-and-set, enough versions, metadata, its own rights."""
    assert worker.read("sys/internal/ui/mounts/keyturn")["data"]["options"]["version"] == "2"
    config = worker.read("keyturn/config")["data"]
    assert config["cas_required"] is True
    assert config["max_versions"] == 100
    assert worker.read(f"keyturn/metadata/{stored}/client")["data"]["current_version"] == 1
    assert worker.write("sys/capabilities-self", {"paths": [HMAC]})["data"][HMAC] == ["update"]


def test_worker_administers_nothing(worker: VaultApi) -> None:
    """A worker changes no mount, key, policy or role, mints no intake token, and sees no other secret."""
    assert denied(worker, "POST", "keyturn/config", {"max_versions": 1})
    assert denied(worker, "POST", "sys/policies/acl/keyturn-worker", {"policy": ""})
    assert denied(worker, "GET", "transit/export/hmac-key/keyturn-fingerprint")
    assert denied(worker, "DELETE", "transit/keys/keyturn-fingerprint")
    assert denied(worker, "POST", INTAKE, {})
    assert denied(worker, "POST", "auth/approle/role/keyturn-worker/secret-id")
    assert denied(worker, "GET", "keyturn/data/acme/production/other")


def test_fingerprints_agree_between_worker_and_gong_admin(worker: VaultApi, grace: VaultApi) -> None:
    """Both make the same HMAC of the same input with Vault's key."""
    body: dict[str, object] = {"input": base64.b64encode(b"pair").decode()}
    assert worker.write(HMAC, body)["data"]["hmac"] == grace.write(HMAC, body)["data"]["hmac"]


def test_gong_admin_deposits_with_an_intake_token(bao: OpenBao, grace: VaultApi, path: str) -> None:
    """A gong_admin mints a token that stores the first version, and another one that stores the second."""
    for cas in (0, 1):
        with bao.api(intake(grace)["client_token"]) as once:
            assert once.write(f"keyturn/data/{path}/client", deposit(cas))["data"]["version"] == cas + 1
    assert grace.read(f"keyturn/metadata/{path}/client")["data"]["current_version"] == 2


def test_intake_token_works_once(bao: OpenBao, grace: VaultApi, path: str) -> None:
    """The intake token is dead after its one use, even if its maker does not ask for a single use."""
    with bao.api(intake(grace)["client_token"]) as once:
        once.write(f"keyturn/data/{path}/client", deposit())
        assert denied(once, "POST", f"keyturn/data/{path}/client", deposit(1))


def test_intake_token_is_used_up_by_a_refused_write(bao: OpenBao, grace: VaultApi, stored: str) -> None:
    """A write that check-and-set refuses is its one use, too: the next try needs a new token."""
    with bao.api(intake(grace)["client_token"]) as once:
        with pytest.raises(VendorRefusedError, match="did not match"):
            once.write(f"keyturn/data/{stored}/client", deposit(0))
        assert denied(once, "POST", f"keyturn/data/{stored}/client", deposit(1))


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ("GET", "data"),
        ("DELETE", "data"),
        ("PATCH", "data"),
        ("GET", "metadata"),
        ("DELETE", "metadata"),
        ("PUT", "destroy"),
    ],
)
def test_intake_token_only_writes(bao: OpenBao, grace: VaultApi, stored: str, method: str, what: str) -> None:
    """The intake token can neither read nor delete what is there."""
    with bao.api(intake(grace)["client_token"]) as once:
        assert denied(
            once, method, f"keyturn/{what}/{stored}/client", deposit(1) if method in ("PATCH", "PUT") else None
        )


@pytest.mark.parametrize("what", ["data/acme/production/pointer", "data/acme/production/other", "config"])
def test_intake_token_writes_nothing_else(bao: OpenBao, grace: VaultApi, what: str) -> None:
    """The intake token cannot touch the pointer, another secret, or the mount."""
    with bao.api(intake(grace)["client_token"]) as once:
        assert denied(once, "POST", f"keyturn/{what}", deposit())


def test_intake_token_is_short_lived_whatever_is_asked_for(grace: VaultApi) -> None:
    """It lives a minute, cannot be renewed, and carries one policy only."""
    auth = intake(grace, ttl="24h", explicit_max_ttl="24h", renewable=True, num_uses=50)
    assert auth["lease_duration"] <= 60
    assert auth["renewable"] is False
    assert auth["policies"] == ["keyturn-intake"]
    assert auth["orphan"] is False
    assert auth["num_uses"] == 1


def test_intake_token_takes_no_other_policy(grace: VaultApi) -> None:
    """A gong_admin cannot ask for a stronger policy through the role, nor mint any other token."""
    with pytest.raises(VendorRefusedError, match="400"):
        grace.write(INTAKE, {"policies": ["keyturn-worker"]})
    assert denied(grace, "POST", "auth/token/create", {"policies": ["keyturn-intake"]})
    assert denied(grace, "POST", "auth/token/create-orphan", {})


def test_intake_token_dies_with_its_maker(bao: OpenBao, path: str) -> None:
    """Signing out revokes the tokens made from that sign-in."""
    with bao.api(bao.login("grace")) as grace:
        token = intake(grace)["client_token"]
        grace.write("auth/token/revoke-self")
    with bao.api(token) as once:
        assert denied(once, "POST", f"keyturn/data/{path}/client", deposit())


@pytest.mark.parametrize("name", ["grace", "alice"])
def test_a_pair_is_read_wrapped_only(bao: OpenBao, stored: str, name: str) -> None:
    """A gong_admin or operator gets 403 reading a pair in clear, and a wrapping token that opens exactly once."""
    path = f"keyturn/data/{stored}/client"
    with bao.api(bao.login(name)) as person:
        assert denied(person, "GET", path)
        token = wrapped(person, f"{path}?version=1")
        with bao.api(token) as holder:
            assert holder.write("sys/wrapping/unwrap")["data"]["data"] == PAIR
        with pytest.raises(VendorRefusedError, match="wrapping token is not valid or does not exist"):
            person.write("sys/wrapping/unwrap", {"token": token})


def test_a_pair_is_not_wrapped_for_long(grace: VaultApi, stored: str) -> None:
    """A wrapping token that would live longer than ten minutes is refused."""
    with pytest.raises(VendorRefusedError, match="403"):
        wrapped(grace, f"keyturn/data/{stored}/client", "11m")


@pytest.mark.parametrize("name", sorted(PEOPLE))
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_no_person_changes_a_pair_or_pointer_directly(bao: OpenBao, stored: str, name: str, method: str) -> None:
    """Whoever signs in gets 403 writing or deleting a pair or a pointer with their own token."""
    with bao.api(bao.login(name)) as person:
        for secret in ("client", "pointer"):
            assert denied(person, method, f"keyturn/data/{stored}/{secret}", deposit(1))
            assert denied(person, "DELETE", f"keyturn/metadata/{stored}/{secret}")


def test_operator_sees_what_is_in_use(alice: VaultApi, worker: VaultApi, stored: str) -> None:
    """An operator reads pointer, metadata and the mount's settings, lists integrations, and mints no intake token."""
    worker.write(f"keyturn/data/{stored}/pointer", {"options": {"cas": 0}, "data": {"fence": 1}})
    assert alice.read(f"keyturn/data/{stored}/pointer")["data"]["data"] == {"fence": 1}
    assert alice.read(f"keyturn/metadata/{stored}/client")["data"]["current_version"] == 1
    assert "acme/" in alice.call("LIST", "keyturn/metadata/")["data"]["keys"]
    assert alice.read("keyturn/config")["data"]["cas_required"] is True
    assert denied(alice, "POST", INTAKE, {})


def test_approver_has_nothing_in_vault(bob: VaultApi, stored: str) -> None:
    """An approver sees no pair (wrapped or not), pointer or metadata, and makes no fingerprint or token."""
    assert denied(bob, "GET", f"keyturn/data/{stored}/client")
    with pytest.raises(VendorRefusedError, match="403"):
        wrapped(bob, f"keyturn/data/{stored}/client")
    assert denied(bob, "GET", f"keyturn/data/{stored}/pointer")
    assert denied(bob, "GET", f"keyturn/metadata/{stored}/client")
    assert denied(bob, "POST", HMAC, {"input": ""})
    assert denied(bob, "POST", INTAKE, {})


@pytest.mark.parametrize(("name", "groups"), PEOPLE.items())
def test_people_have_an_identity_and_their_groups(bao: OpenBao, name: str, groups: tuple[str, ...]) -> None:
    """After signing in, Vault tells who the person is and, by policy names, which groups they are in."""
    with bao.api(bao.login(name)) as person:
        about = person.read("auth/token/lookup-self")["data"]
    assert about["entity_id"]
    assert about["display_name"] == f"userpass-{name}"
    assert {f"keyturn-{group}" for group in groups} <= set(about["policies"])


@pytest.mark.parametrize("group", ["approver", "requester", "viewer"])
def test_groups_without_business_in_vault_may_only_look_at_themselves(bao: OpenBao, group: str, stored: str) -> None:
    """A token with nothing but such a policy sees itself, and no secret, metadata or list."""
    with bao.api() as root:
        made = root.write("auth/token/create", {"policies": [f"keyturn-{group}"], "no_default_policy": True})
    with bao.api(made["auth"]["client_token"]) as person:
        assert person.read("auth/token/lookup-self")["data"]["policies"] == [f"keyturn-{group}"]
        assert denied(person, "GET", f"keyturn/data/{stored}/client")
        assert denied(person, "LIST", "keyturn/metadata/")
