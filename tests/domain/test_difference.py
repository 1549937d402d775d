"""What two manifests differ in."""

from __future__ import annotations

from keyturn.domain.difference import Difference, differences
from keyturn.domain.manifest import SealedManifest


def sealed(**more: object) -> SealedManifest:
    """A sealed manifest; `description` and `logo_sha256` as told."""
    form = {
        "name": "StackOne",
        "description": more.get("description", "Calls"),
        "short_description": "Calls",
        "logo": "logo.png",
        "privacy_policy_url": "https://acme.example/privacy",
        "terms_url": "https://acme.example/terms",
        "help_url": "https://acme.example/help",
        "contact_emails": ["it@acme.example"],
        "domains": ["acme.example"],
    }
    owner = {"origin_owner": {"id": "acme-1", "name": "Acme"}}
    manifest = {"tenant": "acme", "environment": "production", "gong": form, "stackone": owner}
    pictures = {"logo_sha256": more.get("logo_sha256", "0" * 64), "logo_large": "", "logo_small": ""}
    return SealedManifest.model_validate({"manifest": manifest, "scopes": ["api:users:read"], **pictures})


def test_nothing_differs() -> None:
    """A manifest and itself."""
    assert differences(sealed(), sealed()) == ()


def test_fields_that_differ() -> None:
    """Each by its path with both values, in the order of their names; a picture's only says that it is another."""
    found = differences(sealed(), sealed(description="Users", logo_sha256="1" * 64))
    assert [each.field for each in found] == ["logo_sha256", "manifest.gong.description"]
    assert [str(each) for each in found] == ["logo_sha256 has changed", "manifest.gong.description: Calls → Users"]
    assert [each.is_picture for each in found] == [True, False]


def test_a_part_that_only_one_has() -> None:
    """What is no object in one of them is compared as a whole."""
    window = {"timezone": "Europe/Berlin"}
    other = sealed().model_dump(mode="json", by_alias=True)
    other["manifest"]["rotation"]["window"] = window
    found = differences(sealed(), SealedManifest.model_validate(other))
    assert Difference("manifest.rotation.window.timezone", None, "Europe/Berlin") in found
