from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from keyturn.clients.console_token import CommandTokens, Provider
from keyturn.errors import NotPermittedError

NOW = 1_800_000_000.0
PROVIDER = Provider("https://console.example", "https://provider.example", "keyturn-cli")


def id_token(expires_at: float, name: str = "alice") -> str:
    """What a provider gives out, as far as a command looks at it."""
    body = base64.urlsafe_b64encode(json.dumps({"exp": expires_at, "name": name}).encode()).rstrip(b"=")
    return f"e30.{body.decode()}.c2ln"


@dataclass
class Person:
    """Somebody at a keyboard, who is asked to sign in.

    Attributes:
        gets: the ID tokens that they sign in for, one after the other.
    """

    home: Path
    gets: list[str]
    environ: dict[str, str] = field(default_factory=dict)
    provider: Provider = PROVIDER
    signed_in: int = 0

    def command(self) -> CommandTokens:
        """One command of theirs."""
        return CommandTokens(self.environ, self.home, lambda: self.provider, self._sign_in, lambda: NOW)

    def _sign_in(self, provider: Provider) -> str:
        assert provider == self.provider
        self.signed_in += 1
        return self.gets.pop(0)


def test_a_vault_token_comes_first(tmp_path: Path) -> None:
    """As with commands beside the ledger; nobody is asked anything, and there is no other in its place."""
    (tmp_path / ".vault-token").write_text("s.file\n")
    person = Person(tmp_path, [], {"VAULT_TOKEN": "s.environ"})
    tokens = person.command()
    assert (tokens.token(), tokens.instead_of("s.environ")) == ("s.environ", "")
    assert Person(tmp_path, []).command().token() == "s.file"
    assert person.signed_in == 0


def test_an_id_token_is_kept_until_it_ends(tmp_path: Path) -> None:
    """For its owner's eyes only. The last half minute does not count: it would end on the way."""
    person = Person(tmp_path, [id_token(NOW + 29), id_token(NOW + 300)])
    assert person.command().token() == id_token(NOW + 29)
    assert person.command().token() == id_token(NOW + 300)
    assert person.command().token() == id_token(NOW + 300)
    assert person.signed_in == 2
    kept = tmp_path / ".config" / "keyturn" / "token.json"
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_token_goes_to_no_other_console(tmp_path: Path) -> None:
    """Nor is it taken for one of another provider or client."""
    person = Person(tmp_path, [id_token(NOW + 300, str(n)) for n in range(4)])
    mine = person.command().token()
    for change in ({"console": "https://evil.example"}, {"issuer": "https://x.example"}, {"client_id": "other"}):
        assert Person(tmp_path, [id_token(NOW + 99)], provider=replace(PROVIDER, **change)).command().token() != mine


def test_a_kept_token_that_is_refused_is_replaced(tmp_path: Path) -> None:
    """It may have been revoked, or the provider's keys replaced; a person signs in anew, once."""
    person = Person(tmp_path, [id_token(NOW + 300, "old"), id_token(NOW + 300, "new")])
    tokens = person.command()
    old = tokens.token()
    assert tokens.instead_of(old) == id_token(NOW + 300, "new")
    assert tokens.instead_of(old) == ""
    assert person.command().token() == id_token(NOW + 300, "new")


@pytest.mark.parametrize("kept", ["", "no json", "[]", "{}", json.dumps({"id_token": 1, "expires_at": "soon"})])
def test_a_spoiled_file_is_no_token(tmp_path: Path, kept: str) -> None:
    """Whoever cannot use what was kept signs in."""
    file = tmp_path / ".config" / "keyturn" / "token.json"
    file.parent.mkdir(parents=True)
    file.write_text(kept)
    assert Person(tmp_path, [id_token(NOW + 300)]).command().token() == id_token(NOW + 300)


def test_an_id_token_of_an_unknown_shape_is_not_kept(tmp_path: Path) -> None:
    """Its end cannot be told, so the next command asks again; the console decides what it is worth."""
    person = Person(tmp_path, ["opaque", "opaque"])
    assert [person.command().token(), person.command().token()] == ["opaque", "opaque"]
    assert person.signed_in == 2


def test_a_home_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    """The command goes on all the same."""
    (tmp_path / ".config").write_text("a file")
    assert Person(tmp_path, [id_token(NOW + 300)]).command().token() == id_token(NOW + 300)


def test_without_any_token_there_is_nobody(tmp_path: Path) -> None:
    """Whoever is asked where to sign in says that there is nowhere."""

    def nowhere() -> Provider:
        raise NotPermittedError("you", "are not signed in to Vault", "Sign in there.")

    with pytest.raises(NotPermittedError):
        CommandTokens({}, tmp_path, nowhere, lambda _: "").token()
