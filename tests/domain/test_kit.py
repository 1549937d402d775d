from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from keyturn.domain.kit import kit, render_markdown, render_steps, stackone_steps
from keyturn.domain.manifest import SealedManifest

ADMIN_URL = "https://app.gong.io"
IPS = {"access_token": ["8.8.8.8", "8.8.4.4"], "refresh_token": ["8.8.8.8"]}


def sealed(actions: tuple[str, ...] = (), **form: Any) -> SealedManifest:
    """A sealed manifest with the given fields of Gong's form."""
    gong = {
        "name": "StackOne",
        "description": "Reads people.",
        "short_description": "Reads",
        "logo": "logo.png",
        "privacy_policy_url": "https://acme.com/privacy",
        "terms_url": "https://acme.com/terms",
        "help_url": "https://acme.com/help",
        "contact_emails": ["it@acme.com"],
        "domains": ["acme.com"],
        "trusted_ips": IPS,
    }
    stackone = {"origin_owner": {"id": "acme", "name": "Acme"}, "actions": actions}
    manifest = {"tenant": "acme", "environment": "production", "gong": gong | form, "stackone": stackone}
    return SealedManifest.model_validate(
        {
            "manifest": manifest,
            "scopes": ["api:calls:read:basic", "api:users:read"],
            "logo_sha256": "0" * 64,
            "logo_large": "bGFyZ2U=",
            "logo_small": "c21hbGw=",
        }
    )


def labels(steps: tuple[Any, ...]) -> list[str]:
    """The labels of all fields, in order."""
    return [field.label for step in steps for field in step.fields]


def tokens(markdown: str) -> list[Token]:
    """What a Markdown reader makes of a text, inline parts included."""
    blocks = MarkdownIt("gfm-like", {"linkify": False}).parse(markdown)
    return blocks + [child for block in blocks for child in block.children or ()]


def test_the_kit_follows_gongs_screens_field_by_field() -> None:
    """People fill in the form from top to bottom without searching."""
    assert labels(kit(sealed(), ADMIN_URL).steps) == [
        "Address",
        "Integration name",
        "Description",
        "Short description",
        "App logo, large",
        "App logo, small",
        "Required authorization scopes",
        "Redirect URI(s)",
        "Privacy policy URL",
        "Terms & conditions URL",
        "Help article URL",
        "Contact emails",
        "Domains",
        "Client ID",
        "Client Secret",
        "Access Token",
        "Refresh Token",
        "Command",
    ]


def test_the_older_forms_page_is_there_only_when_given() -> None:
    """Newer forms have no such field, and nobody should look for it."""
    steps = kit(sealed(authorization_page_url="https://acme.com/start"), ADMIN_URL).steps
    assert "Page where authorization begins" in labels(steps)


def test_values_are_exact_and_scopes_are_the_sealed_ones() -> None:
    """What is copied is what was approved."""
    ours = sealed()
    fields = {field.label: field for step in kit(ours, ADMIN_URL).steps for field in step.fields}
    assert fields["Required authorization scopes"].values == ours.scopes
    assert fields["Access Token"].values == ("8.8.8.8", "8.8.4.4")
    assert fields["App logo, large"].image == ours.logo_large
    assert fields["App logo, small"].image == ours.logo_small
    assert fields["Command"].values == ("keyturn submit acme/production",)


def test_the_kit_names_its_digest_and_warns_of_the_traps() -> None:
    """The admin can compare the digest, and learns of roles and of the other kind of integration."""
    ours = sealed()
    page = render_markdown(kit(ours, ADMIN_URL))
    for text in (ours.digest, "Tech admin", "Business Admin", "MCP integration", "Private".lower()):
        assert text in page


def test_missing_trusted_ips_say_whom_to_ask() -> None:
    """StackOne publishes no list of its egress addresses."""
    page = render_markdown(kit(sealed(trusted_ips={}), ADMIN_URL))
    assert page.count("Ask StackOne support") == 2


@pytest.mark.parametrize(
    ("actions", "note"), [((), "Leave StackOne's choice as it is."), (("list_users",), "Enable these.")]
)
def test_stackones_form_has_the_guides_labels_and_never_the_pair(actions: tuple[str, ...], note: str) -> None:
    """The pair comes by a single-use reveal, so the steps have no value for it."""
    steps = stackone_steps(sealed(actions), "https://app.stackone.com")
    fields = {field.label: field for field in steps[1].fields}
    assert list(fields) == ["Type", "Name", "Client ID", "Client Secret", "Scopes", "Actions"]
    assert fields["Client ID"].values == fields["Client Secret"].values == ()
    assert fields["Name"].values == ("Gong acme/production",)
    assert (fields["Actions"].values, fields["Actions"].note) == (actions, note)
    assert "list_users" in render_steps(steps) or not actions


def test_the_kit_is_plain_data() -> None:
    """A command line can print it as JSON."""
    assert json.loads(json.dumps(dataclasses.asdict(kit(sealed(), ADMIN_URL))))["key"]["tenant"] == "acme"


@pytest.mark.parametrize(
    "attack",
    [
        "[click](https://evil.example)",
        "<script>alert(1)</script>",
        "```\n# Approved\n[x](https://evil.example)\n```",
        "~~~\n~~~\n<img src=x onerror=y>",
        "````\r<b>\r````",
        "a | b\n--|--\nc | d",
        "![x](https://evil.example/pixel.png)",
    ],
)
def test_text_of_a_manifest_stays_text(attack: str) -> None:
    """No description can add a link, picture, tag, table or heading to the page people approve from."""
    assert_literal(attack)


@settings(deadline=None)
@given(st.text(st.characters(blacklist_categories=["Cs"]), min_size=1) | st.text("`~\n\r<>[]()#|! \tax", min_size=1))
def test_any_text_of_a_manifest_stays_text(description: str) -> None:
    """The same, for whatever somebody thinks of."""
    assert_literal(description)


def assert_literal(description: str) -> None:
    """The page has the description as one block's content, and otherwise looks as it always does."""
    page = tokens(render_markdown(kit(sealed(description=description), ADMIN_URL)))
    plain = tokens(render_markdown(kit(sealed(), ADMIN_URL)))
    assert [token.type for token in page] == [token.type for token in plain]
    shown = description.strip().replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    assert shown + "\n" in [token.content for token in page if token.type == "fence"]
