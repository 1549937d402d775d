from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from PIL import Image
from ruamel.yaml import YAML

from keyturn.domain.finding import error
from keyturn.domain.lint import Finding, errors
from keyturn.domain.manifest import Rotation
from keyturn.domain.profile import ActionInfo
from keyturn.errors import ConfigurationError, ManifestError
from keyturn.services import manifests
from keyturn.services.manifest_text import parse

EXAMPLES = Path(__file__).parents[2] / "integrations"
OFFERED = (ActionInfo("list_users", "List users", ("api:users:read",)),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the example manifest and its logo."""
    (tmp_path / "logos").mkdir()
    for name in ("acme-production.yaml", "logos/acme.png"):
        (tmp_path / name).write_bytes((EXAMPLES / name).read_bytes())
    return tmp_path


def edited(folder: Path, old: str, new: str) -> Path:
    """The example manifest with one piece of its text replaced."""
    path = folder / "acme-production.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def place(findings: list[Finding] | tuple[Finding, ...]) -> list[tuple[str, int | None]]:
    """Where the errors are: field and line."""
    return [(f.where, f.line) for f in errors(findings)]


# --- the examples ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_have_no_errors_and_can_be_sealed(path: Path) -> None:
    """What people copy from is right, apart from the addresses that only StackOne knows."""
    loaded = manifests.load(path)
    assert {f.rule for f in manifests.check(loaded, OFFERED)} == {"trusted-ips"}
    assert manifests.seal(loaded, OFFERED).manifest == loaded.manifest


def test_what_the_example_offers_in_comments_is_right_too(folder: Path) -> None:
    """Whoever takes the comment marks away has a manifest without faults, and the schema agrees."""
    path = folder / "acme-production.yaml"
    head, marker, rest = path.read_text().partition("  # What else can be said about it.")
    line, _, block = rest.partition("\n")
    offered, _, tail = block.partition("\n\n")
    path.write_text(head + marker + line + "\n" + offered.replace("  # ", "  ") + "\n\n" + tail)
    loaded = manifests.load(path)
    assert {f.rule for f in manifests.check(loaded, OFFERED)} == {"trusted-ips"}
    rotation = loaded.valid().rotation
    used = {name for name in Rotation.model_fields if getattr(rotation, name) != getattr(Rotation(), name)}
    assert used == set(Rotation.model_fields) - {"every_days", "grace_hours"}
    assert not list(Draft202012Validator(manifests.schema()).iter_errors(YAML(typ="safe").load(path.read_text())))


def test_sealing_is_repeatable(folder: Path) -> None:
    """The same file gives the same digest, wherever and whenever."""
    path = folder / "acme-production.yaml"
    here, there = (manifests.seal(manifests.load(p), OFFERED) for p in (path, EXAMPLES / path.name))
    assert here.digest == there.digest


def test_scopes_derive_from_actions_when_sealed() -> None:
    """The sandbox example gives no scopes of its own."""
    offered = [ActionInfo("list_users", "List users", ("api:users:read", "api:workspaces:read"))]
    loaded = manifests.load(EXAMPLES / "acme-sandbox.yaml")
    assert manifests.seal(loaded, offered).scopes == ("api:users:read", "api:workspaces:read")


def test_without_stackones_answer_the_derived_scopes_are_marked_as_not_judged() -> None:
    """Unproven is never green: offline lint says what it did not look at."""
    findings = manifests.check(manifests.load(EXAMPLES / "acme-sandbox.yaml"))
    assert "derived-scopes" in {f.rule for f in findings}


# --- finding --------------------------------------------------------------------------------------------------------


def test_a_manifest_is_found_by_key_or_by_path(folder: Path) -> None:
    """Both ways of naming it lead to the same file."""
    path = folder / "acme-production.yaml"
    assert manifests.find(folder, "acme/production") == manifests.find(Path("nowhere"), str(path)) == path
    assert manifests.every(folder) == [path]


def test_a_manifest_with_faults_is_still_found_by_key(folder: Path) -> None:
    """Otherwise lint could not say what is wrong with it."""
    edited(folder, "terms_url:", "term_url:")
    assert manifests.find(folder, "acme/production").name == "acme-production.yaml"


def test_two_files_about_one_integration_are_named(folder: Path) -> None:
    """Guessing which one is meant could onboard the wrong one."""
    (folder / "copy.yml").write_bytes((folder / "acme-production.yaml").read_bytes())
    with pytest.raises(ManifestError, match=r"acme-production\.yaml, copy\.yml in .* are all about it"):
        manifests.find(folder, "acme/production")


def test_a_missing_manifest_names_files_that_could_not_be_read(folder: Path) -> None:
    """The one that is looked for may be among them."""
    (folder / "broken.yaml").write_text("a: [")
    with pytest.raises(ManifestError, match=r"no manifest .* broken\.yaml cannot be read"):
        manifests.find(folder, "acme/staging")


@pytest.mark.parametrize("name", ["acme", "Acme/production", "a/b/c", "gone.yaml", "acme/production"])
def test_what_is_neither_key_nor_file_is_refused(name: str, tmp_path: Path) -> None:
    """So is a key when there is no folder to look in."""
    with pytest.raises(ConfigurationError):
        manifests.find(tmp_path / "gone", name)


# --- loading --------------------------------------------------------------------------------------------------------


def test_every_fault_of_text_shape_and_meaning_is_told_at_once_with_its_line(folder: Path) -> None:
    """Correcting a manifest takes one round, not one for each kind of fault."""
    path = folder / "bad.yaml"
    path.write_text(
        """tenant: Acme
environment: production
gong:
  name: 12
  name: again
  descripton: x
  client_secret: hunter2
  short_description: x
  logo: gone.png
  scopes: [api:logs:read]
  redirect_uris: [https://api.stackone.com/connect/oauth2/gong/callback/]
  privacy_policy_url: http://acme.com/privacy
  terms_url:
  help_url: https://acme.com/help
  contact_emails:
    - it@acme.com
    - it@gmail.com
  domains: [acme.com]
stackone: none
rotation: {grace_hours: 1000}
"""
    )
    findings = manifests.check(manifests.load(path))
    assert place(findings) == [
        ("tenant", 1),
        ("gong.description", 3),
        ("gong.name", 4),
        ("gong.name", 5),
        ("gong.descripton", 6),
        ("gong.client_secret", 7),
        ("gong.logo", 9),
        ("gong.scopes", 10),
        ("gong.redirect_uris.0", 11),
        ("gong.privacy_policy_url", 12),
        ("gong.terms_url", 13),
        ("gong.contact_emails.1", 17),
        ("stackone", 19),
        ("rotation.grace_hours", 20),
    ]
    told = "\n".join(map(str, findings))
    assert "Did you mean description?" in told
    assert "a secret never belongs in a manifest" in told
    assert "hunter2" not in told


def test_stand_ins_for_faulty_fields_are_never_spoken_of(folder: Path) -> None:
    """Fields that could not be read are only reported as such."""
    findings = manifests.check(manifests.load(edited(folder, "    - acme.example", "    - [acme.example]")))
    assert place(findings) == [("gong.domains.0", 25)]
    assert "stand-in" not in "\n".join(map(str, findings))


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        (b"tenant: acme\ngong: [\n", "is not YAML", 3),
        (b"tenant: acme\nname: caf\xe9\n", "is not UTF-8", 2),
        (b"a: 1\nb: !!python/object:os.system x\n", "is not YAML", 2),
        (b"a: 1\n--- \nb: 2\n", "expected a single document", 2),
        (b"a: " + b"9" * 5000, "is not YAML", None),
        (b"a: \x01\n", "is not YAML", None),
        (b"[" * 20_000, "is nested too deeply", None),
        (b"a: &a\n  - *a\n", "is nested too deeply", None),
        (b"- a\n- b\n", "is not a mapping of fields", None),
        (b"", "is not a mapping of fields", None),
        (b"#" * 300_000, "is larger than 256 KiB", None),
        (b"a: [" + b"x," * 10_001 + b"]", "has more than 10000 values", None),
    ],
)
def test_a_file_that_is_no_manifest_says_why(content: bytes, message: str, line: int | None, tmp_path: Path) -> None:
    """Malformed, foreign and hostile files end in one finding, not in a traceback or a full memory."""
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    findings = manifests.check(manifests.load(path))
    assert len(findings) == 1
    assert message in str(findings[0])
    assert findings[0].line == line


def test_a_bomb_of_aliases_is_refused() -> None:
    """A few hundred bytes may not stand for billions of values."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "values" in str(parse("\n".join(levels).encode()).findings[0])


def test_aliases_and_merged_keys_are_fine(folder: Path) -> None:
    """YAML's own way of not saying things twice is allowed."""
    path = edited(folder, "  domains:\n", "  domains: # merged below\n")
    text = path.read_text().replace("    access_token:\n", "    access_token: &ips\n")
    path.write_text(
        text[: text.index("    refresh_token:")] + "    refresh_token: *ips\n" + text[text.index("\n# The C") :]
    )
    loaded = manifests.load(path)
    assert loaded.manifest
    assert loaded.manifest.gong.trusted_ips.refresh_token == ("192.0.2.10", "192.0.2.11")


def test_a_missing_file_is_an_error_not_a_finding(tmp_path: Path) -> None:
    """There is nothing to point at."""
    with pytest.raises(ManifestError, match="cannot be read"):
        manifests.load(tmp_path / "gone.yaml")


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text("a:-[]{}&*!|>'\"#%@`,? \n\t<", max_size=60).map(str.encode))
def test_no_text_makes_the_reader_stumble(content: bytes) -> None:
    """Whatever the file holds, the answer is data or a finding."""
    text = parse(content)
    assert text.data is not None
    assert all(str(finding) for finding in text.findings)


any_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_no_values_make_lint_stumble(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever stands in place of a field, lint reports faults of it and of all others."""
    values = YAML(typ="safe").load((EXAMPLES / "acme-production.yaml").read_text())
    values["rotation"] |= {
        "window": {"days": ["tue"], "from": "09:00", "until": "16:00", "timezone": "Europe/Berlin"},
        "blackout": [{"from": "2026-12-18", "until": "2027-01-06"}],
        "canary_owner": {"id": "proof", "name": "Proof"},
    }
    rotation = values["rotation"]
    inside = [rotation["window"], rotation["blackout"][0], rotation["canary_owner"], values["gong"]["trusted_ips"]]
    section = data.draw(st.sampled_from([values, values["gong"], values["stackone"], rotation, *inside]))
    field = data.draw(st.sampled_from(sorted(section)) | st.text(max_size=10))
    section[field] = data.draw(any_value)
    path = tmp_path / "x.yaml"
    path.write_text(json.dumps(values))
    assert isinstance(manifests.check(manifests.load(path), OFFERED), list)


def test_links_are_asked_online_unless_they_are_faulty_already(folder: Path) -> None:
    """Asking is somebody else's job, and a link that is no https link needs no asking."""
    asked: list[str] = []

    def ask(links: Mapping[str, str]) -> list[Finding]:
        asked.extend(links)
        return [error("link-answers", "gong.help_url", "answers 404")]

    path = edited(folder, "https://www.acme.example/terms", "http://www.acme.example/terms")
    findings = manifests.check(manifests.load(path), OFFERED, ask=ask)
    assert asked == ["gong.privacy_policy_url", "gong.help_url"]
    assert place(findings) == [("gong.terms_url", 20), ("gong.help_url", 21)]
    asked.clear()
    path.write_text("tenant: acme\n")
    manifests.check(manifests.load(path), OFFERED, ask=ask)
    assert asked == []


# --- the logo -------------------------------------------------------------------------------------------------------


def test_an_oblong_logo_is_an_error_with_its_size(folder: Path) -> None:
    """Gong and StackOne ask for a square one."""
    Image.new("RGB", (200, 100)).save(folder / "logos" / "acme.png")
    findings = errors(manifests.check(manifests.load(folder / "acme-production.yaml")))
    assert [(f.rule, f.line) for f in findings] == [("logo", 13)]
    assert "200 by 100 pixels" in findings[0].message


@pytest.mark.parametrize(
    ("logo", "message"), [("logos/gone.png", "is not there"), ("logos", "is not there"), ("/x.png", "not relative")]
)
def test_a_logo_that_cannot_be_had_is_an_error(folder: Path, logo: str, message: str) -> None:
    """It is found where the manifest says, beside the manifest."""
    findings = errors(manifests.check(manifests.load(edited(folder, "logos/acme.png", logo))))
    assert message in findings[0].message


# --- sealing and the schema -----------------------------------------------------------------------------------------


def test_a_manifest_with_errors_is_not_sealed_and_all_are_named(folder: Path) -> None:
    """Nobody is asked to approve what lint refuses."""
    edited(folder, "gong/callback", "gong/callback/")
    path = edited(folder, "https://www.acme.example/terms", "http://www.acme.example/terms")
    with pytest.raises(ManifestError, match=r"2 errors: line 18, gong\.redirect_uris\.0.*; line 20, gong\.terms_url"):
        manifests.seal(manifests.load(path), OFFERED)


def test_a_manifest_with_a_fault_of_shape_is_not_sealed(folder: Path) -> None:
    """A draft with stand-ins never gets out."""
    loaded = manifests.load(edited(folder, "  name: StackOne\n", "  name: StackOne\n  naem: x\n"))
    for attempt in (loaded.valid, lambda: manifests.seal(loaded, OFFERED)):
        with pytest.raises(ManifestError, match=r"1 error: line .*gong\.naem: is not a field → Did you mean name\?"):
            attempt()


def test_the_schema_accepts_the_examples_and_refuses_unknown_fields() -> None:
    """Editors complete and check manifests by it."""
    schema = manifests.schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for path in EXAMPLES.glob("*.yaml"):
        data = YAML(typ="safe").load(path.read_text())
        assert not list(validator.iter_errors(data))
        assert list(validator.iter_errors({**data, "colour": "blue"}))


def test_the_schema_is_titled_and_explains_fields() -> None:
    """Hovering over a field in an editor says what it is."""
    schema: Any = manifests.schema()
    assert schema["title"] == "keyturn manifest"
    assert "$id" not in schema
    assert schema["$defs"]["GongForm"]["properties"]["name"]["description"]
