from __future__ import annotations

from typing import Any

import pytest
from prefect import Task
from prefect.states import Failed

from keyturn import errors
from keyturn.errors import KeyturnError, TransientError
from tasks import monitoring, onboarding
from tasks.policies import LEDGER, VENDOR, will_help

TASKS = [v for module in (onboarding, monitoring) for v in vars(module).values() if isinstance(v, Task)]
FAILURES = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, KeyturnError)]


@pytest.mark.parametrize("failure", FAILURES)
def test_a_task_is_tried_again_only_for_an_error_that_says_so_by_its_type(failure: type[KeyturnError]) -> None:
    """One question decides: is it transient?"""
    state: Any = Failed(data=failure("acme/production", "went wrong", "Do something."))
    assert will_help(TASKS[0], None, state) is issubclass(failure, TransientError)  # type: ignore[arg-type]


def test_a_programming_error_is_not_tried_again() -> None:
    """A retry cannot mend code."""
    state: Any = Failed(data=ValueError("a bug"))
    assert will_help(TASKS[0], None, state) is False  # type: ignore[arg-type]


@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.name)
def test_no_task_persists_results_or_logs_prints(task: Task[Any, Any]) -> None:
    """A persisted result is an unencrypted pickle; receipts take its place."""
    assert task.persist_result is False
    assert task.log_prints is False
    assert task.retry_condition_fn is will_help


def test_every_stage_is_a_task_of_its_own() -> None:
    """Prefect's pages show the journey by its stages."""
    from keyturn.domain.attempt import STAGES  # noqa: PLC0415  only here

    assert {t.name for t in TASKS} >= {s.value for s in STAGES}


def test_patience_with_a_vendor_outlasts_a_minute_of_failures() -> None:
    """StackOne itself repeats a provider's 429 for up to 60 s."""
    assert sum(VENDOR["retry_delay_seconds"]) > 60
    assert len(LEDGER["retry_delay_seconds"]) == LEDGER["retries"]
