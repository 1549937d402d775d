"""An integration and its client secrets, with the grace clock of a rotation."""

from datetime import datetime, timedelta
from hmac import compare_digest
from ipaddress import ip_address, ip_network
from secrets import token_urlsafe
from typing import Annotated

from pydantic import BaseModel, Field

MAX_GRACE_HOURS = 168
DEFAULT_GRACE_HOURS = 24


class ClientSecret(BaseModel):
    """A secret: the newest has no end, an older one lives until its grace is over."""

    value: str
    ends_at: datetime | None = None
    from_rotation: bool = False
    times_shown: int = 0

    def works(self, now: datetime, *, end_graces: bool = True) -> bool:
        """Whether this secret authenticates the client at that time."""
        return self.ends_at is None or now < self.ends_at or not end_graces


class Form(BaseModel):
    """The fields of Gong's integration form."""

    name: Annotated[str, Field(min_length=1)]
    description: str = ""
    short_description: str = ""
    logo_small: str = ""
    logo_large: str = ""
    scopes: Annotated[list[str], Field(min_length=1)]
    redirect_uris: Annotated[list[str], Field(min_length=1)]
    privacy_policy_url: str = ""
    terms_url: str = ""
    help_url: str = ""
    authorization_page_url: str = ""
    contact_emails: list[str] = []
    domains: list[str] = []


class Integration(BaseModel):
    """A Private integration of registration type "Manual"."""

    id: str
    client_id: str
    form: Form
    created_by: str
    created_at: datetime
    secrets: list[ClientSecret]
    access_token_ips: list[str] = []
    refresh_token_ips: list[str] = []

    def accepts(self, secret: str, now: datetime, *, end_graces: bool) -> bool:
        """Whether a client secret is right at that time."""
        offered = secret.encode()
        live = [each for each in self.secrets if each.works(now, end_graces=end_graces)]
        return any(compare_digest(each.value.encode(), offered) for each in live)

    def rotate(self, grace_hours: int, now: datetime) -> ClientSecret:
        """Issue a new secret. The present one lives for the grace; one that was in a grace already dies at once."""
        *older, present = self.secrets
        for secret in older:
            secret.ends_at = min(secret.ends_at or now, now)
        present.ends_at = now + timedelta(hours=grace_hours)
        new = ClientSecret(value=new_secret(), from_rotation=True)
        self.secrets = [*older, present, new]
        return new

    def grace_ends_at(self, now: datetime) -> datetime | None:
        """When the older secret stops working, if one still does."""
        ends = [secret.ends_at for secret in self.secrets if secret.ends_at and secret.ends_at > now]
        return max(ends, default=None)


def new_secret() -> str:
    """A client secret."""
    return token_urlsafe(36)


def is_listed(address: str, listed: list[str]) -> bool:
    """Whether an address is on a list of addresses and networks."""
    return any(ip_address(address) in ip_network(entry, strict=False) for entry in listed)


def malformed(listed: list[str]) -> list[str]:
    """The entries that are neither an address nor a network."""
    return [entry for entry in listed if not _is_network(entry)]


def _is_network(entry: str) -> bool:
    try:
        ip_network(entry, strict=False)
    except ValueError:
        return False
    return True
