"""Ends the sandbox's servers when the process that started them is gone, however it went.

A script of its own, run with `python -I -S`, so that it starts at once and needs nothing. It reads lines on its
standard input, `start <pid> <signal>` and `gone <pid>`; each pid leads a process group. The kernel closes that input
when the parent dies, even by `kill -9`; then every group left gets its signal, newest first, and SIGKILL after a
deadline. A parent death signal would do neither for grandchildren nor on macOS, and it follows the thread that
started the child instead of the process.
"""

import os
import signal
import sys
import time

_PATIENCE_S = 5.0


def main() -> None:
    """Listen until the input closes, then clear up."""
    groups: dict[int, int] = {}
    for line in sys.stdin:
        word, pid, *rest = line.split()
        if word == "start":
            groups[int(pid)] = int(rest[0])
        else:
            groups.pop(int(pid), None)
    for pid, number in reversed(groups.items()):
        _send(pid, number)
    _wait_for(list(groups))
    for pid in groups:
        _send(pid, signal.SIGKILL)


def _wait_for(pids: list[int]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while any(_send(pid, 0) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)  # between two looks: they are no children of this process, so it cannot wait for them


def _send(pid: int, number: int) -> bool:
    """Signal a group; `False` when nothing is left of it. Signal 0 only asks."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    main()
