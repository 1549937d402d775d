"""What an earlier release left suspended goes on under this code, for every recording in `tests/recorded`.

Each recording is loaded into the databases of a new sandbox, before this code migrates the ledger and deploys flows.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from keyturn.cli.manifest_of import sealed_of
from keyturn.domain.attempt import Receipt, Stage
from keyturn.domain.gate import Channel, Gate, GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.kit import kit
from keyturn.domain.trail import GENESIS
from keyturn.ledger import migrate
from keyturn.ledger.engine import make_engine
from keyturn.ledger.trail import PostgresTrail
from keyturn.sandbox.people import Pair
from keyturn.sandbox.stack import Stack
from keyturn.services.journey import Journey
from keyturn.wiring import quiet_http
from tests.e2e.conftest import World, made_of
from tests.recorded.recording import Recording

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

RECORDED = sorted(Path(__file__).parent.glob("*/recording.json"))


@dataclass
class Replay:
    """A sandbox in which a recording goes on."""

    world: World
    recording: Recording
    began: dict[IntegrationKey, tuple[Any, list[Receipt]]] = field(default_factory=dict)
    audited: int = 0
    at_gong: threading.Lock = field(default_factory=threading.Lock)

    def remember(self) -> None:
        """Keep what was there before anybody did anything: attempts, receipts, and the audit trail's length."""
        self.audited = len(self.world.ports.ledger.trail())
        for key in self.recording.integrations():
            attempt = self.world.now(key).attempt
            assert attempt is not None
            self.began[key] = attempt, list(self.world.ports.ledger.receipts(attempt.id))

    def answer(self, gate: Gate) -> None:
        """Do what a gate asks a person to do."""
        turns: dict[GateKind, Callable[[Gate], None]] = {
            GateKind.APPROVE: self.approve,
            GateKind.GONG_ADMIN: self.submit,
            GateKind.STACKONE_FORM: self.fill_in,
            GateKind.CONSENT: self.consent,
            GateKind.GONG_ROTATION: self.click,
            GateKind.PROOF: self.consent,
        }
        turns[gate.kind](gate)

    def approve(self, gate: Gate) -> None:
        """Bob approves, or somebody in Prefect's own pages where that counts."""
        if gate.channel is Channel.KEYTURN:
            self.world.cast.bob.must("approve", str(gate.key), "--digest", gate.digest)
            return
        form = {"run_input": {"approved": True, "your_name": "Alice", "note": ""}}
        taken = self.world.prefect("POST", f"/flow_runs/{self.world.run_of(gate.key)}/resume", form)
        assert taken["status"] == "ACCEPT", taken

    def submit(self, gate: Gate) -> None:
        """Grace makes the integration in Gong and hands its pair in."""
        steps = asdict(kit(self.world.ports.ledger.manifest(gate.digest), self.world.running.twins.gong))["steps"]
        with self.at_gong:  # she reads the pair off the last line of Gong's table
            pair = self.world.cast.gong.create_integration(steps)
        self.hand_in(gate, pair)

    def click(self, gate: Gate) -> None:
        """Grace presses *Rotate secret* in Gong, with the grace that is asked for, and hands the new secret in."""
        gong = self.world.cast.gong
        integration = gong.integration_of(self.world.client_id(gate.key))
        self.hand_in(gate, gong.rotate_secret(integration, int(str(gate.question["grace_hours"]))))

    def hand_in(self, gate: Gate, pair: Pair) -> None:
        """Grace hands a pair in."""
        given = f"{pair.client_id}\n{pair.client_secret}\n"
        self.world.cast.grace.must("submit", str(gate.key), "--stdin", given=given)

    def fill_in(self, gate: Gate) -> None:
        """Grace fills in StackOne's form with a single-use reveal of the pair: a new one, or that of a rotation."""
        token = self.world.cast.grace.must("reveal", str(gate.key)).strip()
        with self.world.running.openbao.api(token) as vault:
            pair = vault.write("sys/wrapping/unwrap")["data"]["data"]
        stackone, name = self.world.cast.stackone, str(gate.question["profile_name"])
        if gate.question.get("stage") == Stage.APPLY:
            stackone.edit_profile(stackone.profile(name), **pair)
        else:
            scopes = self.world.ports.ledger.manifest(gate.digest).scopes
            stackone.create_profile(name, pair["client_id"], pair["client_secret"], scopes)

    def consent(self, gate: Gate) -> None:
        """Grace opens a link and consents at Gong."""
        link = self.world.cast.grace.must("link", str(gate.key)).strip()
        assert self.world.cast.gong.consent(link) == "authenticated"

    def watch(self) -> None:
        """Let the watch of this code look now: nobody tells Prefect of a form filled in, or of a consent."""
        deployment = self.world.prefect("GET", "/deployments/name/watch/watch")["id"]

        def looked() -> bool:
            """One at a time: while the scheduled one looks, another one is cancelled."""
            run = self.world.prefect("POST", f"/deployments/{deployment}/create_flow_run", {})["id"]
            over = {"COMPLETED", "CANCELLED", "FAILED", "CRASHED"}
            self.world.until(lambda: self.world.run(run)["state_type"] in over, "the watch ends")
            ended = self.world.run(run)["state"]
            assert ended["type"] in ("COMPLETED", "CANCELLED"), ended["message"]
            return bool(ended["type"] == "COMPLETED")

        self.world.until(looked, "the watch looks")

    def first_turn(self, key: IntegrationKey) -> Gate:
        """Answer the gate that the attempt was recorded at."""
        (gate,) = self.world.now(key).gates
        if gate.kind is not GateKind.GRACE:
            self.answer(gate)
        return gate

    def to_the_last_turn(self, first: Gate) -> None:
        """Answer every gate after the first, until the attempt ends, or nothing but time has to pass."""
        answered = {first.id}

        def turn() -> Gate | Journey | None:
            now = self.world.now(first.key)
            over = (now.attempt and now.attempt.ended_at) or any(gate.kind is GateKind.GRACE for gate in now.gates)
            return now if over else next((gate for gate in now.gates if gate.id not in answered), None)

        while isinstance(found := self.world.until(turn, f"{first.key} goes on after {first.kind}"), Gate):
            self.answer(found)
            answered.add(found.id)

    def let_time_pass(self) -> None:
        """Move the sandbox's clock to the end of the last grace, if any runs."""
        waits = [gate for key in self.began for gate in self.world.now(key).gates if gate.kind is GateKind.GRACE]
        ends = [datetime.fromisoformat(str(gate.question["until"])) for gate in waits]
        if ends:
            self.world.running.advance(max(ends) - self.world.ports.clock.now())


@pytest.fixture(scope="module", params=RECORDED, ids=lambda path: path.parent.name)
def replay(request: pytest.FixtureRequest) -> Iterator[Replay]:
    """A sandbox of its own, in which the recording goes on with this code."""
    folder = Path(tempfile.mkdtemp(prefix="keyturn-replay-", dir="/tmp"))  # short: socket paths are limited
    folder.chmod(0o755)
    recording = Recording(request.param.parent)
    shutil.copytree(recording.folder / "integrations", folder / "integrations")
    recording.lay_out(folder / "state")
    quiet_http()
    soon = {"KEYTURN_WAITING__LONGEST_INTERVAL_S": "1"}
    with Stack(folder / "state", migrate.upgrade, settings=soon, prepare=recording.load).up() as running:
        made = Replay(made_of(running, folder / "integrations"), recording)
        made.remember()
        yield made
        made.world.cast.close()
        made.world.ports.ledger.close()
    shutil.rmtree(folder, ignore_errors=True)


def test_there_are_recordings() -> None:
    """Without one, nothing below would be tested."""
    assert RECORDED


def test_a_recorded_manifest_has_the_digest_it_was_approved_by(replay: Replay) -> None:
    """A field that came later does not change the digest of a manifest that does not use it."""
    ledger = replay.world.ports.ledger
    with psycopg.connect(replay.world.running.postgres.ledger_url) as connection:
        stored = [digest for (digest,) in connection.execute("SELECT digest FROM manifests")]
    assert len(stored) == len(replay.recording.integrations())
    assert {digest: ledger.manifest(digest).digest for digest in stored} == {digest: digest for digest in stored}
    for key, (attempt, _) in replay.began.items():
        assert sealed_of(replay.world.ports, str(key)).digest == attempt.digest


def test_every_suspended_attempt_goes_on_to_its_end(replay: Replay) -> None:
    """In the Prefect run that was suspended, from the receipts that were there: nothing is done twice."""
    world = replay.world
    with ThreadPoolExecutor(len(replay.began) + 1) as side_by_side:
        answered = list(side_by_side.map(replay.first_turn, replay.began))
        watch = side_by_side.submit(replay.watch)
        list(side_by_side.map(replay.to_the_last_turn, answered))
        watch.result()
    replay.let_time_pass()
    for key, (before, receipts) in replay.began.items():
        after = world.ended(key).attempt
        assert after is not None
        assert (after.id, after.state, after.flow_run_id) == (before.id, "completed", before.flow_run_id)
        assert after.fence > before.fence
        now_there = world.ports.ledger.receipts(after.id)
        assert [receipt for receipt in receipts if receipt not in now_there] == []
        run = world.run_of(key)
        world.until(lambda run=run: world.run(run)["state_type"] == "COMPLETED", f"the run of {key} ends")  # type: ignore[misc]
    assert world.effects("stackone")["profiles_created"] == len(replay.began)


def test_the_recorded_audit_trail_and_what_was_added_to_it_are_one_chain(replay: Replay) -> None:
    """Migrating seals the rows that were written before there was a chain; the new ones come after them."""
    engine = make_engine(replay.world.running.postgres.ledger_url)
    found = PostgresTrail(engine).verify(GENESIS)
    engine.dispose()
    assert found.fault is None
    assert found.rows == len(replay.world.ports.ledger.trail()) > replay.audited
