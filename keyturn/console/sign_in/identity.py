"""From claims to a person: who it is for keyturn, and in which groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from keyturn.console.access import NO_GROUPS
from keyturn.domain.gate import Person
from keyturn.errors import NotPermittedError
from keyturn.ports import People
from keyturn.settings import OidcSettings

_PREFIX = "keyturn-"
_LONGEST_NAME = 100


class SignInRefusedError(NotPermittedError):
    """Nobody was signed in."""


class Identities:
    """Makes people of claims.

    Args:
        people: gives Vault's identities; asked for only if the settings say where people sign in to Vault.
    """

    def __init__(self, settings: OidcSettings, people: Callable[[], People]) -> None:
        self._settings, self._people = settings, people

    def person(self, claims: Mapping[str, Any]) -> Person:
        """Whom the provider vouches for.

        Raises:
            SignInRefusedError: Vault does not know them, where it is to be asked.
            TransientError: Vault gives no answer, and then nobody is let in under another identity.
        """
        host = urlsplit(claims["iss"]).netloc
        return Person(self._id(claims), self._name(claims), self.groups(claims), f"openid ({host})")

    def groups(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """In which of keyturn's groups they are: by name, or by what the settings say about a group."""
        said = claims.get(self._settings.groups_claim) or []
        names = [said] if isinstance(said, str) else said
        roles = [self._role(name) for name in names if isinstance(name, str)] if isinstance(names, list) else []
        return frozenset(filter(None, roles)) - NO_GROUPS

    def _role(self, group: str) -> str:
        named = group.removeprefix(_PREFIX) if group.startswith(_PREFIX) else ""
        return self._settings.roles.get(group, named)

    def _id(self, claims: Mapping[str, Any]) -> str:
        if not self._settings.vault_accessor:
            return f"oidc:{claims['iss']}#{claims['sub']}"
        alias = claims.get(self._settings.vault_alias_claim)
        known = isinstance(alias, str) and alias and self._people().entity(alias, self._settings.vault_accessor)
        if not known:
            # Under an identity of the provider's alone they would be a second person beside the one Vault makes later.
            raise SignInRefusedError(
                self._name(claims),
                "is nobody whom Vault knows, or is disabled there",
                "Sign in to Vault once, in the way that the command line uses; then sign in here again.",
            )
        return f"vault:entity/{known}"

    def _name(self, claims: Mapping[str, Any]) -> str:
        said = [claims.get(claim) for claim in (self._settings.name_claim, "preferred_username", "email", "sub")]
        name = next(name for name in said if isinstance(name, str) and name.strip())
        return "".join(filter(str.isprintable, name))[:_LONGEST_NAME]
