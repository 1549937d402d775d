"""What is approved stays approved: a new release changes no digest of a manifest that does not use what is new."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from keyturn.domain.manifest import SealedManifest
from keyturn.domain.manifest_fields import Part

RELEASED: dict[str, Any] = json.loads((Path(__file__).parent / "released" / "manifests-0.1.json").read_text())
"""Manifests as release 0.1 stored them, with the digests it gave them."""

UNMARKED = {
    "SealedManifest": {"manifest", "scopes", "logo_sha256", "logo_large", "logo_small"},
    "Manifest": {
        "version",
        "tenant",
        "environment",
        "gong",
        "stackone",
        "approval",
        "admins",
        "rotation",
        "notification",
    },
    "GongForm": {
        "name",
        "description",
        "short_description",
        "logo",
        "scopes",
        "redirect_uris",
        "privacy_policy_url",
        "terms_url",
        "help_url",
        "authorization_page_url",
        "contact_emails",
        "domains",
        "trusted_ips",
    },
    "TrustedIps": {"access_token", "refresh_token"},
    "StackOneSide": {"profile_name", "actions", "origin_owner", "label"},
    "OriginOwner": {"id", "name", "username"},
    "Approval": {"approvals", "groups", "channel"},
    "Admins": {"gong", "stackone"},
    "Rotation": {"every_days", "grace_hours"},
    "Notification": {"remind_after_days", "escalate_after_days", "rearm_after_days"},
    # since 0.2
    "Window": {"days", "from_", "until", "timezone"},
    "Blackout": {"from_", "until", "reason"},
}
"""The fields each part had when it was first released. Never add one here to a part that is released."""

LATER = {
    "window": {"timezone": "Europe/Berlin"},
    "blackout": [{"from": "2026-12-18", "until": "2027-01-06"}],
    "stagger_days": 7,
    "canary": True,
    "emergency_grace_hours": 1,
    "canary_owner": {"id": "proof", "name": "Proof"},
}
UNUSED = {
    "window": None,
    "blackout": [],
    "stagger_days": 0,
    "canary": False,
    "emergency_grace_hours": 0,
    "canary_owner": None,
}


def parts(part: type[Part]) -> Iterator[type[Part]]:
    """A part of a manifest and all parts inside it."""
    yield part
    for field in part.model_fields.values():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                assert issubclass(kind, Part), f"{kind.__name__} would put out later fields that are not used"
                yield from parts(kind)


def with_rotation(body: Any, rotation: dict[str, Any]) -> SealedManifest:
    """A released manifest with a few fields of its rotation added."""
    changed = copy.deepcopy(body)
    changed["manifest"].setdefault("rotation", {}).update(rotation)
    return SealedManifest.model_validate(changed)


@pytest.mark.parametrize("name", RELEASED)
def test_released_digests_stay(name: str) -> None:
    """A manifest that release 0.1 stored has the digest that people approved then."""
    assert SealedManifest.model_validate(RELEASED[name]["body"]).digest == RELEASED[name]["digest"]


@pytest.mark.parametrize("name", RELEASED)
def test_what_is_stored_can_be_read_by_the_release_before(name: str) -> None:
    """Unknown fields are refused, so workers of the older release would stumble over unused later ones."""
    body = RELEASED[name]["body"]
    assert SealedManifest.model_validate(body).model_dump(mode="json") == body


def test_later_fields_that_are_written_out_with_their_defaults_change_nothing() -> None:
    """Saying what is so anyway is no change."""
    released = RELEASED["acme-production"]
    assert with_rotation(released["body"], UNUSED).digest == released["digest"]


@pytest.mark.parametrize("field", LATER)
def test_a_later_field_that_is_used_changes_the_digest(field: str) -> None:
    """What people approve covers it."""
    released = RELEASED["acme-production"]
    sealed = with_rotation(released["body"], {field: LATER[field]})
    assert sealed.digest != released["digest"]
    assert SealedManifest.model_validate_json(sealed.model_dump_json()) == sealed


def test_every_later_field_is_marked_and_has_a_default() -> None:
    """A field without the mark would change every digest, and void every approval."""
    for part in parts(SealedManifest):
        marked = {name for name, field in part.model_fields.items() if field.json_schema_extra}
        assert set(part.model_fields) - marked == UNMARKED[part.__name__], part.__name__
        assert not [name for name in marked if part.model_fields[name].is_required()]
        assert not [name for name in marked if set(part.model_fields[name].json_schema_extra or ()) != {"since"}]


def test_the_later_fields_tried_here_are_all_there_are() -> None:
    """The next one has to be tried as well."""
    marked = [n for part in parts(SealedManifest) for n, field in part.model_fields.items() if field.json_schema_extra]
    assert sorted(marked) == sorted(LATER) == sorted(UNUSED)
