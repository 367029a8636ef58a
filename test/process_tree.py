"""Processes that a process starts, and signals to all of them."""

import os
import time
from contextlib import suppress
from pathlib import Path


def children(pid: int) -> list[int]:
    """Processes that a process has started, from any of its threads."""
    found = []
    for task in Path(f'/proc/{pid}/task').iterdir():
        with suppress(FileNotFoundError):  # the thread has ended
            found += map(int, (task / 'children').read_text().split())
    return found


def spawned(pid: int) -> list[int]:
    """Those of them that multiprocessing has started, without its own helper."""
    return [child for child in children(pid) if b'spawn_main' in Path(f'/proc/{child}/cmdline').read_bytes()]


def signalled(module: str, number: int) -> str:
    """A program: `main` of a module, whose process group gets a signal while each child process starts.

    That is when Python would raise KeyboardInterrupt in the child, which then begins to import its modules.
    """
    return f"""if True:
    import os, re, time
    from multiprocessing.process import BaseProcess
    start = BaseProcess.start
    def catches_sigint(pid):
        with open(f'/proc/{{pid}}/status') as status:
            return int(re.search(r'SigCgt:\\s*(\\w+)', status.read())[1], 16) & 2
    def started(process):
        start(process)
        while process.is_alive() and not catches_sigint(process.pid):
            time.sleep(0.001)
        os.killpg(0, {int(number)})
    BaseProcess.start = started
    if __name__ == '__main__':
        from {module} import main
        raise SystemExit(main())
    """


def gone(group: int, patience: float) -> bool:
    """Whether all processes of a group end within so many seconds; multiprocessing's own helper ends after its parent.
    """
    end = time.monotonic() + patience
    with suppress(ProcessLookupError):
        while time.monotonic() < end:
            os.killpg(group, 0)
            time.sleep(0.05)
        return False
    return True
