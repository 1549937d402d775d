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
from keyturn.errors import CredentialRefusedError, StageFailedError, VendorRefusedError
from keyturn.ports import ConnectorHub, Ledger, SecretStore, TokenEndpoint, Work
from keyturn.services.stage import credential_ref, receipt_of
from keyturn.services.store import Safekeeping

_ONBOARD = "Run `keyturn onboard` for this integration."
_ANEW = "Hand the right pair in by a new onboarding; `keyturn abandon` ends one that is under way."
_RELINK = "Run `keyturn onboard` again, make a fresh link with `keyturn link`, and have Gong's admin consent."


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
            VendorRefusedError: the same, and trying again unchanged will not help.
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

        A receipt that the verdict disproves is withdrawn, so that the next run does that stage again: a remedy that
        says "link again" or "have it written again" must find a door that is open.

        Returns:
            The verdict, and the receipt; no receipt when a layer failed, so that the next run tests again.

        Raises:
            StageFailedError: there is nothing to test yet. A verdict that tested nothing must not complete anything.
        """
        with self.ledger.exclusive(execution) as work:
            for stage in (Stage.STORE_SECRET, Stage.CREATE_PROFILE, Stage.LINK_ACCOUNT):
                receipt_of(work, stage, execution)
        receipts = self.ledger.receipts(execution.attempt_id)
        verdict = self.examine(self.ledger.manifest(execution.digest), receipts)
        if verdict.failed:
            self._take_back(execution, verdict)
            return verdict, None
        self._promote_what_the_link_proved(execution, receipts, verdict)
        with self.ledger.exclusive(execution) as work:
            receipt = work.receipt(Stage.TEST_CONNECTION) or work.write_receipt(Stage.TEST_CONNECTION, as_body(verdict))
        self.ledger.finish(execution, AttemptState.COMPLETED, "")
        return verdict, receipt

    def _take_back(self, execution: Execution, verdict: Verdict) -> None:
        spoiled = next((r.evidence for r in verdict.failed if r.layer is Layer.L2), "")
        with self.ledger.exclusive(execution) as work:
            made, linked = work.receipt(Stage.CREATE_PROFILE), work.receipt(Stage.LINK_ACCOUNT)
            if made and spoiled:
                named = [p for p in self.hub.profiles(CONNECTOR) if p.name == made.body["name"]]
                # As it is now: a person has to change it again before it counts as made by hand.
                work.withdraw(Stage.CREATE_PROFILE, spoiled, {"baseline": {p.id: p.updated_at for p in named}})
            if linked:
                self._take_back_link(work, linked, spoiled, verdict)

    def _take_back_link(self, work: Work, linked: Receipt, spoiled: str, verdict: Verdict) -> None:
        """A link that works stays, unless it may have been made with another pair than ours.

        Where Gong says nothing of a pair, the link is its only proof, and a profile that somebody edited spoils it.
        """
        proven = any(r.layer is Layer.L1 and r.status is LayerStatus.PASSED for r in verdict.layers)
        why = self._lost(str(linked.body["account_id"])) or ("" if proven else spoiled)
        if why:
            work.withdraw(Stage.LINK_ACCOUNT, why, {"last": why} | ({} if proven else {"sessions": []}))

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
            return _failed(Layer.L0, "; ".join(faults), _ANEW), _skipped(Layer.L1, "lint failed")
        probe = self.gong.probe(credential)
        status = {ProbeOutcome.VALID: LayerStatus.PASSED, ProbeOutcome.WRONG_PAIR: LayerStatus.FAILED}
        evidence = f"{probe.outcome.value} (HTTP {probe.status}, {probe.code})"
        remedy = f"{probe.explanation} {_ANEW}" if probe.outcome is ProbeOutcome.WRONG_PAIR else probe.explanation
        return (
            LayerResult(Layer.L0, LayerStatus.PASSED, f"manifest and pair pass lint (version {ref.version})"),
            LayerResult(Layer.L1, status.get(probe.outcome, LayerStatus.NOT_TESTED), evidence, remedy),
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
            return _failed(
                Layer.L2, f"profile {profile.id} is disabled", "Enable it in StackOne, then run `keyturn onboard`."
            )
        if profile.updated_at != made["updated_at"]:
            return _failed(
                Layer.L2,
                f"profile {profile.id} was edited at {profile.updated_at}, after our receipt",
                "Somebody changed it by hand: run `keyturn onboard`, which has it written again.",
            )
        return LayerResult(Layer.L2, LayerStatus.PASSED, f"profile {profile.id} is active and as we left it")

    def _account_layer(self, bodies: Mapping[Stage, Mapping[str, object]]) -> LayerResult:
        linked = bodies.get(Stage.LINK_ACCOUNT)
        if linked is None:
            return _skipped(Layer.L3, "no account was linked yet")
        account_id = str(linked["account_id"])
        if lost := self._lost(account_id):
            return _failed(Layer.L3, lost, _RELINK)
        call = self.hub.list_users(account_id)
        if not call.ok:
            return _failed(
                Layer.L3,
                f"{call.action} answered HTTP {call.status}: {call.problem}",
                "Look at the account in StackOne; a missing scope or a disabled profile is the usual cause.",
            )
        request = f", request {call.request_id}" if call.request_id else ""
        seen = f"HTTP {call.status}, {call.count} records{request}"
        return LayerResult(Layer.L3, LayerStatus.PASSED, f"account {account_id} is active; {call.action}: {seen}")

    def _lost(self, account_id: str) -> str:
        """Why only a new consent can help, as a clause; empty when the account is active."""
        try:
            account = self.hub.account(account_id)
        except VendorRefusedError as error:
            if not error.gone:
                raise  # an answer that cannot be read, or a key that may not look, says nothing about the account
            return f"account {account_id} cannot be read: {error.problem}"
        if account.status == "active":
            return ""
        return f"account {account_id} is {account.status}: {'; '.join(account.reasons) or 'StackOne gives no reason'}"


def as_body(verdict: Verdict) -> dict[str, object]:
    """A verdict as plain JSON."""
    return {r.layer.value: asdict(r) for r in verdict.layers}


def _failed(layer: Layer, evidence: str, remedy: str) -> LayerResult:
    return LayerResult(layer, LayerStatus.FAILED, evidence, remedy)


def _skipped(layer: Layer, why: str) -> LayerResult:
    return LayerResult(layer, LayerStatus.NOT_TESTED, why)
