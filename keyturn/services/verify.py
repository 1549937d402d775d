"""Stage `test_connection`: the verdict on a connection, layer by layer.

Examining is read-only, so it can be asked for at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from keyturn.domain.attempt import AttemptState, Execution, Receipt, Stage
from keyturn.domain.credential import CredentialRef, ProbeOutcome
from keyturn.domain.finding import errors
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.lint import lint
from keyturn.domain.manifest import CONNECTOR, SealedManifest
from keyturn.domain.pair import faults_of_pair
from keyturn.domain.verdict import Layer, LayerResult, LayerStatus, Verdict
from keyturn.errors import CredentialRefusedError, StageFailedError
from keyturn.ports import ConnectorHub, Ledger, SecretStore, TokenEndpoint
from keyturn.services.stage import credential_ref
from keyturn.services.store import Safekeeping

_ONBOARD = "Run `keyturn onboard` for this integration."


@dataclass(frozen=True, slots=True)
class Examination:
    """Looks at a connection from Gong's side and from StackOne's."""

    ledger: Ledger
    secrets: SecretStore
    gong: TokenEndpoint
    hub: ConnectorHub

    def examine(self, sealed: SealedManifest, receipts: Sequence[Receipt]) -> Verdict:
        """The verdict L0 to L3 for what the receipts of an attempt say was made.

        Raises:
            TransientError: a server could not be asked; nothing is said about its layer then.
        """
        by_stage = {r.stage: r.body for r in receipts}
        l0, l1 = self._pair_layers(sealed, receipts)
        return Verdict((l0, l1, self._profile_layer(by_stage), self._account_layer(by_stage)))

    def examine_latest(self, key: IntegrationKey) -> Verdict:
        """The verdict for an integration as its newest attempt with a stored pair left it.

        Raises:
            StageFailedError: there is no such attempt.
        """
        for attempt in self.ledger.attempts(key):
            receipts = self.ledger.receipts(attempt.id)
            if any(r.stage is Stage.STORE_SECRET for r in receipts):
                return self.examine(self.ledger.manifest(attempt.digest), receipts)
        raise StageFailedError(str(key), "nothing has been stored for this integration yet", _ONBOARD)

    def test_connection(self, execution: Execution) -> tuple[Verdict, Receipt | None]:
        """Examine, and complete the attempt when no layer failed.

        Returns:
            The verdict, and the receipt; no receipt when a layer failed, so that the next run tests again.
        """
        receipts = self.ledger.receipts(execution.attempt_id)
        verdict = self.examine(self.ledger.manifest(execution.digest), receipts)
        if verdict.failed:
            return verdict, None
        self._promote_what_the_link_proved(execution, receipts, verdict)
        with self.ledger.exclusive(execution) as work:
            receipt = work.receipt(Stage.TEST_CONNECTION) or work.write_receipt(Stage.TEST_CONNECTION, as_body(verdict))
        self.ledger.finish(execution, AttemptState.COMPLETED, "")
        return verdict, receipt

    def _promote_what_the_link_proved(
        self, execution: Execution, receipts: Sequence[Receipt], verdict: Verdict
    ) -> None:
        """A new link is made with the new secret, so a live call through it proves a pair that stayed PENDING."""
        stored = next(r for r in receipts if r.stage is Stage.STORE_SECRET)
        proven = verdict.layers[-1].status is LayerStatus.PASSED
        if stored.body["stored_as"] == "pending" and proven:
            with self.ledger.exclusive(execution):
                Safekeeping(self.ledger, self.secrets, self.gong).promote(execution, credential_ref(stored))

    def _pair_layers(self, sealed: SealedManifest, receipts: Sequence[Receipt]) -> tuple[LayerResult, LayerResult]:
        faults = [f.message for f in errors(lint(sealed.manifest))]
        if faults:
            return _failed(Layer.L0, "; ".join(faults), "Correct the manifest."), _skipped(Layer.L1, "lint failed")
        stored = next((r for r in receipts if r.stage is Stage.STORE_SECRET), None)
        if stored is None:
            return _skipped(Layer.L0, "no pair is stored yet"), _skipped(Layer.L1, "no pair is stored yet")
        return self._probe_layers(credential_ref(stored))

    def _probe_layers(self, ref: CredentialRef) -> tuple[LayerResult, LayerResult]:
        try:
            credential = self.secrets.read(ref)
        except CredentialRefusedError as error:
            return _failed(Layer.L0, error.problem, error.remedy), _skipped(Layer.L1, "the pair is not in Vault")
        if faults := faults_of_pair(credential):
            return _failed(Layer.L0, "; ".join(faults), "Hand the pair in again."), _skipped(Layer.L1, "lint failed")
        probe = self.gong.probe(credential)
        status = {ProbeOutcome.VALID: LayerStatus.PASSED, ProbeOutcome.WRONG_PAIR: LayerStatus.FAILED}
        evidence = f"{probe.outcome.value} (HTTP {probe.status}, {probe.code})"
        return (
            LayerResult(Layer.L0, LayerStatus.PASSED, f"manifest and pair pass lint (version {ref.version})"),
            LayerResult(Layer.L1, status.get(probe.outcome, LayerStatus.NOT_TESTED), evidence, probe.explanation),
        )

    def _profile_layer(self, bodies: Mapping[Stage, Mapping[str, object]]) -> LayerResult:
        made = bodies.get(Stage.CREATE_PROFILE)
        if made is None:
            return _skipped(Layer.L2, "no profile was made yet")
        found = [p for p in self.hub.profiles(CONNECTOR) if p.id == made["profile_id"]]
        if not found:
            return _failed(Layer.L2, f"profile {made['profile_id']} is gone, or is no {CONNECTOR} profile", _ONBOARD)
        profile = found[0]
        if not profile.active:
            return _failed(Layer.L2, f"profile {profile.id} is disabled", "Enable it in StackOne.")
        if profile.updated_at != made["updated_at"]:
            return _failed(
                Layer.L2,
                f"profile {profile.id} was edited at {profile.updated_at}, after our receipt",
                "Somebody changed it by hand: have it written again by a new onboarding, or undo the change.",
            )
        return LayerResult(Layer.L2, LayerStatus.PASSED, f"profile {profile.id} is active and as we left it")

    def _account_layer(self, bodies: Mapping[Stage, Mapping[str, object]]) -> LayerResult:
        linked = bodies.get(Stage.LINK_ACCOUNT)
        if linked is None:
            return _skipped(Layer.L3, "no account was linked yet")
        account = self.hub.account(str(linked["account_id"]))
        if account.status != "active":
            reasons = "; ".join(account.reasons) or "StackOne gives no reason"
            return _failed(
                Layer.L3,
                f"account {account.id} is {account.status}: {reasons}",
                "Make a fresh link with `keyturn link` and have Gong's admin consent again.",
            )
        call = self.hub.list_users(account.id)
        if not call.ok:
            return _failed(
                Layer.L3,
                f"{call.action} answered HTTP {call.status}: {call.problem}",
                "Look at the account in StackOne; a missing scope or a disabled profile is the usual cause.",
            )
        request = f", request {call.request_id}" if call.request_id else ""
        seen = f"HTTP {call.status}, {call.count} records{request}"
        return LayerResult(Layer.L3, LayerStatus.PASSED, f"account {account.id} is active; {call.action}: {seen}")


def as_body(verdict: Verdict) -> dict[str, object]:
    """A verdict as plain JSON."""
    return {r.layer.value: asdict(r) for r in verdict.layers}


def _failed(layer: Layer, evidence: str, remedy: str) -> LayerResult:
    return LayerResult(layer, LayerStatus.FAILED, evidence, remedy)


def _skipped(layer: Layer, why: str) -> LayerResult:
    return LayerResult(layer, LayerStatus.NOT_TESTED, why)
