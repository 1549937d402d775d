"""The example fleet: what it shows, and that the watch of the sandbox finds it as it is shown, now and in an hour."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest

from keyturn import settings
from keyturn.clients.budget import Budget
from keyturn.clients.gong.token_endpoint import GongTokenEndpoint
from keyturn.clients.transport import Transport, Vendor
from keyturn.clients.vault.person import VaultPerson
from keyturn.clients.vault.session import VaultSession
from keyturn.domain.attempt import Attempt, AttemptState, Halt
from keyturn.domain.gate import GateKind
from keyturn.domain.health import Health, Outcome, Subject
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.sweep import What
from keyturn.domain.trail import GENESIS
from keyturn.errors import ConfigurationError, NotPermittedError
from keyturn.ledger import migrate
from keyturn.ports import RunState, Window
from keyturn.sandbox import fleet
from keyturn.sandbox.console import manifests_of
from keyturn.sandbox.openbao import OpenBao, start_openbao
from keyturn.sandbox.ports import free_port
from keyturn.sandbox.postgres import start_postgres
from keyturn.sandbox.processes import Children
from keyturn.sandbox.twin_servers import TwinOptions, start_twins
from keyturn.services import decide, evidence, manifests
from keyturn.services.check import Checking
from keyturn.services.journey import journey
from keyturn.services.lost_runs import LostRuns
from keyturn.services.manifest_folder import Folder
from keyturn.services.sweep import Sweep
from keyturn.services.trail import Verified
from keyturn.services.watch import Watch
from keyturn.wiring import Ports
from tests.fakes.clock import FakeClock
from tests.fakes.runs import FakeRuns

HALTED = {"delta-freight/production": Halt.ROLLED_BACK, "delta-freight/sandbox": Halt.ORPHANED}
ASKED = {
    "north-sales/production": GateKind.APPROVE,
    "south-sales/production": GateKind.APPROVE,
    "east-support/production": GateKind.GONG_ADMIN,
    "west-support/production": GateKind.GONG_ADMIN,
    "harbor-finance/production": GateKind.STACKONE_FORM,
    "lakeside-care/production": GateKind.CONSENT,
    "pine-energy/production": GateKind.APPROVE,
    "pine-energy/sandbox": GateKind.GONG_ROTATION,
    "cove-hotels/production": GateKind.PROOF,
    "cove-hotels/sandbox": GateKind.GRACE,
}
UNWELL = {
    "cedar-telecom/sandbox": "unknown",
    "birch-travel/production": "secret_reset",
    "birch-travel/sandbox": "trusted_ips_not_attested, consent_lost",
    "aspen-insure/production": "connection_down",
    "aspen-insure/sandbox": "profile_edited",
    "willow-media/production": "rotation_overdue",
    "willow-media/sandbox": "not_seen",
}
NEVER_CHECKED = 9
"""Those that were never onboarded: there is nothing to look at."""


@dataclass
class Sandbox:
    """A sandbox without Prefect, in which the fleet was played."""

    state: Path
    openbao: OpenBao
    ports: Ports
    clock: FakeClock
    runs: FakeRuns
    waiting: tuple[Attempt, ...]

    def health(self) -> dict[str, str]:
        """How everything is, in words."""
        return {str(key): health.words for key, health in self.ports.observatory.fleet().items()}

    def seen(self) -> dict[IntegrationKey, dict[Subject, tuple[Outcome, object]]]:
        """What was seen last of each subject."""
        return {key: _seen(health) for key, health in self.ports.observatory.fleet().items() if health.observations}

    def check(self) -> None:
        """The watch looks at everything."""
        p = self.ports
        filed = Folder(manifests_of(self.state))
        checking = Checking(p.ledger, p.secrets, p.gong, p.hub, p.observatory, self.clock, filed)
        checking.check_many(p.ledger.integrations(), 4)


def _seen(health: Health) -> dict[Subject, tuple[Outcome, object]]:
    return {o.subject: (o.outcome, o.hint) for o in health.observations}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The fleet, played once; the twins were started afterwards."""
    state = tmp_path_factory.mktemp("fleet")
    with Children(state) as children:
        postgres, openbao = start_postgres(children), start_openbao(children)
        migrate.upgrade(postgres.ledger_url)
        assert fleet.is_wanted(state)
        played = fleet.play(state, postgres, openbao)
        options = TwinOptions(gong={"calls_per_second": "1000"})
        twins = start_twins(children, free_port(), free_port(), options)
        environment = {
            "KEYTURN_LEDGER__URL": postgres.ledger_url,
            "KEYTURN_VAULT__ADDR": openbao.addr,
            "KEYTURN_VAULT__AUTH": "approle",
            "KEYTURN_VAULT__ROLE_ID": openbao.role_id,
            "KEYTURN_VAULT__SECRET_ID": openbao.secret_id,
            "KEYTURN_STACKONE__BASE_URL": twins.stackone,
            "KEYTURN_STACKONE__API_KEY": twins.api_key,
            "KEYTURN_STACKONE__SPEC_URL": f"{twins.stackone}/oas/stackone.json",
            "KEYTURN_GONG__TOKEN_URL": f"{twins.gong}/oauth2/generate-customer-token",
        }
        ports, clock, runs = Ports(settings.load(environment)), FakeClock(), FakeRuns()
        ports.clock, clock.time = clock, datetime.now(UTC)
        with _unhurried(str(ports.settings.gong.token_url), clock) as to_gong:
            ports.gong = GongTokenEndpoint(str(ports.settings.gong.token_url), to_gong)
            for attempt in played.waiting:
                run = uuid4()
                runs.states[run] = RunState.SUSPENDED
                ports.ledger.bind_run(attempt.id, run)
            yield Sandbox(state, openbao, ports, clock, runs, played.waiting)
            ports._stackone[0].close()
            ports.tally.flush()
            ports.ledger.close()


def _unhurried(gong: str, clock: FakeClock) -> Transport:
    """A way to Gong whose budget nobody has to wait for."""
    return Transport(Vendor("Gong", gong), Budget("Gong", [Window(10_000, 1)], clock), clock)


def test_there_are_25_integrations_in_every_state(sandbox: Sandbox) -> None:
    """Waiting at each kind of gate, held up, rejected, abandoned, in use, rolled back and orphaned."""
    now = {str(key): journey(sandbox.ports.ledger, key) for key in sandbox.ports.ledger.integrations()}
    attempts = {key: one.attempt for key, one in now.items() if one.attempt}
    assert len(now) == len(attempts) == 25
    assert {key: one.gates[0].kind for key, one in now.items() if one.gates} == ASKED
    assert {key: a.halt for key, a in attempts.items() if a.halt is not Halt.NONE} == HALTED
    states = Counter(a.state for a in attempts.values())
    assert states == {
        AttemptState.ACTIVE: 13,
        AttemptState.COMPLETED: 10,
        AttemptState.REJECTED: 1,
        AttemptState.ABANDONED: 1,
    }
    moving = attempts["orchard-retail/production"]
    assert moving.moves
    assert not now["orchard-retail/production"].gates


def test_one_of_two_approvals_is_given(sandbox: Sandbox) -> None:
    """A gate that needs two people shows the one who has decided."""
    (gate,) = sandbox.ports.ledger.gates(key=IntegrationKey("south-sales", "production"))
    assert (gate.needed, gate.approvals, gate.decisions[0].person_name) == (2, 1, "userpass-bob")


def test_every_cause_is_as_the_watch_would_have_it_and_stays(sandbox: Sandbox) -> None:
    """What is shown at first is what real looks at Vault and both twins find, at once and an hour later."""
    shown, seen = sandbox.health(), sandbox.seen()
    well = {str(key): "ok" for key in seen if str(key) not in UNWELL}
    never = {key for key, words in shown.items() if words == "never checked"}
    assert len(never) == NEVER_CHECKED
    assert {key: words for key, words in shown.items() if key not in never} == well | UNWELL
    for minutes in (0, 60):
        sandbox.clock.move(minutes=minutes)
        sandbox.check()
        assert sandbox.seen() == seen
        assert sandbox.health() == shown


def test_the_watch_finds_nothing_lost_and_wakes_nobody(sandbox: Sandbox) -> None:
    """No run is started on the laptop of whoever opens the sandbox, and none resumed; nor are questions asked anew."""
    p, runs = sandbox.ports, sandbox.runs
    before = dict(runs.states)
    found = LostRuns(p.ledger, runs, p.outbox, sandbox.clock).find()
    ticked = Watch(p.ledger, runs, p.hub, sandbox.clock).tick()
    assert (found.restarted, found.stuck, found.problems) == ((), (), ())
    assert (ticked.woken, ticked.rearmed, ticked.problems) == ((), (), ())
    assert runs.states == before
    assert len(before) == len(sandbox.waiting) == 11


def test_the_sweep_starts_nothing_while_two_rotations_are_halted(sandbox: Sandbox) -> None:
    """The overdue one stays overdue until somebody has resolved both; the plan says so."""
    p = sandbox.ports
    plan = Sweep(p.ledger, sandbox.runs, p.outbox, sandbox.clock).plan(5)
    assert not [entry for entry in plan if entry.what is What.START]
    overdue = next(entry for entry in plan if str(entry.key) == "willow-media/production")
    assert overdue.what is What.STOPPED
    assert "delta-freight/production is rolled back" in overdue.why


def test_nothing_is_dated_later_than_now_and_histories_are_of_days(sandbox: Sandbox) -> None:
    """The trail is one chain in the order of time, from months ago on; each of the last days has its picture."""
    times = [entry.at for entry in sandbox.ports.ledger.trail()]
    assert all(later >= earlier - timedelta(seconds=1) for earlier, later in pairwise(times))
    assert times[0] < datetime.now(UTC) - timedelta(days=200)
    assert times[-1] < datetime.now(UTC)
    assert sandbox.ports.trail.verify(GENESIS).fault is None
    pictures = sandbox.ports.fleet.pictures()
    assert len(pictures.history) == 30
    assert sum(pictures.ages.values()) == 19
    assert min(pictures.ages.values()) >= 0


def test_evidence_can_be_had_of_what_has_ended(sandbox: Sandbox) -> None:
    """Every receipt and decision is the one that the trail tells of."""
    p = sandbox.ports
    verified = Verified(p.trail.verify(GENESIS), None)
    for key in ("maple-payments/sandbox", "quarry-logistics/production"):
        collected = evidence.collect(p.ledger, p.trail, sandbox.clock, verified, IntegrationKey.parse(key), None)
        assert collected["audit"]


def test_people_are_those_of_vault(sandbox: Sandbox) -> None:
    """So four eyes count: whoever started it may not approve it, whatever groups they have by now."""
    p, key = sandbox.ports, IntegrationKey("north-sales", "production")
    (gate,) = p.ledger.gates(key=key)
    vault = p.settings.vault
    alice = VaultPerson(VaultSession(vault, sandbox.openbao.login("alice")), vault).whoami()
    promoted = replace(alice, groups=alice.groups | {"approver"})
    with pytest.raises(NotPermittedError, match="started this attempt"):
        decide.approve(p.ledger, sandbox.runs, promoted, key, gate.digest, "")


def test_their_manifests_are_files_and_say_what_is_registered(sandbox: Sandbox) -> None:
    """Whoever onboards one of them again brings no change."""
    folder, ledger = manifests_of(sandbox.state), sandbox.ports.ledger
    filed = Folder(folder)
    for key in ledger.integrations():
        registered, file = ledger.registered(key), filed(key)
        assert registered
        assert file
        assert file.says(registered)
    last = IntegrationKey("delta-freight", "sandbox")
    assert manifests.sealed_of(folder, str(last), lambda: ()) == ledger.registered(last)
    assert manifests.find(folder, "acme/production").is_symlink()


def test_a_sandbox_that_was_started_before_keeps_its_past(sandbox: Sandbox, tmp_path: Path) -> None:
    """A second start plays nothing; and half a past, of a start that was interrupted, is refused with what to do."""
    assert not fleet.is_wanted(sandbox.state)
    (tmp_path / "fleet.json").write_text(json.dumps({"played": False}))
    with pytest.raises(ConfigurationError, match=r"interrupted.*Remove that folder"):
        fleet.is_wanted(tmp_path)
