"""Settings about Gong and StackOne."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AnyHttpUrl, Field, SecretStr

from keyturn.settings.branch import Branch, SafeUrl


class WriterSetting(StrEnum):
    """How the profile writer is chosen."""

    AUTO = "auto"
    API = "api"
    ASSISTED = "assisted"


class StackOneSettings(Branch):
    """StackOne's platform API."""

    base_url: SafeUrl = Field(
        default=AnyHttpUrl("https://api.stackone.com"), description="Platform API, or a regional host."
    )
    api_key: SecretStr = Field(default=SecretStr(""), description="API key with the scopes Platform API and Actions.")
    spec_url: SafeUrl | None = Field(
        default=None, description="OpenAPI document; without it `{base_url}/oas/stackone.json`, then the public one."
    )
    dashboard_url: SafeUrl = Field(default=AnyHttpUrl("https://app.stackone.com"), description="Dashboard, for people.")
    profile_writer: WriterSetting = Field(
        default=WriterSetting.AUTO,
        description="`auto` (the API only if the live document offers it), `api`, `assisted`.",
    )
    calls_per_minute: int = Field(
        default=1000, ge=1, description="Calls a minute that StackOne allows the API key; more, if more was bought."
    )
    link_expires_s: int = Field(default=1800, ge=60, le=432_000, description="Life of an auth link, in seconds.")


class GongSettings(Branch):
    """Gong's OAuth endpoints and pages."""

    token_url: SafeUrl = Field(
        default=AnyHttpUrl("https://app.gong.io/oauth2/generate-customer-token"), description="Token endpoint."
    )
    authorize_url: SafeUrl = Field(
        default=AnyHttpUrl("https://app.gong.io/oauth2/authorize"), description="Authorization endpoint."
    )
    admin_url: SafeUrl = Field(
        default=AnyHttpUrl("https://app.gong.io"), description="Where Gong's Admin center is, for people."
    )
    probe: bool = Field(default=True, description="Whether credentials are tried on Gong's token endpoint.")
    calls_per_second: int = Field(default=3, ge=1, description="Calls a second that Gong allows each company.")
    calls_per_day: int = Field(default=10_000, ge=1, description="Calls a day that Gong allows each company.")
