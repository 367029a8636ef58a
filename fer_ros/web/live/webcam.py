"""A camera of this machine, served by a separate process that the page starts and stops."""

import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

GRACE = 5.0
"""Seconds that the process has to end after a signal."""


class Webcam:
    """At most one process at a time. Any thread may call.

    Args:
        command: returns the command for a device such as '/dev/video0'.
        folder: folder of the devices.
    """

    def __init__(self, command: Callable[[str], list[str]], folder: Path = Path('/dev')) -> None:
        self._command, self._folder = command, folder
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115

    @property
    def devices(self) -> list[str]:
        """Cameras of this machine."""
        return sorted(str(path) for path in self._folder.glob('video[0-9]*'))

    def start(self, device: str) -> bool:
        """Start the process for `device`; False if it is not one of `devices`, or a process is running."""
        with self._lock:
            if device not in self.devices or self._running:
                return False
            self._log.seek(0)
            self._log.truncate()
            self._process = subprocess.Popen(self._command(device), stdin=subprocess.DEVNULL, stdout=self._log,
                                             stderr=self._log, start_new_session=True)
            return True

    def stop(self) -> None:
        """Stop the process and wait for it."""
        with self._lock:
            process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def _running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def state(self) -> dict:
        """``devices``, whether it is ``running``, and the ``problem`` with which the process ended."""
        with self._lock:
            problem = ''
            if self._process is not None and self._process.poll():
                self._log.seek(0)
                lines = self._log.read().decode(errors='replace').splitlines()
                problem = next((line for line in reversed(lines) if line.startswith('[FATAL]')),
                               lines[-1] if lines else f'exit code {self._process.returncode}')
                problem = problem.rpartition(']: ')[2]
            return {'devices': self.devices, 'running': self._running, 'problem': problem}
