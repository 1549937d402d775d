"""Private files, and the lock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from keyturn.errors import RefusedError
from keyturn.sandbox.files import locked, write_private

HOLDER = """
import sys, time
from pathlib import Path
from keyturn.sandbox.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(1000)  # until the test kills it
"""


def test_a_private_file_is_only_its_owners(tmp_path: Path) -> None:
    """The mode is 0600, also when an older file was open to others."""
    file = tmp_path / "keys.json"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_is_held_by_one_process_until_it_dies(tmp_path: Path) -> None:
    """A second holder is refused with the first one's pid, and let in once that was killed."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(RefusedError, match=f"already running there, as process {holder.pid}"), locked(tmp_path):
        pass
    holder.kill()
    holder.communicate()
    with locked(tmp_path):
        pass
