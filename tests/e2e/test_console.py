"""Whole journeys through the console and the vendors' pages, as people click them, on two replicas of the console."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Page

from keyturn.domain.attempt import AttemptState
from keyturn.domain.gate import GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.rotation import RotationState
from keyturn.sandbox.console import Console, Replica, start_console
from keyturn.sandbox.ports import free_port
from keyturn.sandbox.twin_servers import Keys
from tests.e2e.browser import Looks, Person, person, playwright, stands_still
from tests.e2e.conftest import Heard

PASTED = {  # the button that copies it, and the field that it belongs into
    "Copy Integration name": "Integration name",
    "Copy Description": "Description",
    "Copy Short description": "Short description",
    "Copy Redirect URI(s)": "Redirect URI(s)",
    "Copy Privacy policy URL": "Privacy policy URL",
    "Copy Terms & conditions URL": "Terms & conditions URL",
    "Copy Help article URL": "Help article URL",
    "Copy Contact emails": "Contact emails",
    "Copy Domains": "Domains",
}
IPS = {"Copy all 2 of Access Token": "Access Token", "Copy all 2 of Refresh Token": "Refresh Token"}
SCOPES = ("api:users:read", "api:calls:read:basic")


@dataclass
class Office:
    """Two replicas of the console, and three people with a browser each."""

    world: Any
    key: IntegrationKey
    replicas: tuple[Replica, Replica]
    consoles: list[Console]
    looks: Looks
    alice: Person = field(init=False)
    bob: Person = field(init=False)
    grace: Person = field(init=False)

    def link(self, name: str, replica: Replica) -> str:
        """What `keyturn console link` gives somebody."""
        told = {"KEYTURN_CONSOLE__URL": replica.url, "KEYTURN_CONSOLE__SIGN_IN_LINKS": "true"}
        token = {"VAULT_TOKEN": self.world.running.openbao.login(name)}
        link: str = Heard(self.world.environment | told | token, self.world.heard).must("console", "link").strip()
        return link

    def asked(self, verb: str) -> re.Pattern[str]:
        """The link of the inbox by which somebody begins with the integration."""
        return re.compile(rf"{verb}\W+{self.key.tenant}\b")

    def lose_first(self) -> None:
        """Kill the first replica without a word, and start it again where it was."""
        children, openbao = self.world.running.children, self.world.running.openbao
        lost = self.consoles.pop(0)
        lost.child.process.kill()
        children.stop(lost.child)
        self.consoles.insert(0, start_console(children, openbao, self.replicas[0]))


@pytest.fixture(scope="module")
def office(world: Any) -> Iterator[Office]:
    """Everybody at their desk, signed in by a one-time link: alice and grace at one replica, bob at the other."""
    children, openbao = world.running.children, world.running.openbao
    secret = Keys.of(children.state).webhooks
    first, second = (Replica(f"console-{n}", free_port(), world.environment, secret) for n in (1, 2))
    consoles = [start_console(children, openbao, replica) for replica in (first, second)]
    key = world.integration("console", lambda body: body["rotation"].update(every_days=9))
    made = Office(world, key, (first, second), consoles, Looks())
    with ExitStack() as stack:
        running = stack.enter_context(playwright())
        for name, replica in (("alice", first), ("bob", second), ("grace", first)):
            profile = children.state / "browsers" / name  # where the search for secrets comes by
            somebody = stack.enter_context(person(running, profile, replica.url))
            somebody.sign_in(made.link(name, replica))
            setattr(made, name, somebody)
        yield made
        for name in ("alice", "bob", "grace"):  # what they saw last, for whoever wonders why a test failed
            made.looks.keep(getattr(made, name).page, f"last-of-{name}")
    for console in made.consoles:
        children.stop(console.child)


def test_two_people_bring_an_integration_to_a_tested_connection(office: Office) -> None:
    """Started, approved by keyboard alone, set up in Gong by copying, handed in by keyboard alone, consented, tested.

    Meanwhile one replica is killed and starts again; whoever is there goes on, and the page that follows catches up.
    """
    world, key, alice, bob, grace = office.world, office.key, office.alice, office.bob, office.grace
    alice.go(f"/integrations/{key}")
    alice.press("Onboard", "link")
    alice.press("Onboard")
    world.gate(key, GateKind.APPROVE)
    approve_by_keyboard(office, bob)
    world.gate(key, GateKind.GONG_ADMIN)
    grace.go("/inbox")
    grace.press(office.asked("Begin"), "link")
    gong = set_up_in_gong(office)
    client_id, client_secret = read_pair(office, gong)
    office.lose_first()
    hand_in_by_keyboard(grace, client_id, "not-the-secret-that-gong-has-shown")
    grace.sees("Gong does not accept")
    assert grace.page.get_by_label("Client Secret", exact=True).input_value() == ""
    office.looks.over(grace.page, "gate-refused")
    hand_in_by_keyboard(grace, client_id, client_secret)
    grace.sees("Your hand-over is in Vault")
    world.gate(key, GateKind.CONSENT)
    consent(office)
    world.watched_until(lambda: world.now(key).attempt.state is AttemptState.COMPLETED, "the onboarding is complete")
    alice.sees("L0 passed, L1 passed, L2 passed, L3 passed")
    stands_still(alice.page)
    assert world.versions(key) == 1
    for somebody in (alice, bob, grace):
        somebody.no_fault(refused=True)


def test_its_evidence_can_be_taken_home(office: Office) -> None:
    """An operator downloads what happened, signed, from the attempt's page."""
    office.alice.press(re.compile(r"^attempt [0-9a-f]{8}"), "link")
    with office.alice.page.expect_download() as download:
        office.alice.press("Evidence", "link")
    assert download.value.path().read_text().count(".") == 2  # a JWS: header, payload and signature
    office.looks.over(office.alice.page, "attempt-with-log")


def test_and_turn_its_secret(office: Office) -> None:
    """Started, approved, rotated in Gong, handed in at the other replica, proven by a new link; then its grace runs."""
    world, key, alice, bob, grace = office.world, office.key, office.alice, office.bob, office.grace
    alice.go(f"/integrations/{key}")
    alice.press("Rotate the secret", "link")
    alice.press("Rotate")
    world.gate(key, GateKind.APPROVE)
    bob.go("/inbox")
    bob.press(office.asked("Read and decide"), "link")
    bob.press("Approve")
    bob.sees("Approved")
    world.gate(key, GateKind.GONG_ROTATION)
    grace.go("/inbox")
    grace.press(office.asked("Begin"), "link")
    new = rotate_in_gong(office)
    grace.moves_to(office.replicas[1].url)
    grace.page.get_by_label("Client ID", exact=True).fill(world.client_id(key))
    grace.page.get_by_label("New Client Secret").fill(new)
    grace.press("Now")
    grace.press("Hand it over")
    grace.sees("Your hand-over is in Vault")
    world.gate(key, GateKind.PROOF)
    consent(office)
    world.watched_until(lambda: world.now(key).rotation is RotationState.GRACE, "the grace runs")
    alice.sees("A grace runs")
    row = alice.page.get_by_role("row").filter(has_text="current")
    row.get_by_role("cell", name="2", exact=True).wait_for()
    alice.page.get_by_role("row").filter(has_text="previous").wait_for()
    office.looks.over(alice.page, "integration-turned")
    for somebody in (alice, bob, grace):
        somebody.no_fault(refused=True)


# --- what people do


def approve_by_keyboard(office: Office, bob: Person) -> None:
    """From the inbox to the decision with Tab and Enter alone."""
    bob.go("/inbox")
    keyboard = bob.page.keyboard
    bob.tab_to(bob.page.get_by_role("link", name=office.asked("Read and decide")))
    keyboard.press("Enter")
    bob.page.get_by_role("heading", name="Your decision").wait_for()
    bob.tab_to(bob.page.get_by_label("Note"))
    keyboard.type("read, and as agreed")
    bob.tab_to(bob.page.get_by_role("button", name="Approve"))
    keyboard.press("Enter")
    bob.sees("Approved")


def hand_in_by_keyboard(grace: Person, client_id: str, client_secret: str) -> None:
    """The same for the form that takes the pair."""
    page = grace.page
    for label, value in (("Client ID", client_id), ("Client Secret", client_secret)):
        field = page.get_by_label(label, exact=True)
        grace.tab_to(field)
        page.keyboard.press("Control+A")
        page.keyboard.insert_text(value)
    grace.tab_to(page.get_by_role("button", name="Hand it over"))
    page.keyboard.press("Enter")


def set_up_in_gong(office: Office) -> Page:
    """Follow the kit from step to step: copy, paste, tick; the ticks are still there after a reload."""
    grace = office.grace
    gong = grace.in_new_tab("Open")
    gong.get_by_role("link", name="Integrations").click()
    gong.get_by_label("Tessa").check()
    gong.get_by_role("button", name="Sign in").click()
    gong.get_by_role("link", name="Create Integration").click()
    grace.page.bring_to_front()
    grace.press("Done with step 1")
    for button, label in PASTED.items():
        grace.copies(button, gong.get_by_label(label, exact=True))
    for scope in SCOPES:
        gong.get_by_label(scope, exact=True).check()
    for logo in ("large", "small"):
        with grace.page.expect_download() as download:
            grace.page.get_by_role("link", name=f"Download App logo, {logo}").click()
        gong.get_by_label(f"App logo ({logo})").set_input_files(download.value.path())
    gong.get_by_role("button", name="Save").click()
    grace.press("Done with step 2")
    ticked = [grace.page.get_by_role("button", name=f"Done with step {step}", pressed=True) for step in (1, 2)]
    for _ in ("as the script shows it", "as the server remembers it"):
        for button in ticked:
            button.wait_for()
        grace.page.reload()
    set_trusted_ips(grace, gong)
    return gong


def set_trusted_ips(grace: Person, gong: Page) -> None:
    """The kit's sixth step."""
    gong.get_by_text("More actions").last.click()
    gong.get_by_role("link", name="Edit trusted IPs").last.click()
    for button, label in IPS.items():
        grace.copies(button, gong.get_by_label(label, exact=True))
    gong.get_by_role("button", name="Save").click()


def read_pair(office: Office, gong: Page) -> tuple[str, str]:
    """Press *Show secret*, and read both off the table."""
    gong.get_by_role("button", name="Show secret").last.click()
    secret = shown(office, gong)
    row = gong.get_by_role("row").filter(has_text=secret)
    return row.locator("[data-field=client-id]").inner_text(), secret


def rotate_in_gong(office: Office) -> str:
    """More actions > Edit > Credentials > Rotate secret, in the tab that the kit opens; gives the new secret."""
    client_id = office.world.client_id(office.key)
    gong = office.grace.in_new_tab("Open")
    gong.get_by_role("link", name="Integrations").click()
    row = gong.get_by_role("row").filter(has_text=client_id)
    row.get_by_text("More actions").click()
    row.get_by_role("link", name="Edit", exact=True).click()
    gong.get_by_role("link", name="Credentials").click()
    gong.get_by_label("Old secret grace period").fill("168")
    gong.get_by_label("I confirm rotation").check()
    gong.get_by_role("button", name="Rotate secret").click()
    return shown(office, gong)


def shown(office: Office, gong: Page) -> str:
    """The secret that Gong's page shows; it is looked for everywhere in the end."""
    secret = gong.locator("[data-field=client-secret]").inner_text()
    office.world.secrets.add(secret)
    return secret


def consent(office: Office) -> None:
    """Get an auth link, which is shown once, follow it, and say yes at Gong."""
    grace = office.grace
    grace.go("/inbox")
    grace.press(office.asked("Make a link"), "link")
    grace.press("Get an auth link")
    office.looks.over(grace.page, "auth-link")
    stackone = grace.in_new_tab("Open it now")
    stackone.get_by_role("button", name="Connect").click()
    stackone.get_by_role("button", name="Approve").click()
    stackone.get_by_text("Connected.").wait_for()
    grace.page.bring_to_front()
    grace.press("Back to the question", "link")
