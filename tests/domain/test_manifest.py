from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from keyturn.domain.manifest import Manifest, SealedManifest

DATA: dict[str, Any] = {
    "tenant": "acme",
    "environment": "production",
    "gong": {
        "name": "StackOne",
        "description": "Reads people.",
        "short_description": "Reads",
        "logo": "logo.png",
        "privacy_policy_url": "https://acme.example/privacy",
        "terms_url": "https://acme.example/terms",
        "help_url": "https://acme.example/help",
        "contact_emails": ["it@acme.example"],
        "domains": ["acme.example"],
        "trusted_ips": {"access_token": ["8.8.8.8"], "refresh_token": ["8.8.8.8"]},
    },
    "stackone": {"origin_owner": {"id": "acme", "name": "Acme"}},
}


def sealed(data: dict[str, Any], **changes: Any) -> SealedManifest:
    """The manifest as it would be approved."""
    parts = {"scopes": ["api:users:read"], "logo_sha256": "0" * 64, "logo_large": "bA==", "logo_small": "cw=="}
    return SealedManifest.model_validate({"manifest": data, **parts, **changes})


def shuffled(value: Any, rng: random.Random) -> Any:
    """The same value with the keys of every mapping in another order."""
    if isinstance(value, dict):
        keys = list(value)
        rng.shuffle(keys)
        return {key: shuffled(value[key], rng) for key in keys}
    return value


@settings(deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_digest_does_not_depend_on_the_order_of_keys(rng: random.Random) -> None:
    """Moving fields around in the file does not void an approval."""
    assert sealed(shuffled(DATA, rng)).digest == sealed(DATA).digest


def test_the_digest_does_not_depend_on_whether_defaults_are_written_out() -> None:
    """A field left out and the same field with its default mean the same."""
    assert sealed({**DATA, "version": 1, "rotation": {"every_days": 90}}).digest == sealed(DATA).digest


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": ["api:flows:write", "api:users:read"]},
        {"logo_sha256": "1" * 64},
        {"manifest": {**DATA, "tenant": "acm"}},
        {"manifest": {**DATA, "approval": {"approvals": 2}}},
    ],
)
def test_the_digest_covers_everything_that_people_are_shown(change: dict[str, Any]) -> None:
    """Whatever is approved cannot change under the approval."""
    assert sealed(DATA, **change).digest != sealed(DATA).digest


def test_the_digest_does_not_depend_on_the_library_that_resized_the_logo() -> None:
    """Another version may encode the same picture in other bytes; the file's own hash is covered."""
    assert sealed(DATA, logo_small="c3M=").digest == sealed(DATA).digest


def test_the_digest_survives_storage_as_json() -> None:
    """The ledger gives back a manifest with the digest it was registered under."""
    assert SealedManifest.model_validate_json(sealed(DATA).model_dump_json()).digest == sealed(DATA).digest


def test_the_profile_is_named_after_the_integration_unless_told_otherwise() -> None:
    """The profile's name is the key by which it is found again, so there always is one."""
    assert Manifest.model_validate(DATA).profile_name == "Gong acme/production"
    named = {**DATA, "stackone": {**DATA["stackone"], "profile_name": "Mine"}}
    assert Manifest.model_validate(named).profile_name == "Mine"


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "Acme"},
        {"tenant": "a/b"},
        {"colour": "blue"},
        {"version": 2},
        {"rotation": {"grace_hours": 169}},
        {"approval": {"approvals": 0}},
        {"approval": {"groups": []}},
        {"gong": {**DATA["gong"], "name": "two\nlines"}},
    ],
)
def test_values_of_the_wrong_shape_are_refused(change: dict[str, Any]) -> None:
    """Names, numbers, unknown fields and single lines are checked before anything else."""
    with pytest.raises(ValidationError):
        Manifest.model_validate({**DATA, **change})
