"""Rotations under everything that can happen at once, 2,000 times: the invariants of design section 6 hold.

What one example does is short; together they cross every step with crashes, lost answers, second executions, clicks
that come early, late or twice, wrong hand-ins, wishes at the wrong moment and weeks of waiting. Then everybody does
what is asked: the rotation has to come to an end, and the connection has to work again.
"""

from __future__ import annotations

import ast
import inspect
import textwrap

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from flows import rotation as flow
from keyturn.domain.attempt import ROTATION_STAGES
from tests.services.rotation import machine_run
from tests.services.rotation.machine_events import Events
from tests.services.rotation.machine_seed import SEED

EXAMPLES = 2_000
STEPS = 20


class Rotation(Events):
    """What holds after each event, and at the end."""

    @invariant()
    def invariant_1_current_was_verified(self) -> None:
        """There is always a CURRENT, and it was verified when it was promoted."""
        assert not (wrong := self.truth.current_was_verified()), wrong

    @invariant()
    def invariant_2_no_click_inside_a_grace(self) -> None:
        """At most one PENDING, and no click is asked for inside a running grace."""
        assert not (wrong := self.truth.one_pending_and_no_click_inside_a_grace()), wrong

    @invariant()
    def invariant_3_pending_is_never_lost(self) -> None:
        """PENDING is never destroyed before something newer is verified."""
        assert not (wrong := self.truth.pending_is_never_lost()), wrong

    @invariant()
    def invariant_4_a_dead_secret_is_never_used(self) -> None:
        """PREVIOUS is used only while it can still work."""
        assert not (wrong := self.truth.a_dead_secret_is_never_used()), wrong

    @invariant()
    def invariant_5_no_secret_is_kept(self) -> None:
        """No secret is in the ledger, in a notice or in an error."""
        assert not (wrong := self.truth.no_secret_is_kept()), wrong

    @invariant()
    def invariant_6_one_profile(self) -> None:
        """There is exactly one profile."""
        assert not (wrong := self.truth.one_profile()), wrong

    @invariant()
    def invariant_7_approvals_count_from_others(self) -> None:
        """An approval counts only for the digest it saw, from somebody else than the requester."""
        assert not (wrong := self.truth.approvals_count_from_others()), wrong

    @invariant()
    def invariant_8_what_is_unknown_is_not_done(self) -> None:
        """What is ambiguous destroys nothing, and is never shown as done."""
        assert not (wrong := self.truth.what_is_unknown_is_not_done()), wrong

    @invariant()
    def invariant_9_done_is_proven(self) -> None:
        """What is not proven is not done."""
        assert not (wrong := self.truth.done_is_proven()), wrong

    @invariant()
    def invariant_10_one_active_attempt(self) -> None:
        """At most one attempt is active."""
        assert not (wrong := self.truth.one_active_attempt()), wrong

    def teardown(self) -> None:
        """When everybody does what is asked, the rotation ends or is clearly halted."""
        if not hasattr(self, "world"):
            return
        for process in self.left:
            process.finish()
        self.people.bring_to_an_end()
        attempt = self.people.attempt()
        assert attempt is None or (not attempt.moves and attempt.reason), f"it neither ends nor halts: {attempt}"
        self.people.recover()
        assert self.people.works_again(), f"there is no way back to a connection that works: {self.world.heard[-3:]}"


@pytest.mark.timeout(900)
def test_rotations_keep_their_invariants() -> None:
    """Whatever happens, invariants 1 to 10 hold, and a rotation comes to an end (acceptance 2).

    The seed is printed at the head of every run of the tests, and given back by `KEYTURN_MACHINE_SEED`.
    """
    run_state_machine_as_test(
        seed(SEED)(Rotation),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            print_blob=True,
            derandomize=False,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_machine_goes_the_flows_way() -> None:
    """The order of steps that is tried here is the flow's own, and covers every stage of a rotation."""
    assert tuple(_called(flow._turned)) == machine_run.ORDER
    assert tuple(_called(flow.rotate.fn))[-2:] == machine_run.INSTEAD
    assert set(ROTATION_STAGES) <= set(machine_run.ORDER)


def _called(function: object) -> list[str]:
    """The stages that a flow names, in its order."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    names = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)]
    mine = sorted((n for n in names if n.value.id == "stage"), key=lambda n: (n.lineno, n.col_offset))
    return [n.attr for n in mine]
