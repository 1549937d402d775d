"""Gong in memory: one integration whose secret is rotated by hand, and its token endpoint.

The rules of secrets and graces are the twin's own, so that the two cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from keyturn.domain.credential import Credential, Probe, ProbeOutcome
from keyturn.ports import Clock
from keyturn.sandbox.twins.gong.integration import ClientSecret, Form, Integration


@dataclass(frozen=True, slots=True)
class TokensIssued:
    """The token endpoint let somebody in: when, and with which secret."""

    at: datetime
    secret: str


@dataclass
class FakeGong:
    """Implements `keyturn.ports.TokenEndpoint`, and what people and StackOne do at Gong.

    Attributes:
        tells: whether a pair can be judged by the probe; if not, every probe is not proven.
        values: every secret that Gong has ever made, the oldest first.
    """

    clock: Clock
    client_id: str = "client-of-acme"
    tells: bool = True
    values: list[str] = field(default_factory=list)
    issued: list[TokensIssued] = field(default_factory=list)
    integration: Integration = field(init=False)

    def __post_init__(self) -> None:
        form = Form(name="StackOne", scopes=["api:users:read"], redirect_uris=["https://stackone.invalid"])
        first = ClientSecret(value=self._made())
        self.integration = Integration(
            id="1",
            client_id=self.client_id,
            form=form,
            created_by="tessa",
            created_at=self.clock.now(),
            secrets=[first],
        )

    # --- what people do in the Admin center

    def rotate(self, grace_hours: int) -> str:
        """*Rotate secret*: the new secret, which is shown this once."""
        new = self.integration.rotate(grace_hours, self.clock.now())
        new.value = self._made()
        return new.value

    # --- the token endpoint

    def accepts(self, client_id: str, secret: str) -> bool:
        """Whether the pair authenticates the client now."""
        return client_id == self.client_id and self.integration.accepts(secret, self.clock.now(), end_graces=True)

    def probe(self, credential: Credential) -> Probe:
        """What a bogus code says of the pair."""
        if not self.tells:
            return Probe(ProbeOutcome.NOT_PROVEN, 400, "code first", "Gong does not tell.")
        if self.accepts(credential.client_id, credential.reveal()):
            return Probe(ProbeOutcome.VALID, 400, "invalid_grant", "The pair is right.")
        return Probe(ProbeOutcome.WRONG_PAIR, 401, "invalid_client", "Copy it again.")

    def issue(self, client_id: str, secret: str) -> bool:
        """Tokens for a code or a refresh token that is right; `False` is `invalid_client`."""
        if not self.accepts(client_id, secret):
            return False
        self.issued.append(TokensIssued(self.clock.now(), secret))
        return True

    def _made(self) -> str:
        self.values.append(f"c4n4ry-{len(self.values):03}-of-a-client-secret")
        return self.values[-1]
