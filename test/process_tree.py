"""Which processes a process has started."""

from contextlib import suppress
from pathlib import Path


def children(pid: int) -> list[int]:
    """Processes that a process has started, from any of its threads."""
    found = []
    for task in Path(f'/proc/{pid}/task').iterdir():
        with suppress(FileNotFoundError):  # the thread has ended
            found += map(int, (task / 'children').read_text().split())
    return found
