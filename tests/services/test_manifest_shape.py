"""Faults of shape in the rotation's fields, the only ones with times, dates and groups that may be left out."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from keyturn.domain.finding import Finding, errors
from keyturn.services import manifests

EXAMPLES = Path(__file__).parents[2] / "integrations"


def written(folder: Path, rotation: str) -> Path:
    """The example manifest with more said about its rotation."""
    (folder / "logos").mkdir()
    (folder / "logos" / "acme.png").write_bytes((EXAMPLES / "logos" / "acme.png").read_bytes())
    text = (EXAMPLES / "acme-production.yaml").read_text()
    assert "  grace_hours: 168\n" in text
    path = folder / "ours.yaml"
    path.write_text(text.replace("  grace_hours: 168\n", rotation))
    return path


def place(findings: list[Finding] | tuple[Finding, ...]) -> list[tuple[str, int | None]]:
    """Where the errors are: field and line."""
    return [(f.where, f.line) for f in errors(findings)]


def test_faults_in_times_dates_and_nested_groups_are_told_with_their_lines(tmp_path: Path) -> None:
    """What YAML or pydantic would take for numbers, moments or seconds is never read as something else in silence."""
    path = written(
        tmp_path,
        """\
  window:
    days: [tue, wedd]
    from: 9:00
    until: 1000
    timezone: Europe/Berln
    untill: "10:00"
  blackout:
    - from: 2026-02-30
      until: 2026-12-24T10:00:00
      resaon: holidays
    - {from: 20261224, until: 2026-12-25}
    - {from: 1999-12-31, until: "2026-12-25"}
  canary: perhaps
  canary_owner: {id: proof, nam: Proof}
  stagger_days: 90
""",
    )
    findings = manifests.check(manifests.load(path))
    assert place(findings) == [
        ("rotation.window.days.1", 55),
        ("rotation.window.from", 56),
        ("rotation.window.until", 57),
        ("rotation.window.timezone", 58),
        ("rotation.window.untill", 59),
        ("rotation.blackout.0.from", 61),
        ("rotation.blackout.0.until", 62),
        ("rotation.blackout.0.resaon", 63),
        ("rotation.blackout.1.from", 64),
        ("rotation.blackout.2.from", 65),
        ("rotation.canary", 66),
        ("rotation.canary_owner.nam", 67),
        ("rotation.canary_owner.name", 67),
        ("rotation.stagger_days", 68),
    ]
    told = "\n".join(map(str, errors(findings)))
    for text in (
        'rotation.window.from: is not a time of day → Write hours and minutes in quotes, as in "09:00".',
        "rotation.window.untill: is not a field → Did you mean until?",
        "rotation.blackout.0.from: is not in the calendar → Write year, month and day, as in 2026-12-24.",
        "rotation.blackout.0.resaon: is not a field → Did you mean reason?",
        "rotation.blackout.1.from: is not a date",
        "rotation.canary_owner.nam: is not a field → Did you mean name?",
    ):
        assert text in told


@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_times_and_dates_need_no_quotes(tmp_path: Path, quote: str) -> None:
    """In YAML 1.2, which we read, 10:00 is text; dates are left for their field to read."""
    window = f"{{from: {quote}10:00{quote}, until: {quote}24:00{quote}, timezone: UTC}}"
    blackout = f"[{{from: {quote}2026-12-18{quote}, until: {quote}2027-01-06{quote}}}]"
    path = written(tmp_path, f"  window: {window}\n  blackout: {blackout}\n")
    rotation = manifests.load(path).valid().rotation
    assert rotation.window
    assert (rotation.window.from_, rotation.window.until) == ("10:00", "24:00")
    assert [(b.from_, b.until) for b in rotation.blackout] == [(date(2026, 12, 18), date(2027, 1, 6))]


def test_times_that_an_older_yaml_takes_for_numbers_are_refused(tmp_path: Path) -> None:
    """A file may ask for YAML 1.1, in which 10:00 is 600."""
    path = written(tmp_path, "  window: {from: 10:00, until: '16:00', timezone: UTC}\n")
    path.write_text("%YAML 1.1\n---\n" + path.read_text())
    assert place(manifests.load(path).findings) == [("rotation.window.from", 56)]


@pytest.mark.parametrize("field", ["window", "blackout", "canary_owner"])
def test_a_word_in_place_of_a_group_hides_no_other_fault(tmp_path: Path, field: str) -> None:
    """The rest is linted all the same."""
    path = written(tmp_path, f"  {field}: never\n")
    path.write_text(path.read_text().replace("help.acme.example/gong", "help"))
    assert place(manifests.check(manifests.load(path))) == [("gong.help_url", 21), (f"rotation.{field}", 54)]
