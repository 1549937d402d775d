"""All policies in one place: which tasks are tried again, how often, and after how long.

This is the only retry layer. The question "will trying again help?" is answered by the error's type, and a server's
`Retry-After` is honoured by the vendor budget in `keyturn.clients.budget`, which lets no call through before that.
There are no tags: Prefect asks for the concurrency limits of each, at every task.
There are no task timeouts: each call below a task has its own, and Prefect can only interrupt a synchronous task by
raising in the middle of it, which could leave an effect without its receipt.
"""

from __future__ import annotations

from typing import Any, TypedDict

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from keyturn.errors import TransientError


class TaskPolicy(TypedDict):
    """Keyword arguments of `prefect.task`."""

    persist_result: bool
    cache_policy: Any
    log_prints: bool
    retries: int
    retry_delay_seconds: list[float]
    retry_jitter_factor: float
    retry_condition_fn: Any


def will_help(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether to try again: only for an error that says so by its type."""
    return isinstance(state.data, TransientError)


def _policy(delays_s: list[float]) -> TaskPolicy:
    return TaskPolicy(
        persist_result=False,  # a persisted result is an unencrypted pickle; receipts in the ledger take its place
        cache_policy=NO_CACHE,
        log_prints=False,
        retries=len(delays_s),
        retry_delay_seconds=delays_s,
        retry_jitter_factor=0.3,
        retry_condition_fn=will_help,
    )


LEDGER = _policy([0.5, 2, 5, 10, 20, 30])
VENDOR = _policy([1, 3, 8, 20, 45, 90])
