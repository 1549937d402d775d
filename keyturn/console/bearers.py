"""Who sends a bearer token: a Vault token, or an ID token of the provider."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from keyturn.clients.vault.person import VaultPerson
from keyturn.clients.vault.session import VaultSession
from keyturn.console.sign_in.provider import Provider
from keyturn.console.visitor import NotSignedInError
from keyturn.domain.gate import Person
from keyturn.errors import ConfigurationError, NotPermittedError
from keyturn.ports import PersonalVault
from keyturn.wiring import Ports

_REFUSED_S = 5.0
_KNOWN_S = 30.0  # so long a token that was revoked may still be taken, here and in no other process
_MOST = 1000


class Bearers:
    """Tells whose token it is, by asking whoever gave it out; the answer counts for half a minute, a no for seconds.

    Args:
        now: seconds on a clock that never goes back.
    """

    def __init__(self, ports: Ports, provider: Provider | None, now: Callable[[], float] = time.monotonic) -> None:
        self._ports, self._provider, self._now = ports, provider, now
        self._known: OrderedDict[bytes, tuple[float, Person | NotSignedInError]] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, token: str) -> Person | None:
        """Whose token it is, as far as that is known without asking.

        Raises:
            NotSignedInError: it was nobody's a moment ago.
        """
        with self._lock:
            until, known = self._known.get(_key(token), (float("-inf"), None))
        if self._now() >= until:
            return None
        if isinstance(known, NotSignedInError):
            raise NotSignedInError(known.subject, known.problem, known.remedy)
        return known

    def person(self, token: str) -> Person:
        """Whose token it is.

        Raises:
            NotSignedInError: it is nobody's, or no longer valid.
            TransientError: whoever gave it out gives no answer.
        """
        known = self.known(token)
        if known is None:
            known = self._ask(token)
            self._remember(_key(token), known, _KNOWN_S)
        return known

    def vault(self, token: str, person: Person) -> PersonalVault:
        """Vault in this person's hands: with their own token if it is Vault's, else with the console's sign-in."""
        if self._provider is not None and _is_jwt(token):
            return self._ports.on_behalf(person)
        return self._own_vault(token)

    def _ask(self, token: str) -> Person:
        try:
            if self._provider is not None and _is_jwt(token):
                return self._by_provider(self._provider, token)
            self._require_one_identity()
            return self._by_vault(token)
        except NotSignedInError as refusal:
            # Without where it was raised, which would keep the token alive.
            self._remember(_key(token), NotSignedInError(refusal.subject, refusal.problem, refusal.remedy), _REFUSED_S)
            raise

    def _require_one_identity(self) -> None:
        """Refuse Vault's tokens where the same human is somebody else in a browser: four eyes would be two."""
        if self._provider is not None and not self._ports.settings.console.oidc.vault_accessor:
            raise NotSignedInError(
                "you",
                "sent no ID token, and this console cannot tell which of its people a Vault token belongs to",
                "Send an ID token (on the command line: unset VAULT_TOKEN, and sign out of Vault). "
                "Vault tokens are taken once KEYTURN_CONSOLE__OIDC__VAULT_ACCESSOR is set for the console.",
            )

    def _by_provider(self, provider: Provider, token: str) -> Person:
        try:
            return provider.bearer(token)
        except NotPermittedError as error:
            subject, problem, remedy = error.subject, error.problem, error.remedy
        raise NotSignedInError(subject, problem, remedy)

    def _by_vault(self, token: str) -> Person:
        try:
            vault = self._own_vault(token)
        except ConfigurationError:  # it could not even be sent
            raise NotSignedInError("you", "sent what cannot be a token", "Copy it again, without spaces.") from None
        try:
            return vault.whoami()
        except NotPermittedError as error:
            problem, remedy = error.problem, error.remedy
        raise NotSignedInError("you", problem, remedy)

    def _own_vault(self, token: str) -> VaultPerson:
        settings = self._ports.settings.vault
        return VaultPerson(VaultSession(settings, token), settings)

    def _remember(self, key: bytes, known: Person | NotSignedInError, for_s: float) -> None:
        with self._lock:
            self._known[key] = self._now() + for_s, known
            self._known.move_to_end(key)
            if len(self._known) > _MOST:
                self._known.popitem(last=False)


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _is_jwt(token: str) -> bool:
    """Whether it is a signed JSON Web Token. A Vault token may have two dots as well, but no JSON before the first."""
    parts = token.split(".")
    try:
        head = json.loads(base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)))
    except (ValueError, RecursionError):
        return False
    return len(parts) == 3 and isinstance(head, dict) and "alg" in head  # noqa: PLR2004  header, claims, signature
