from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.domain.lint import Finding, Severity, errors, links_of, lint, placed
from keyturn.domain.manifest import REDIRECT_URI, Manifest
from keyturn.domain.profile import ActionInfo

OFFERED = (
    ActionInfo("list_users", "List users", ("api:users:read",)),
    ActionInfo("get_transcript", "Get transcript", ("api:calls:read:transcript", "api:calls:new:thing")),
)
DATA: dict[str, Any] = {
    "tenant": "acme",
    "environment": "production",
    "gong": {
        "name": "StackOne",
        "description": "Reads people.\nAnd nothing else.",
        "short_description": "Reads",
        "logo": "logo.png",
        "scopes": ["api:users:read"],
        "privacy_policy_url": "https://acme.com/privacy",
        "terms_url": "https://acme.com/terms",
        "help_url": "https://acme.com/help",
        "contact_emails": ["it@acme.com"],
        "domains": ["acme.com"],
        "trusted_ips": {"access_token": ["8.8.8.8"], "refresh_token": ["8.8.8.8"]},
    },
    "stackone": {"origin_owner": {"id": "acme", "name": "Acme"}},
}


def with_value(where: str, value: Any) -> Manifest:
    """The clean manifest with one field changed."""
    data = copy.deepcopy(DATA)
    *path, last = where.split(".")
    at = data
    for name in path:
        at = at.setdefault(name, {})
    at[last] = value
    return Manifest.model_validate(data)


def found(where: str, value: Any, **options: Any) -> set[tuple[str, str, str]]:
    """What lint says about the manifest with that one change."""
    return {(str(f.severity), f.rule, f.where) for f in lint(with_value(where, value), **options)}


def messages(where: str, value: Any, **options: Any) -> str:
    """What lint says, as text."""
    return "\n".join(map(str, lint(with_value(where, value), **options)))


def test_a_clean_manifest_has_no_findings() -> None:
    """Nothing is said when there is nothing to say."""
    assert lint(Manifest.model_validate(DATA), actions=OFFERED) == []


@pytest.mark.parametrize(
    ("where", "value", "expected"),
    [
        ("gong.scopes", ["api:logs:read"], ("error", "required-scope", "gong.scopes")),
        ("gong.scopes", ["api:users:read", "api:log:read"], ("warning", "unknown-scope", "gong.scopes.1")),
        ("gong.scopes", ["api:users:read", "api:settings:read"], ("warning", "hearsay-scope", "gong.scopes.1")),
        ("gong.scopes", ["api:users:read", "api:flows:write"], ("notice", "least-privilege", "gong.scopes.1")),
        ("gong.scopes", ["api:users:read", "api:users:read"], ("warning", "duplicate", "gong.scopes.1")),
        ("gong.redirect_uris", [], ("error", "redirect-uri", "gong.redirect_uris")),
        ("gong.terms_url", "http://acme.com/terms", ("error", "link", "gong.terms_url")),
        ("gong.terms_url", "acme.com/terms", ("error", "link", "gong.terms_url")),
        ("gong.terms_url", "https://acme.com/terms and more", ("error", "link", "gong.terms_url")),
        ("gong.terms_url", "https://[acme", ("error", "link", "gong.terms_url")),
        ("gong.terms_url", "https://acme.com:port/", ("error", "link", "gong.terms_url")),
        ("gong.terms_url", "https://a:b@acme.com/", ("error", "link", "gong.terms_url")),
        ("gong.terms_url", "https://localhost/", ("error", "link", "gong.terms_url")),
        ("gong.authorization_page_url", "javascript:x", ("error", "link", "gong.authorization_page_url")),
        ("gong.contact_emails", [], ("error", "contact-email", "gong.contact_emails")),
        ("gong.contact_emails", ["it@acme"], ("error", "contact-email", "gong.contact_emails.0")),
        ("gong.contact_emails", ["it@gmail.com"], ("error", "contact-email", "gong.contact_emails.0")),
        ("gong.contact_emails", ["it@notacme.com"], ("error", "contact-email", "gong.contact_emails.0")),
        ("gong.contact_emails", ["it@acme.com", "IT@acme.com"], ("warning", "duplicate", "gong.contact_emails.1")),
        ("gong.domains", [], ("error", "domain", "gong.domains")),
        ("gong.domains", ["acme.com", "https://acme.com"], ("error", "domain", "gong.domains.1")),
        ("gong.domains", ["acme.com", "*.acme.com"], ("error", "domain", "gong.domains.1")),
        ("gong.trusted_ips", {}, ("warning", "trusted-ips", "gong.trusted_ips.refresh_token")),
        ("gong.trusted_ips.access_token", ["8.8.8.0/24"], ("error", "trusted-ips", "gong.trusted_ips.access_token.0")),
        (
            "gong.trusted_ips.access_token",
            ["8.8.8.1-8.8.8.9"],
            ("error", "trusted-ips", "gong.trusted_ips.access_token.0"),
        ),
        ("gong.trusted_ips.access_token", ["8.8.8"], ("error", "trusted-ips", "gong.trusted_ips.access_token.0")),
        ("gong.trusted_ips.access_token", ["fe80::1%e"], ("error", "trusted-ips", "gong.trusted_ips.access_token.0")),
        ("gong.trusted_ips.access_token", ["10.1.1.1"], ("warning", "trusted-ips", "gong.trusted_ips.access_token.0")),
        ("gong.trusted_ips.access_token", ["8.8.4.4"], ("warning", "trusted-ips", "gong.trusted_ips.access_token.0")),
        ("gong.name", "   ", ("error", "blank", "gong.name")),
        ("gong.name", "Stack\u202eOne", ("error", "characters", "gong.name")),
        ("gong.description", "\x1b[2J", ("error", "characters", "gong.description")),
        ("stackone.label", "two\nlines", ("error", "characters", "stackone.label")),
        ("approval", {"channel": "prefect"}, ("notice", "approval", "approval.channel")),
        ("approval", {"channel": "prefect", "approvals": 2}, ("error", "approval", "approval.approvals")),
        ("rotation", {"grace_hours": 0}, ("warning", "rotation", "rotation.grace_hours")),
        ("rotation", {"every_days": 7, "grace_hours": 168}, ("error", "rotation", "rotation")),
        ("notification", {"remind_after_days": [3, 1]}, ("warning", "notification", "notification")),
        ("notification", {"escalate_after_days": 20}, ("warning", "notification", "notification")),
        ("notification", {"rearm_after_days": 261}, ("error", "notification", "notification")),
    ],
)
def test_each_fault_is_found_at_its_field(where: str, value: Any, expected: tuple[str, str, str]) -> None:
    """One changed field gives a finding of the right severity, at the right place."""
    assert expected in found(where, value)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("gong.scopes", []),
        ("gong.contact_emails", ["gong@mail.acme.com"]),
        ("gong.domains", ["ACME.com", "bücher.example"]),
        ("gong.trusted_ips", {"access_token": ["2606:4700::1111"], "refresh_token": ["2606:4700::1111"]}),
        ("gong.description", "Wörter, emoji 👩\u200d💻 and\ttabs\nare fine."),
        ("notification.remind_after_days", []),
    ],
)
def test_what_is_right_is_left_alone(where: str, value: Any) -> None:
    """Derived scopes, addresses below a domain, IPv6 and ordinary writing are no faults."""
    assert found(where, value) == set()


@pytest.mark.parametrize(
    ("given_uri", "difference"),
    [
        (REDIRECT_URI + "/", "it ends with a slash"),
        (REDIRECT_URI.replace("https", "http"), "it begins with http, not https"),
        (REDIRECT_URI.replace("api.stackone", "API.StackOne"), "the host is not in lower case"),
        (REDIRECT_URI.replace("gong", "Gong"), "the path is not in lower case"),
        (REDIRECT_URI.replace("api.", "api.eu1."), "the host is api.eu1.stackone.com, not api.stackone.com"),
        (REDIRECT_URI.replace("gong", "hubspot"), "the path is /connect/oauth2/hubspot/callback, not"),
        (REDIRECT_URI + "?x=1", "it goes on after the path"),
        (REDIRECT_URI + "#", "it goes on after the path"),
        (f" {REDIRECT_URI}", "it has white space around it"),
        ("HTTPS" + REDIRECT_URI[5:], "it is written in another way"),
        ("https://api.stackone.com", "the path is missing"),
        ("callback", "it is not a link"),
        ("https://[", "it is not a link"),
    ],
)
def test_a_wrong_redirect_uri_is_told_how_it_differs(given_uri: str, difference: str) -> None:
    """OAuth compares redirect URIs letter by letter, so people need to see the letter."""
    assert difference in messages("gong.redirect_uris", [given_uri])
    assert ("error", "redirect-uri", "gong.redirect_uris.0") in found("gong.redirect_uris", [given_uri])


def test_a_further_redirect_uri_beside_the_right_one_is_a_warning() -> None:
    """Gong's field takes several, and each is a place where codes may go."""
    uris = [REDIRECT_URI, "https://acme.com/callback"]
    assert found("gong.redirect_uris", uris) == {("warning", "redirect-uri", "gong.redirect_uris.1")}


def test_an_unknown_scope_comes_with_the_nearest_known_one() -> None:
    """A typo is recognised; a scope that Gong added later still goes through."""
    assert "Did you mean api:logs:read?" in messages("gong.scopes", ["api:users:read", "api:log:read"])


def test_scopes_of_wanted_actions_are_judged_where_the_action_stands() -> None:
    """What an action brings along is said beside the action."""
    told = found("stackone.actions", ["list_users", "get_transcript"], actions=OFFERED)
    assert ("notice", "least-privilege", "stackone.actions.1") in told
    assert ("warning", "unknown-scope", "stackone.actions.1") in told


def test_an_unknown_action_comes_with_the_nearest_offered_one() -> None:
    """What StackOne does not offer cannot be enabled."""
    assert "Did you mean list_users?" in messages("stackone.actions", ["gong_list_users"], actions=OFFERED)
    assert ("error", "unknown-action", "stackone.actions.0") in found("stackone.actions", ["x"], actions=OFFERED)


def test_a_scope_that_no_wanted_action_needs_is_noticed() -> None:
    """Least privilege: a scope without a use is worth a question."""
    data = copy.deepcopy(DATA)
    data["gong"]["scopes"].append("api:logs:read")
    data["stackone"]["actions"] = ["list_users"]
    findings = lint(Manifest.model_validate(data), actions=OFFERED)
    assert [(f.rule, f.where) for f in findings] == [("least-privilege", "gong.scopes.1")]


def test_findings_carry_the_line_of_the_nearest_field_that_is_there() -> None:
    """An absent field is shown where it should be: at its parent."""
    lines = {"gong": 3, "gong.terms_url": 9}
    data = copy.deepcopy(DATA)
    data["gong"]["terms_url"] = "http://acme.com"
    del data["gong"]["trusted_ips"]
    found_lines = [(f.where, f.line) for f in lint(Manifest.model_validate(data), lines=lines)]
    assert found_lines == [
        ("gong.trusted_ips.access_token", 3),
        ("gong.trusted_ips.refresh_token", 3),
        ("gong.terms_url", 9),
    ]


def test_findings_are_sorted_by_line_and_then_by_severity() -> None:
    """The list reads like the file, the worst of each line first."""
    findings = [Finding(severity, "r", where, "m") for severity in reversed(Severity) for where in ("b", "a")]
    told = [(f.line, str(f.severity)) for f in placed(findings, {"a": 1, "b": 2})]
    assert told == [(line, severity) for line in (1, 2) for severity in ("error", "warning", "notice")]
    assert len(errors(findings)) == 2


def test_links_are_listed_by_field_for_asking_them_online() -> None:
    """The older form's link is only there when it is given."""
    assert list(links_of(Manifest.model_validate(DATA).gong)) == [
        "gong.privacy_policy_url",
        "gong.terms_url",
        "gong.help_url",
    ]


any_text = st.one_of(
    st.text(max_size=60),
    st.text("htps:/.@[]%?#0123456789aA-_\u202e\n ", max_size=40),
    st.sampled_from(["https://", "@", "https://[::1]:x", "1.2.3.4/33", "api:", "xn--a.com", "a" * 300 + ".com"]),
)


@settings(deadline=None)
@given(st.data())
def test_lint_never_stumbles(data: st.DataObject) -> None:
    """Whatever is written into the fields, lint answers with findings that can be shown."""
    values = copy.deepcopy(DATA)
    gong = values["gong"]
    for name in ("logo", "privacy_policy_url", "terms_url", "help_url", "authorization_page_url"):
        gong[name] = data.draw(any_text)
    gong["description"] = data.draw(any_text.filter(bool))
    for name in ("scopes", "redirect_uris", "contact_emails", "domains"):
        gong[name] = data.draw(st.lists(any_text, max_size=3))
    gong["trusted_ips"] = {"access_token": data.draw(st.lists(any_text, max_size=3)), "refresh_token": ["8.8.8.8"]}
    values["stackone"]["actions"] = data.draw(st.lists(any_text, max_size=3))
    for finding in lint(Manifest.model_validate(values), actions=OFFERED):
        assert finding.message
        assert str(finding)
