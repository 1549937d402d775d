"""The console of the sandbox, with its example fleet: how it is reached, and how every page looks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Playwright

from keyturn import settings
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.ledger import migrate
from keyturn.sandbox.stack import Running, Stack
from keyturn.wiring import Ports
from tests.e2e.browser import MOST_BYTES, Looks, Person, person, playwright, stands_still, uncached, weight

Eventually = Callable[[Callable[[], bool]], bool]
pytestmark = pytest.mark.timeout(900)

# By name: whose page, and its address. {integration:…}, {gate:…} and {attempt:…} are filled in from the ledger.
PAGES = {
    "sign-in": ("", "/sign-in"),
    "sign-in-link": ("", "/sign-in/link"),
    "signed-out": ("", "/signed-out"),
    "fleet": ("alice", "/"),
    "fleet-narrowed": ("alice", "/?health=raised&sort=age"),
    "fleet-empty": ("alice", "/?text=nobody-is-called-so"),
    "inbox": ("grace", "/inbox"),
    "inbox-empty": ("alice", "/inbox"),
    "gate-approve": ("erin", "{gate:south-sales/production}"),
    "gate-approve-rotation": ("bob", "{gate:pine-energy/production}"),
    "gate-gong-admin": ("grace", "{gate:west-support/production}"),
    "gate-stackone-form": ("grace", "{gate:harbor-finance/production}"),
    "gate-consent": ("grace", "{gate:lakeside-care/production}"),
    "gate-gong-rotation": ("grace", "{gate:pine-energy/sandbox}"),
    "gate-proof": ("grace", "{gate:cove-hotels/production}"),
    "gate-grace": ("alice", "{gate:cove-hotels/sandbox}"),
    "gate-of-others": ("alice", "{gate:west-support/production}"),
    "integration-waiting": ("alice", "/integrations/east-support/production"),
    "integration-well": ("alice", "/integrations/maple-payments/sandbox"),
    "integration-unwell": ("alice", "/integrations/birch-travel/sandbox"),
    "integration-rolled-back": ("alice", "/integrations/delta-freight/production"),
    "integration-in-grace": ("alice", "/integrations/cove-hotels/sandbox"),
    "integration-new": ("alice", "/integrations/acme/production"),
    "attempt-rotation": ("alice", "{attempt:maple-payments/sandbox}"),
    "attempt-rejected": ("alice", "{attempt:quarry-logistics/production}"),
    "ask-onboard": ("alice", "/integrations/acme/production/ask/onboard"),
    "ask-check": ("alice", "/integrations/maple-payments/production/ask/check"),
    "ask-rotate": ("alice", "/integrations/maple-payments/production/ask/rotate"),
    "ask-rollback": ("alice", "/integrations/cove-hotels/production/ask/rollback"),
    "ask-resume": ("alice", "/integrations/delta-freight/sandbox/ask/resume"),
    "ask-abandon": ("alice", "/integrations/west-support/production/ask/abandon"),
    "ask-lost": ("grace", "/integrations/pine-energy/sandbox/ask/lost"),
    "not-found": ("alice", "/integrations/no/such"),
    "not-permitted": ("bob", "/attempts/00000000-0000-0000-0000-000000000000/evidence"),
}


@dataclass
class Furnished:
    """A sandbox with console and fleet, and its people's browsers."""

    running: Running
    ports: Ports
    playwright: Playwright
    folder: Path
    _stack: ExitStack
    _people: dict[str, Person] = field(default_factory=dict)

    def browser(self, name: str) -> Person:
        """Somebody's browser, signed in at the first call; without a name nobody's."""
        if name not in self._people:
            assert self.running.console
            opened = person(self.playwright, self.folder / (name or "nobody"), self.running.console.url)
            made = self._people[name] = self._stack.enter_context(opened)
            uncached(made.page)
            if name:
                made.sign_in(self.link(name))
        return self._people[name]

    def link(self, name: str) -> str:
        """What `keyturn console link` gives somebody in a shell that has sourced env.sh."""
        script = f"source {self.running.env_file}; keyturn_as {name}; {sys.executable} -m keyturn console link"
        clean = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        done = subprocess.run(["bash", "-ec", script], env=clean, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def address(self, path: str) -> str:
        """An address, its parts filled in."""
        what, _, key = path.strip("{}").partition(":")
        if what == "gate":
            return f"/gates/{self.gate(key).id}"
        if what == "attempt":
            return f"/attempts/{self.ports.ledger.attempts(IntegrationKey.parse(key))[0].id}"
        return path

    def gate(self, key: str) -> Gate:
        """What is asked about an integration."""
        return self.ports.ledger.gates(key=IntegrationKey.parse(key))[0]

    def prefect(self, path: str, body: Any) -> Any:
        """A call of Prefect's API."""
        answer = httpx.post(f"{self.running.prefect.api_url}{path}", json=body, trust_env=False)
        return answer.raise_for_status().json()


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    """`keyturn sandbox`, as it is started the first time."""
    state = tmp_path_factory.mktemp("furnished") / "state"
    with ExitStack() as stack:
        running = stack.enter_context(Stack(state, migrate.upgrade, console=True, fleet=True).up())
        ports = Ports(settings.load(running.environment))
        stack.callback(ports.ledger.close)
        yield Furnished(running, ports, stack.enter_context(playwright()), tmp_path_factory.mktemp("people"), stack)


def test_the_console_is_among_the_links_and_up(furnished: Furnished) -> None:
    """Whoever opens it is asked to sign in; it is alive, and finds everything that it depends on."""
    base = furnished.running.links["keyturn's console"]
    with httpx.Client(base_url=base, follow_redirects=True, trust_env=False) as browser:
        assert browser.get("/").url.path == "/sign-in"
        assert browser.get("/healthz").is_success
        assert browser.get("/readyz").is_success
    assert furnished.running.ended() == []


def test_it_signs_in_to_vault_as_itself(furnished: Furnished) -> None:
    """It has an AppRole of its own, and may less there than a worker; a shell of people's gets the worker's only."""
    assert furnished.running.console
    told = furnished.running.console.child.command.environment
    assert told["KEYTURN_VAULT__ROLE_ID"] == furnished.running.openbao.console_role_id
    assert furnished.running.openbao.console_secret_id not in furnished.running.environment.values()


def test_metrics_are_for_whoever_has_the_token(furnished: Furnished) -> None:
    """A shell that has sourced env.sh has it."""
    assert furnished.running.console
    url = f"{furnished.running.console.url}/metrics"
    token = furnished.running.environment["KEYTURN_CONSOLE__METRICS_TOKEN"]
    assert httpx.get(url, headers={"Authorization": f"Bearer {token}"}, trust_env=False).is_success
    assert httpx.get(url, trust_env=False).is_client_error


def test_events_of_stackones_twin_are_taken(furnished: Furnished, eventually: Eventually) -> None:
    """They are signed with what the console knows, and delivered as soon as an account changes."""
    twin = furnished.running.twins.stackone
    account = furnished.ports.hub.accounts(furnished.ports.hub.profiles("gong")[0].id)[0]

    def delivered() -> int:
        return int(httpx.get(f"{twin}/_twin/effects", trust_env=False).json().get("webhooks_delivered", 0))

    before = delivered()
    same = {"status": account.status}
    httpx.post(f"{twin}/_twin/accounts/{account.id}", json=same, trust_env=False).raise_for_status()
    assert eventually(lambda: delivered() == before + 1)


def test_every_attempt_that_waits_has_a_suspended_run(furnished: Furnished) -> None:
    """So the watch has nothing to do: it has started no run beside them."""
    found = furnished.prefect("/flow_runs/filter", {"flows": {"name": {"any_": ["onboard", "rotate"]}}})
    moving = [attempt for attempt in furnished.ports.ledger.active() if attempt.moves]
    assert {run["id"] for run in found} == {str(attempt.flow_run_id) for attempt in moving}
    assert {run["state_type"] for run in found} == {"PAUSED"}
    assert "onboard north-sales/production" in {run["name"] for run in found}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_light_still_and_without_fault(furnished: Furnished, name: str) -> None:
    """axe-core finds nothing in both themes and on a phone, and nothing moves while it loads. There is a picture."""
    whose, path = PAGES[name]
    somebody = furnished.browser(whose)
    somebody.go(furnished.address(path))
    somebody.page.wait_for_load_state()
    assert sum(weight(somebody.page).values()) < MOST_BYTES
    stands_still(somebody.page)
    Looks().over(somebody.page, name)
    somebody.no_fault(refused=True)  # some of these pages are about that


def test_an_answer_wakes_the_run_and_the_fleet_shows_it_without_a_jolt(furnished: Furnished) -> None:
    """Bob approves on the page, the worker goes on with what was played, and alice's list has changed in its place."""
    key = "north-sales/production"
    alice, bob = furnished.browser("alice"), furnished.browser("bob")
    alice.go("/?sort=key")
    row = alice.page.get_by_role("row").filter(has_text="north-sales")
    row.get_by_text("approval").wait_for()
    bob.go(f"/gates/{furnished.gate(key).id}")
    bob.page.get_by_label("Note").fill("as agreed")
    bob.press("Approve")
    bob.sees("approved")
    row.get_by_text("integration and secret from Gong").wait_for(timeout=120_000)
    stands_still(alice.page)
    assert furnished.gate(key).kind is GateKind.GONG_ADMIN
    alice.no_fault(refused=True)
    bob.no_fault(refused=True)
