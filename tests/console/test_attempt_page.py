from __future__ import annotations

import re
from html import unescape
from uuid import uuid4

from keyturn.domain.attempt import Stage
from keyturn.domain.gate import GateKind
from keyturn.errors import UnavailableError
from keyturn.ports import LogLine
from keyturn.services.evidence import check, published
from tests.console.conftest import Browser, Console
from tests.services.rotation.turned import Turned
from tests.services.search import found
from tests.services.world import World

NONE = "\N{EN DASH}"


def text_of(browser: Browser, world: World) -> str:
    """The page of the newest attempt."""
    answer = browser.get(f"/attempts/{world.attempt.id}")
    assert answer.status_code == 200, answer.text
    assert found(world.secrets, [answer.text]) == []
    return answer.text


def cell(page: str, stage: Stage, name: str) -> str:
    """What stands in a stage's row."""
    row = re.search(rf'data-live-row="{stage}">(.*?)</tr>', page, re.DOTALL)
    assert row
    shown = re.search(rf'data-label="{name}"[^>]*><span>(.*?)</span></td>', row[1], re.DOTALL)
    assert shown
    return re.sub("<[^>]+>", "", shown[1])


def figure(page: str, name: str) -> str:
    """One of the figures in the head."""
    shown = re.search(rf"{name}</dt><dd>(.*?)</dd>", page, re.DOTALL)
    assert shown
    return re.sub("<[^>]+>", "", shown[1])


def marks(page: str) -> dict[str, str]:
    """The layers of the verdict, and how each is marked."""
    return {layer: mark for mark, layer in re.findall(r'<span class="mark (\w+)">(L\d)<', page)}


def test_unknown_attempts_have_no_page(console: Console) -> None:
    """Neither an id that was never given nor what is no id leads anywhere, to the evidence neither."""
    olga = console.browser("olga", "operator")
    for name in (str(uuid4()), "newest", "%00"):
        assert olga.get(f"/attempts/{name}").status_code == 404
        assert olga.get(f"/attempts/{name}/evidence").status_code == 404


def test_human_time_is_told_from_machine_time(world: World, console: Console) -> None:
    """Each stage says how long it took and how much of that people were waited for; the sums are above."""
    world.start()
    world.clock.move(minutes=4)
    world.waits()
    world.clock.move(hours=5)
    world.approve(note="fits <our> form")
    world.clock.move(minutes=1)
    gate = world._waits_on()
    world.clock.move(days=2)
    page = text_of(console.browser("vic", "viewer"), world)
    assert (cell(page, Stage.REGISTER, "Took"), cell(page, Stage.REGISTER, "People")) == ("4 min", NONE)
    assert (cell(page, Stage.APPROVE, "Took"), cell(page, Stage.APPROVE, "People")) == ("5 h", "5 h")
    assert (cell(page, Stage.GONG_ADMIN, "Took"), cell(page, Stage.GONG_ADMIN, "People")) == ("2 d", "2 d")
    assert cell(page, Stage.FETCH_SECRET, "Took") == NONE
    assert figure(page, "Waited for people") == "2.2 d"
    assert figure(page, "Machine") == "5 min"
    assert figure(page, "Executions") == "1"
    assert f'href="/gates/{gate.id}"' in page
    assert "userpass-bob</strong> said yes" in page
    assert "“fits &lt;our&gt; form”" in page


def test_the_verdict_is_shown_layer_by_layer(world: World, console: Console) -> None:
    """Each layer says what it means, whether it passed, and by which evidence."""
    world.completed()
    page = text_of(console.browser("vic", "viewer"), world)
    assert marks(page) == {"L0": "passed", "L1": "passed", "L2": "passed", "L3": "passed"}
    assert "an account is active and a live call went through" in page
    assert "gong_list_users: HTTP 200" in page
    assert '<span class="badge good">completed</span>' in page


def test_what_was_not_tested_is_not_green(world: World, console: Console) -> None:
    """Where Gong says nothing about a pair, L1 is not passed, and says so."""
    world.twins.options(world.twins.gong, token_error_body="code_first")
    world.completed()
    page = text_of(console.browser("vic", "viewer"), world)
    assert marks(page) == {"L0": "passed", "L1": "untested", "L2": "passed", "L3": "passed"}
    assert "<strong>Not tested</strong>: Gong&#39;s token endpoint knows the pair" in page


def test_the_log_of_the_run_is_shown(world: World, console: Console) -> None:
    """The newest hundred lines stand there, oldest first, as text; and what Prefect says of the run."""
    world.to_approval()
    at = world.clock.now()
    lines = [LogLine(at, "INFO", f"line {n} <i>of</i> many") for n in range(120)]
    world.runs.logs[world.run_id] = [*lines, LogLine(at, "ERROR", "the last one")]
    page = text_of(console.browser("vic", "viewer"), world)
    shown = re.findall(r"<b>(\w+)</b> ([^\n]*)</span>", page)
    assert len(shown) == 100
    assert shown[0] == ("INFO", "line 21 &lt;i&gt;of&lt;/i&gt; many")
    assert shown[-1] == ("ERROR", "the last one")
    assert "Prefect says: suspended" in page


def test_the_page_stands_without_prefect(world: World, console: Console) -> None:
    """When Prefect is away, its part says that it is not known and why; the timeline is there."""
    world.to_approval()
    away = UnavailableError("http://prefect.invalid/api", "cannot be reached", "Start the server.")
    world.runs.failures += [away, away]
    page = text_of(console.browser("vic", "viewer"), world)
    assert "<strong>unknown:</strong> http://prefect.invalid/api: cannot be reached" in page
    assert "Prefect says: unknown" in page
    assert cell(page, Stage.REGISTER, "Says").startswith("digest ")


def test_a_halted_rotation_tells_all_of_its_story(world: World, console: Console) -> None:
    """Executions, wishes, halts, void questions and what was rolled back are on the page, with the reason."""
    turned = _turned(world)
    turned.to_proof()
    turned.pass_time(hours=7)
    turned.asking.roll_back(world.key, world.person("alice"), "calls fail")
    page = text_of(console.browser("vic", "viewer"), world)
    assert "wanted: roll back" in page
    turned.run()
    turned.pass_time(hours=2)
    page = unescape(text_of(console.browser("vic", "viewer"), world))
    for told in (
        '<span class="badge bad">rolled back</span>',
        "the older secret was put back into the profile",
        "wants of the rotation: roll back: calls fail",
        "the rotation is halted, rolled back",
        "execution 4 began",
        "roll back is done",
    ):
        assert told in page
    assert figure(page, "Executions") == "4"
    assert cell(page, Stage.VERIFY, "People") == "7 h"
    assert cell(page, Stage.APPLY, "People") == "2 h"


def test_evidence_is_a_signed_file_for_operators(world: World, console: Console) -> None:
    """An operator downloads what the public key alone can check; nobody else does, nor sees the button."""
    world.completed()
    path = f"/attempts/{world.attempt.id}/evidence"
    answer = console.browser("olga", "operator").get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/jose"
    name = f"evidence-{world.key.tenant}-production-{str(world.attempt.id)[:8]}.jws"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["cache-control"] == "no-store"
    payload = check(answer.content, published(world.ports.signer.public_keys())).payload
    assert payload["attempt"]["id"] == str(world.attempt.id)
    assert payload["gates"][0]["decisions"][0]["person_name"] == "userpass-bob"
    assert found(world.secrets, [answer.text, str(payload)]) == []
    assert f'href="{path}"' in text_of(console.browser("olga", "operator"), world)
    bob = console.browser("bob", "approver")
    assert bob.get(path).status_code == 403
    assert f'href="{path}"' not in text_of(bob, world)


def test_an_open_question_is_marked(world: World, console: Console) -> None:
    """The stage that waits links to its gate, and so does the list of questions."""
    world.to_intake()
    gate = world.gate(GateKind.GONG_ADMIN)
    page = text_of(console.browser("vic", "viewer"), world)
    assert page.count(f'href="/gates/{gate.id}"') == 2
    assert '<span class="badge warn">open</span>' in page


def _turned(world: World) -> Turned:
    pair = world.stored()
    world.go_on()
    world.consent(world.link())
    world.go_on()
    return Turned(world, pair)
