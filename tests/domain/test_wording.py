from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.gate import GateKind
from keyturn.domain.notice import SEVERITIES, Event, Notice, Severity
from keyturn.domain.wording import LONGEST_BODY, LONGEST_TITLE, digest, words

LINK = "https://prefect.example/runs/flow-run/5"
EVIL = "<!channel> <https://e.example|ok> [ok](https://e.example) *b* `c` @here #all &lt; \x1b[31m\u202e_i_\r\n# x"


def notice(event: Event, severity: Severity | None = None, key: str = "acme/production", **facts: str) -> Notice:
    """Something to tell."""
    return Notice(event, severity or SEVERITIES[event][0], key, f"{event}/1", facts)


@pytest.mark.parametrize("event", Event)
def test_every_event_has_words_and_severities(event: Event) -> None:
    """Title and body name the integration, what to do next, and the page; from the usual severity to the worst."""
    usual, worst = SEVERITIES[event]
    assert worst.reaches(usual)
    title, body = words(notice(event, worst), LINK)
    assert "acme/production: " in title
    assert "\n\nNext: " in body
    assert body.endswith(f"\n\n{LINK}")
    assert "{" not in title + body
    assert title.startswith(f"{worst.upper()} acme") == worst.reaches(Severity.ERROR)


@pytest.mark.parametrize("kind", GateKind)
def test_every_question_has_a_command(kind: GateKind) -> None:
    """What is asked for has its own words, and the command that answers it, ready to be copied."""
    title, body = words(notice(Event.GATE_REMINDER, kind=kind.value), "")
    unknown, _ = words(notice(Event.GATE_REMINDER, kind="other"), "")
    assert title != unknown
    assert "acme/production`." in body


def test_facts_are_listed() -> None:
    """Each fact is a line, whatever its name; identifiers only serve the link, and a remedy is what to do next."""
    facts = {"cause": "secret_reset", "some_count": "3", "run": "r-1", "attempt": "a-1", "remedy": "Run `keyturn x`."}
    title, body = words(notice(Event.DRIFT_RAISED, **facts), "")
    assert title == "acme/production: is not as it should be: secret reset"
    assert "\n\n- cause: secret_reset\n- some count: 3\n\nNext: Run `keyturn x`." in body
    assert "r-1" not in body
    assert "a-1" not in body


def test_what_is_about_no_integration_is_about_keyturn() -> None:
    """Without a key the title names keyturn."""
    assert words(notice(Event.TEST, key=""), "")[0] == "keyturn: a test"


@pytest.mark.parametrize("name", ["evidence", "kind", "cause", "remedy", EVIL])
def test_markup_in_facts_is_harmless(name: str) -> None:
    """A fact makes no link, no mention, no heading, no further line and no control sequence."""
    _, harmless = words(notice(Event.DRIFT_RAISED, **{name: "harmless"}), "")
    title, body = words(notice(Event.DRIFT_RAISED, **{name: EVIL}), "")
    assert not set("<>[]*@#&|\\") & set(title + body)
    assert "://" not in title + body
    assert [c for c in title + body if unicodedata.category(c)[0] == "C" and c != "\n"] == []
    assert body.count("\n") == harmless.count("\n")


def test_an_integration_cannot_mark_up_either() -> None:
    """The same for its name."""
    title, body = words(notice(Event.DRIFT_RAISED, key="<!channel>\n#"), "")
    assert not set("<>#") & set(title + body)


@given(
    event=st.sampled_from(Event),
    severity=st.sampled_from(Severity),
    key=st.text(max_size=200),
    facts=st.dictionaries(st.text(max_size=60) | st.sampled_from(["kind", "remedy", "cause"]), st.text(max_size=400)),
)
def test_any_facts_make_words_that_fit(event: Event, severity: Severity, key: str, facts: dict[str, str]) -> None:
    """Whatever the facts are, nothing fails, and the message fits into Slack's limits."""
    title, body = words(Notice(event, severity, key, "x", facts), "https://" + "x" * 490)
    assert 0 < len(title) <= LONGEST_TITLE
    assert 0 < len(body) <= LONGEST_BODY


def test_the_longest_words_fit() -> None:
    """Also with every part as long as can be."""
    facts = {f"{n}" * 60: "x" * 4000 for n in range(20)} | {"remedy": "y" * 4000}
    for event in Event:
        title, body = words(notice(event, Severity.CRITICAL, key="k" * 127, **facts), "https://" + "x" * 490)
        assert len(title) <= LONGEST_TITLE
        assert len(body) <= LONGEST_BODY


def test_many_are_told_as_one() -> None:
    """A digest counts by severity, lists the most urgent first, says how many more there are, and fits."""
    many = [notice(Event.GATE_OPENED, kind="approve")] * 40 + [notice(Event.ROTATION_ORPHANED)]
    title, body = digest(many, LINK)
    assert title == "CRITICAL keyturn: 41 notices at once"
    assert "1 critical, 40 info" in body
    assert body.split("\n\n")[1].startswith("- CRITICAL acme/production: a rotation is orphaned\n- acme/production")
    assert "\n- and 21 more\n" in body
    assert body.endswith(LINK)
    assert len(digest([notice(Event.DRIFT_RAISED, key="k" * 127)] * 100, LINK)[1]) <= LONGEST_BODY


def test_severities_are_ordered() -> None:
    """Each reaches itself and what is below it, and nothing above."""
    reached = [[s.value for s in Severity if severity.reaches(s)] for severity in Severity]
    assert reached == [[s.value for s in Severity][: n + 1] for n in range(4)]
