"""The journey on Airflow: a task for each stage, and the two gates by its human-in-the-loop operators."""

from __future__ import annotations

import calls
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import dag, get_current_context, task


def key() -> str:
    """Whose journey it is."""
    return str(get_current_context()["params"]["key"])


@task
def register() -> str:
    """Check and seal."""
    return calls.register(key())


@task
def ask_gong_admin() -> None:
    """The stage after the first gate."""
    calls.stamp(key(), "next:approve")


@task
def fetch_secret() -> int:
    """The stage after the second gate."""
    calls.stamp(key(), "next:gong_admin")
    return calls.fetch_secret(key())


@task
def store_secret(version: int) -> int:
    """Make it current."""
    return calls.store_secret(key(), version)


@task
def create_profile() -> str:
    """Make the profile."""
    return calls.create_profile(key())


@task
def link_account(profile: str) -> str:
    """Have the account linked."""
    return calls.link_account(key(), profile)


@task
def test_connection(profile: str, account: str) -> None:
    """Try it."""
    calls.test_connection(key(), profile, account)
    calls.stamp(key(), "done")


@dag(dag_id="journey", schedule=None, catchup=False, params={"key": "tenant/environment"}, max_active_runs=64)
def journey() -> None:
    """One integration."""
    approve = ApprovalOperator(task_id="approve", subject="Do you approve the kit?")
    gong_admin = ApprovalOperator(task_id="gong_admin", subject="Is the pair handed in?")
    version = fetch_secret()
    register() >> approve >> ask_gong_admin() >> gong_admin >> version
    stored = store_secret(version)
    profile = create_profile()
    stored >> profile
    test_connection(profile, link_account(profile))


journey()
