from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from keyturn.domain.attempt import Stage, Terms
from keyturn.domain.fleet import FleetState
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.health import Cause, Condition, Drift, Observation, Outcome, Subject
from keyturn.wiring import Ports
from tests.console.conftest import Browser, Console
from tests.console.folder import filed
from tests.services.rotation.turned import Turned
from tests.services.search import found
from tests.services.world import World


def text_of(browser: Browser, world: World, query: str = "") -> str:
    """The page of the world's integration."""
    answer = browser.get(f"/integrations/{world.key}{query}")
    assert answer.status_code == 200, answer.text
    assert found(world.secrets, [answer.text]) == []
    return answer.text


def stops(page: str) -> dict[str, str]:
    """The stages in the picture, and how each is marked."""
    marked = re.findall(r'<li class="(\w+)"[^>]*>\s*<span class="stop">.*?<strong>([\w ]+)</strong>', page, re.DOTALL)
    return {stage: state for state, stage in marked}


def lit(page: str) -> list[str]:
    """The stages that are lit."""
    return re.findall(r'aria-current="step">.*?<strong>([\w ]+)</strong>', page, re.DOTALL)


def buttons(page: str) -> set[str]:
    """The actions that are offered."""
    return set(re.findall(r'href="/integrations/[^"/]+/[^"/]+/ask/(\w+)"', page))


def test_unknown_integrations_have_no_page(world: World, console: Console) -> None:
    """What neither the ledger nor the folder knows is not there, and neither is what is no name."""
    viewer = console.browser("vic", "viewer")
    for path in (f"/integrations/{world.key}", "/integrations/UPPER/case", "/integrations/acme/production%00"):
        answer = viewer.get(path)
        assert answer.status_code == 404
        assert "fleet" in answer.text


def test_a_manifest_alone_has_a_page(
    new_world: Callable[..., World], new_console: Callable[[World], Console], tmp_path: Path
) -> None:
    """An integration that was never onboarded says so, and offers just that to those who may."""
    world = new_world(MANIFESTS=str(tmp_path))
    filed(tmp_path, world.sealed())
    console = new_console(world)
    page = text_of(console.browser("rita", "requester"), world)
    assert "never onboarded" in page
    assert buttons(page) == {"onboard"}
    assert lit(page) == []
    assert buttons(text_of(console.browser("vic", "viewer"), world)) == set()


def test_a_folder_that_cannot_be_told_apart_still_has_a_page(
    new_world: Callable[..., World], new_console: Callable[[World], Console], tmp_path: Path
) -> None:
    """Two manifests about one integration are a fault to be seen to, and not an unknown integration."""
    world = new_world(MANIFESTS=str(tmp_path))
    for name in ("one.yaml", "two.yaml"):
        filed(tmp_path, world.sealed(), name)
    assert "never onboarded" in text_of(new_console(world).browser("rita", "requester"), world)


@pytest.mark.parametrize(
    ("to", "stage"),
    [
        (World.to_approval, "approve"),
        (World.to_intake, "gong admin"),
        (World.to_form, "create profile"),
        (World.to_consent, "link account"),
    ],
)
def test_the_stage_that_waits_is_lit(world: World, console: Console, to: Callable[[World], Gate], stage: str) -> None:
    """At each gate its stage alone is lit and leads to the gate; what is before is done, what is after is to come."""
    gate = to(world)
    page = text_of(console.browser("vic", "viewer"), world)
    assert lit(page) == [stage]
    assert f'href="/gates/{gate.id}"' in page
    names = [s.value.replace("_", " ") for s in Stage][:8]
    here = names.index(stage)
    assert list(stops(page)) == names
    assert [stops(page)[name] for name in names] == ["done"] * here + ["waiting"] + ["later"] * (7 - here)
    assert '<span class="badge warn">waiting</span>' in page


def test_an_onboarded_integration_shows_what_stands(world: World, console: Console) -> None:
    """Receipts, version and fingerprint, manifest, profile and account are there; nothing is lit, and no secret."""
    world.completed()
    pointer, profile = world.pointer, world.receipt(Stage.CREATE_PROFILE).body
    page = text_of(console.browser("vic", "viewer"), world)
    assert set(stops(page).values()) == {"done"}
    assert lit(page) == []
    assert pointer.current
    short = pointer.current.fingerprint.rpartition(":")[2][:12]
    for shown in (
        short,
        str(profile["profile_id"]),
        str(world.receipt(Stage.LINK_ACCOUNT).body["account_id"]),
        f"{world.attempt.digest[:12]}</code> applied",
        "L0 passed, L1 passed, L2 passed, L3 passed",
        "by userpass-bob",
    ):
        assert shown in page
    assert f"http://prefect.invalid/runs/flow-run/{world.run_id}" in page


def test_loading_the_page_asks_no_vendor(world: World, console: Console) -> None:
    """However often the page is loaded, neither StackOne nor Gong hears of it."""
    world.completed()
    before = [world.twins.calls(origin) for origin in (world.twins.gong, world.twins.stackone)]
    operator = console.browser("olga", "operator")
    for _ in range(3):
        text_of(operator, world)
    assert [world.twins.calls(origin) for origin in (world.twins.gong, world.twins.stackone)] == before


def test_buttons_are_those_that_may_and_make_sense(world: World, console: Console) -> None:
    """A viewer sees none; others see what their groups allow and what can be done now."""
    world.completed()
    of = {
        "viewer": set[str](),
        "approver": {"check"},
        "gong_admin": {"check"},
        "requester": {"onboard", "check", "rotate"},
        "operator": {"onboard", "check", "rotate"},
    }
    assert {group: buttons(text_of(console.browser(group, group), world)) for group in of} == of


def test_an_active_attempt_is_abandoned_by_its_own_requester(world: World, console: Console) -> None:
    """Whoever started it sees the button, and so does every operator; another requester does not."""
    world.to_approval()
    alice = world.person("alice")
    own = console.of(type(alice)(alice.id, alice.name, frozenset({"requester"}), alice.signed_in))
    assert buttons(text_of(own, world)) == {"onboard", "abandon"}
    assert buttons(text_of(console.browser("olga", "operator"), world)) == {"onboard", "abandon"}
    assert buttons(text_of(console.browser("rita", "requester"), world)) == {"onboard"}


def test_a_link_is_made_at_its_gate(world: World, console: Console) -> None:
    """While a consent is waited for, the button for a new auth link leads those who were asked to the gate."""
    gate = world.to_consent()
    page = text_of(console.browser("grace", "gong_admin"), world)
    assert f'<a class="button primary" href="/gates/{gate.id}">New auth link</a>' in page
    assert "New auth link" not in text_of(console.browser("bob", "approver"), world)


def test_a_page_stands_without_vault(world: World, console: Console, new_ports: Callable[..., Ports]) -> None:
    """When Vault is away, its part says that it is not known and why; the rest is there."""
    world.completed()
    console.ports.secrets = new_ports(VAULT__ADDR="http://127.0.0.1:9").secrets
    page = text_of(console.browser("vic", "viewer"), world)
    assert "<strong>unknown:</strong>" in page
    assert "127.0.0.1:9" in page
    assert f"{world.attempt.digest[:12]}</code> applied" in page


def test_a_raised_condition_says_what_to_do(world: World, console: Console) -> None:
    """Cause, evidence and remedy are shown as plain text; the last look at each subject, and what changed, below."""
    world.completed()
    seen = Observation(
        Subject.PROFILE, Outcome.BAD, "profile <b>x</b> was edited", world.clock.now(), Cause.PROFILE_EDITED, 41
    )
    drift = Drift(Cause.PROFILE_EDITED, seen.evidence, "Write it anew: `keyturn onboard <key>`.")
    for _ in range(2):
        world.ports.observatory.observe(world.key, [seen], [drift], ())
    raised: list[Condition] = list(world.ports.observatory.health(world.key).raised)
    assert [c.cause for c in raised] == [Cause.PROFILE_EDITED]
    page = text_of(console.browser("vic", "viewer"), world)
    assert "Profile was edited" in page
    assert page.count("profile &lt;b&gt;x&lt;/b&gt; was edited") == 3
    assert "Write it anew: <code>keyturn onboard &lt;key&gt;</code>." in page
    assert "41 ms" in page
    assert "<b>x</b>" not in page


def test_a_running_grace_counts_down(world: World, console: Console) -> None:
    """A rotation shows its stages, both versions, until when the older secret works, and what happens then."""
    turned = _turned(world)
    turned.to_proof()
    page = text_of(console.browser("olga", "operator"), world)
    assert lit(page) == ["verify"]
    assert "data-countdown" in page
    assert "breaks unless the new one is proven" in page
    assert re.findall(r'<span class="badge \w+">(current|pending)</span>', page) == ["current", "pending"]
    assert buttons(page) == {"check", "rollback", "abandon"}
    turned.asking.roll_back(world.key, world.person("alice"), "no luck")
    turned.run()
    page = text_of(console.browser("olga", "operator"), world)
    assert lit(page) == ["apply"]
    assert '<span class="badge bad">halted</span>' in page
    assert buttons(page) == {"check", "resume", "abandon"}


def test_a_grace_waits_for_nobody(world: World, console: Console) -> None:
    """Once the new secret is proven and only time has to pass, the page says the same as the fleet: it moves."""
    turned = _turned(world)
    turned.to_proof()
    world.consent(world.link())
    turned.at(GateKind.GRACE)
    row = console.ports.fleet.row(world.key)
    assert row
    assert row.state is FleetState.MOVING
    page = text_of(console.browser("vic", "viewer"), world)
    assert '<span class="badge plain">moving</span>' in page
    assert '<span class="badge warn">waiting</span>' not in page


def test_what_has_changed_is_told_with_its_time(world: World, console: Console) -> None:
    """Each look that found something else, newest first, as text; those that found the same again are left out."""
    world.completed()
    looks = [(Outcome.OK, None), (Outcome.OK, None), (Outcome.BAD, Cause.PROFILE_EDITED), (Outcome.OK, None)]
    for number, (outcome, cause) in enumerate(looks):
        world.clock.move(minutes=15)
        seen = Observation(Subject.PROFILE, outcome, f"look <i>{number}", world.clock.now(), cause)
        world.ports.observatory.observe(world.key, [seen], [], ())
    page = text_of(console.browser("vic", "viewer"), world)
    told = re.search(r"<summary>What has changed</summary>(.*?)</details>", page, re.DOTALL)
    assert told
    assert re.findall(r"(\w+): look &lt;i&gt;(\d)", told[1]) == [("ok", "3"), ("bad", "2"), ("ok", "0")]
    assert told[1].count("<time ") == 3
    assert "profile_edited" in told[1]


def test_a_lost_secret_is_for_those_who_were_asked(world: World, console: Console) -> None:
    """While Gong's admin is asked to rotate, that admin and operators can say that the secret is lost."""
    _turned(world).to_click()
    assert "lost" in buttons(text_of(console.browser("grace", "gong_admin"), world))
    assert "lost" in buttons(text_of(console.browser("olga", "operator"), world))
    assert "lost" not in buttons(text_of(console.browser("bob", "approver"), world))


def test_a_compromised_rotation_offers_no_way_back(world: World, console: Console) -> None:
    """Where the older secret dies at once, rolling back is not offered."""
    turned = _turned(world)
    turned.to_click(Terms(compromised=True))
    turned.submit(turned.click(0))
    turned.run()
    assert "rollback" not in buttons(text_of(console.browser("olga", "operator"), world))


def test_the_trail_is_read_page_by_page(world: World, console: Console) -> None:
    """The newest 50 rows come first, in words; older ones follow by a link, down to the first."""
    attempt = world.start().attempt
    for _ in range(60):
        world.ports.ledger.begin_execution(attempt.id, None)
    viewer = console.browser("vic", "viewer")
    first = text_of(viewer, world)
    rows = re.findall(r'data-live-row="(\d+)">\s*<span class="when', first)
    assert len(rows) == 50
    assert "execution 60 began" in first
    assert "started the onboarding" not in first
    older = re.search(r'href="(\?before=\d+)#trail"', first)
    assert older
    second = text_of(viewer, world, older[1])
    assert "execution 10 began" in second
    assert "execution 11 began" not in second
    assert "started the onboarding" in second
    assert "?before=" not in second


def test_only_known_sentences_are_said(world: World, console: Console) -> None:
    """After an action the page says one of a closed list of sentences; nothing else in the address is shown."""
    world.to_approval()
    viewer = console.browser("vic", "viewer")
    assert "The attempt has ended." in text_of(viewer, world, "?said=abandoned")
    assert "nonsense" not in text_of(viewer, world, "?said=nonsense")


def test_words_of_people_are_text(world: World, console: Console) -> None:
    """A note with markup in it is shown as it was typed."""
    world.to_approval()
    world.approve(note="<script>alert(1)</script>")
    page = text_of(console.browser("vic", "viewer"), world)
    assert "<script>alert" not in page
    assert "approved it: “&lt;script&gt;alert(1)&lt;/script&gt;”" in page


def _turned(world: World) -> Turned:
    pair = world.stored()
    world.go_on()
    world.consent(world.link())
    world.go_on()
    return Turned(world, pair)
