from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from keyturn.errors import ConfigurationError, UnavailableError
from keyturn.sandbox.clocks import advance, clock_file


def test_a_folder_without_a_sandbox_is_said(tmp_path: Path) -> None:
    """And nothing is written into it."""
    with pytest.raises(ConfigurationError, match="there is no sandbox in that folder"):
        advance(tmp_path, timedelta(days=1))
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_stopped_is_said_and_keeps_its_time(tmp_path: Path) -> None:
    """Nobody's clock is moved when the twins cannot be."""
    (tmp_path / "ports.json").write_text('{"gong": 1, "stackone": 1, "prefect": 1}')
    with pytest.raises(UnavailableError, match="keyturn sandbox"):
        advance(tmp_path, timedelta(days=1))
    assert not clock_file(tmp_path).exists()
