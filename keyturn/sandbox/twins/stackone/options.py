"""Switches for what is unknown about StackOne."""

from typing import Annotated, Literal

from pydantic import Field

from keyturn.sandbox.twins.store import Options


class StackOneOptions(Options):
    """What may be switched at start (`--option name=value`) and by POST /_twin/options.

    Attributes:
        write_api: Whether profiles can be written by API: `off`; `v1` at /connector_profiles; `v2` at
            /v2/connector_profiles; `unmappable`: at /connector_profiles, but its schema names no credential fields.
        write_fields: How the write API names the credentials: `flat_snake` client_id and client_secret; `flat_camel`
            clientId and clientSecret; `nested` the former inside `credentials`.
        write_effect: What a write of a profile that exists does with a new client secret: `kept`; `ignored`: answers
            as if, and keeps the old one; `garbled`: keeps something else, so that the next refresh fails.
        updated_at: Which writes move a profile's `updated_at`: `always`, or only one that `changes` something.
        account_list: GET /accounts answers a bare array, or `{"data": [...]}`.
        calls_per_minute: API limit per key.
        provider_retry_seconds: How long a provider's 429 is retried before it becomes 408.
    """

    write_api: Literal["off", "v1", "v2", "unmappable"] = "v1"
    write_fields: Literal["flat_snake", "flat_camel", "nested"] = "flat_snake"
    write_effect: Literal["kept", "ignored", "garbled"] = "kept"
    updated_at: Literal["always", "changes"] = "always"
    account_list: Literal["bare", "wrapped"] = "bare"
    calls_per_minute: Annotated[int, Field(ge=0)] = 1000
    provider_retry_seconds: Annotated[int, Field(ge=0)] = 60
