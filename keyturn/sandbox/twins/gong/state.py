"""What Gong remembers: integrations, codes and tokens of one company."""

from datetime import datetime, timedelta
from secrets import token_hex, token_urlsafe

from pydantic import BaseModel, Field

from keyturn.sandbox.twins.gong.integration import ClientSecret, Form, Integration, new_secret
from keyturn.sandbox.twins.gong.options import GongOptions
from keyturn.sandbox.twins.store import TwinState

CODE_LIFETIME = timedelta(minutes=10)
CUSTOMER = "us-49467"


class Grant(BaseModel):
    """What a code, an access token or a refresh token stands for. `ends_at` None: no end is known."""

    client_id: str
    scopes: list[str]
    ends_at: datetime | None = None
    redirect_uri: str = ""

    def is_live(self, now: datetime) -> bool:
        """Whether it still counts at that time."""
        return self.ends_at is None or now < self.ends_at


class Tokens(BaseModel):
    """A fresh pair of tokens."""

    access_token: str
    refresh_token: str


class GongState(TwinState):
    """Everything behind the twin of Gong."""

    options: GongOptions = GongOptions()
    integrations: list[Integration] = Field(default_factory=list)
    codes: dict[str, Grant] = Field(default_factory=dict)
    access_tokens: dict[str, Grant] = Field(default_factory=dict)
    refresh_tokens: dict[str, Grant] = Field(default_factory=dict)

    def integration(self, integration_id: str) -> Integration | None:
        """Find an integration by the id in the Admin center's paths."""
        return next((each for each in self.integrations if each.id == integration_id), None)

    def client(self, client_id: str) -> Integration | None:
        """Find an integration by its OAuth client id."""
        return next((each for each in self.integrations if each.client_id == client_id), None)

    def create_integration(self, form: Form, created_by: str, first_secret: str | None) -> Integration:
        """Save a new integration; `first_secret` is issued unless an integration has it already."""
        used = {secret.value for each in self.integrations for secret in each.secrets}
        secret = first_secret if first_secret and first_secret not in used else new_secret()
        self.count("integrations_created")
        created = Integration(
            id=f"int-{self.effects['integrations_created']}",
            client_id=token_hex(10).upper(),
            form=form,
            created_by=created_by,
            created_at=self.now(),
            secrets=[ClientSecret(value=secret)],
        )
        self.integrations.append(created)
        return created

    def delete_integration(self, integration: Integration) -> None:
        """Remove an integration and all its tokens."""
        self.integrations.remove(integration)
        self.revoke(integration.client_id)
        self.count("integrations_deleted")

    def issue_code(self, grant: Grant) -> str:
        """A new authorization code, good for ten minutes and one use."""
        code = token_urlsafe(24)
        grant.ends_at = self.now() + CODE_LIFETIME
        self.codes[code] = grant
        self.count("consents")
        return code

    def issue_tokens(self, grant: Grant, validity_seconds: int) -> Tokens:
        """A new access token for that long, and the refresh token that goes with it."""
        now = self.now()
        self.access_tokens = {token: held for token, held in self.access_tokens.items() if held.is_live(now)}
        pair = Tokens(access_token=token_urlsafe(48), refresh_token=token_urlsafe(48))
        base = Grant(client_id=grant.client_id, scopes=grant.scopes)
        ends_at = now + timedelta(seconds=validity_seconds)
        self.access_tokens[pair.access_token] = base.model_copy(update={"ends_at": ends_at})
        self.refresh_tokens[pair.refresh_token] = base
        return pair

    def revoke(self, client_id: str | None = None) -> None:
        """Kill all tokens and codes, or those of one client."""
        for held in (self.codes, self.access_tokens, self.refresh_tokens):
            for token in [token for token, grant in held.items() if client_id in (None, grant.client_id)]:
                del held[token]
