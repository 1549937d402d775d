"""How a fork server comes to be."""

from __future__ import annotations

import asyncio
import os
import sys
import time

from prefect.settings import PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED, get_current_settings, temporary_settings

from keyturn.worker.forked import start_server, until_ready
from keyturn.worker.opening import GIVEN, ForkedProcess, keep_early, opened


def test_what_every_run_is_given_reads_as_prefect_writes_it() -> None:
    """Otherwise each run would think that it was told something else than its server, and read all settings anew."""
    with temporary_settings({PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED: False}):
        written = get_current_settings().to_environment_variables(exclude_unset=True)
    assert GIVEN.items() <= written.items()


def test_a_server_that_was_started_early_is_taken_once() -> None:
    """By whoever wants the same modules; who wants others gets another."""

    async def take() -> None:
        early = opened(["json"], os.environ)
        keep_early(["json"], early)
        links = [await start_server(modules) for modules in ([], ["json"], ["json"])]
        assert [link.pid == early.process.pid for link in links] == [False, True, False]
        for link in links:
            await until_ready(link)  # which ends by itself then, when nobody is left
            await link.close()
        assert early.process.poll() == 0

    asyncio.run(take())


def test_a_forked_process_is_known_by_its_end() -> None:
    """As one that `subprocess` has started, also when it is asked again."""
    process = ForkedProcess(os.posix_spawn(sys.executable, [sys.executable, "-c", "input()"], dict(os.environ)))
    assert process.poll() is None
    process.kill()
    while process.poll() is None:
        time.sleep(0.01)  # until the system has noticed
    assert process.poll() == -9
    process.kill()
