"""The manifest: everything that a person decides about one integration, in one YAML file.

Field order follows Gong's and StackOne's screens (facts about them: `docs/guides/gong-and-stackone.md`). Values are
checked here only for shape; what they mean is checked by `keyturn.domain.lint`, which reports every fault at once.

A field that came after the first release says `since` which one, so that it changes no digest that is out already.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from keyturn.domain.gate import Channel
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest_fields import CalendarDay, Hour, HourOrMidnight, Line, Name, OptionalLine, Part, since

REDIRECT_URI = "https://api.stackone.com/connect/oauth2/gong/callback"
REQUIRED_SCOPE = "api:users:read"
CONNECTOR = "gong"


class TrustedIps(Part):
    """Addresses Gong accepts calls from: two lists in the window *Edit trusted IPs*, one address a line."""

    access_token: tuple[str, ...] = Field(default=(), description="Checked by Gong at every API call.")
    refresh_token: tuple[str, ...] = Field(default=(), description="Checked by Gong at every token refresh.")


class GongForm(Part):
    """The form behind *Create Integration* in Gong's Admin center."""

    name: Line = Field(description="Integration name, shown on the consent screen.")
    description: str = Field(min_length=1, description="Shown on the integration's own page.")
    short_description: Line = Field(description="Shown in the list of integrations.")
    logo: str = Field(description="Path of a square image, relative to the manifest.")
    scopes: tuple[str, ...] = Field(
        default=(),
        description="Authorization scopes, besides those that stackone.actions need; name api:users:read too.",
    )
    redirect_uris: tuple[str, ...] = Field(default=(REDIRECT_URI,), description="StackOne's callback.")
    privacy_policy_url: str
    terms_url: str = Field(description="Terms & conditions URL.")
    help_url: str = Field(description="Help article URL.")
    authorization_page_url: str | None = Field(
        default=None, description="Older forms only: the page where authorization begins."
    )
    contact_emails: tuple[str, ...]
    domains: tuple[str, ...] = Field(description="Domains of the organisation; contact emails must be inside them.")
    trusted_ips: TrustedIps = TrustedIps()


class OriginOwner(Part):
    """Whose data the linked account is, in StackOne's words."""

    id: Line
    name: Line
    username: str = ""


class StackOneSide(Part):
    """The Connector Profile and the linked account."""

    profile_name: str = Field(
        default="",
        max_length=255,
        description="The profile's name, by which it is found again. Default: Gong tenant/environment.",
    )
    actions: tuple[str, ...] = Field(
        default=(), description="Actions to enable; the scopes they need are added. None given: StackOne's default."
    )
    origin_owner: OriginOwner
    label: str = ""


class Approval(Part):
    """Who says yes to the manifest before a person acts in Gong."""

    approvals: int = Field(default=1, ge=1, le=10, description="How many different people.")
    groups: tuple[str, ...] = Field(default=("approver",), min_length=1, description="One of them is enough.")
    channel: Channel = Field(
        default=Channel.KEYTURN,
        description="keyturn: decided by signed-in people. prefect: a form in Prefect's UI counts (single operator).",
    )


class Admins(Part):
    """Who acts in the two admin screens."""

    gong: tuple[str, ...] = Field(default=("gong_admin",), min_length=1)
    stackone: tuple[str, ...] = Field(default=("gong_admin", "operator"), min_length=1)


class Day(StrEnum):
    """A day of the week."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Window(Part):
    """When a rotation may begin, by the clock on the wall of one place."""

    days: tuple[Day, ...] = Field(default=tuple(Day), description="Days of the week on which the window opens.")
    from_: Hour = Field(default="00:00", alias="from", description='Local time, as in "09:00".')
    until: HourOrMidnight = Field(
        default="24:00", description='Local time, as in "16:30". When earlier than from, it is on the next day.'
    )
    timezone: Line = Field(description="IANA time zone, as in Europe/Berlin.")


class Blackout(Part):
    """Days on which no rotation begins, the last one included."""

    from_: CalendarDay = Field(alias="from", description="First day, as in 2026-12-18.")
    until: CalendarDay = Field(description="Last day.")
    reason: OptionalLine = ""


class Rotation(Part):
    """When and how the client secret is turned."""

    every_days: int = Field(default=90, ge=1, le=730)
    grace_hours: int = Field(default=168, ge=0, le=168, description="Old secret grace period in Gong.")
    window: Window | None = Field(
        default=None, description="When a rotation may begin. Default: at any time.", json_schema_extra=since("0.2")
    )
    blackout: tuple[Blackout, ...] = Field(
        default=(),
        max_length=100,
        description="Days on which no rotation begins, in the window's time zone; without a window in UTC.",
        json_schema_extra=since("0.2"),
    )
    stagger_days: int = Field(
        default=0,
        ge=0,
        le=729,
        description="Falls due earlier by 0 to this many days, always the same for one integration; a canary by all.",
        json_schema_extra=since("0.2"),
    )
    canary: bool = Field(
        default=False,
        description="Turned before the integrations that are no canaries.",
        json_schema_extra=since("0.2"),
    )
    emergency_grace_hours: int = Field(
        default=0,
        ge=0,
        le=1,
        description="The grace to choose when the secret is compromised.",
        json_schema_extra=since("0.2"),
    )
    canary_owner: OriginOwner | None = Field(
        default=None,
        description="Whose account a new link is made on that proves a new secret. Default: keyturn-canary.",
        json_schema_extra=since("0.2"),
    )

    @property
    def proof_owner(self) -> OriginOwner:
        """Whose account a new link is made on, to prove a new secret."""
        return self.canary_owner or OriginOwner(id="keyturn-canary", name="keyturn canary")


class Notification(Part):
    """When people are reminded at a gate, in working days."""

    remind_after_days: tuple[Annotated[int, Field(ge=1)], ...] = (1, 3)
    escalate_after_days: int = Field(default=5, ge=1)
    rearm_after_days: int = Field(default=14, ge=1, description="After this the question is asked afresh.")


class Manifest(Part):
    """One integration: `tenant/environment`."""

    version: Literal[1] = 1
    tenant: Name
    environment: Name
    gong: GongForm
    stackone: StackOneSide
    approval: Approval = Approval()
    admins: Admins = Admins()
    rotation: Rotation = Rotation()
    notification: Notification = Notification()

    @property
    def key(self) -> IntegrationKey:
        """The integration this manifest is about."""
        return IntegrationKey(self.tenant, self.environment)

    @property
    def profile_name(self) -> str:
        """The name the StackOne profile gets, and is found by."""
        return self.stackone.profile_name or f"Gong {self.key}"


class SealedManifest(Part):
    """A manifest as it is approved: with the scopes it really asks for, and the logo's content.

    Scopes derived from actions depend on what StackOne says at that moment, and the logo on a file: sealing fixes
    both, so that the digest covers what people are shown. The two resized logos follow from the file, and their bytes
    differ from one image library to the next, so the digest covers the file's hash instead of them.

    Attributes:
        scopes: sorted, complete.
        logo_sha256: of the image file as it was read.
        logo_large: base64 PNG for the consent screen.
        logo_small: base64 PNG for the app management list.
    """

    manifest: Manifest
    scopes: tuple[str, ...]
    logo_sha256: str
    logo_large: str = Field(repr=False)
    logo_small: str = Field(repr=False)

    @property
    def key(self) -> IntegrationKey:
        """The integration this is about."""
        return self.manifest.key

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON, 64 hex digits: what an approval is about."""
        body = self.model_dump(mode="json", exclude={"logo_large", "logo_small"})
        canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()
