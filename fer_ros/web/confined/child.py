"""A process that analyses untrusted images for the page, as seen by the program that starts it."""

import json
import os
import selectors
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

# The environment may hold secrets, and the process decodes untrusted files: it gets what it may need.
_PASSED = {'PATH', 'HOME', 'LANG', 'LANGUAGE', 'TZ', 'TMPDIR', 'VIRTUAL_ENV', 'CONDA_PREFIX', 'AMENT_PREFIX_PATH',
           'XDG_DATA_HOME', 'XDG_CACHE_HOME', 'XDG_CONFIG_HOME', 'MPLCONFIGDIR', 'USER', 'LOGNAME',
           '_ROS_WHEELS_BOOTSTRAP_COMPLETE'}
_PASSED_PREFIXES = ('LC_', 'LD_', 'PYTHON', 'CUDA_', 'NVIDIA_', 'OMP_', 'MKL_', 'OPENBLAS_', 'ORT_', 'OPENCV_',
                    'MALLOC_')


class Child:
    """A process that reads its standard input and answers with lines of JSON, each an event.

    It is to end when its standard input is closed. One thread at a time may call, except `kill`.

    Args:
        module: full name of a module of this package, run as a program.
        argument: its argument.
        folder: folder for its standard error, without a name.
        line: maximum size of an event in bytes.
    """

    def __init__(self, module: str, argument: str, folder: Path, line: int = 1 << 16) -> None:
        self._line, self._rest = line, b''
        package = str(Path(__file__).parents[3])
        path = os.pathsep.join(filter(None, (package, os.environ.get('PYTHONPATH', ''))))
        self._errors = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        # A new interpreter, since a fork would copy the locks of other threads. A new session, since Ctrl-C in the
        # terminal is handled by this program. The root as working folder, since Python would import from it.
        self._process = subprocess.Popen(
            [sys.executable, '-m', module, argument], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._errors, cwd='/', start_new_session=True, bufsize=0,
            env={**_environment(), 'PYTHONPATH': path, 'PYTHONSAFEPATH': '1', 'OMP_NUM_THREADS': '1'})
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)

    def send(self, data: bytes) -> None:
        """Write to its standard input; if it has died, which `events` detects, nothing happens."""
        with suppress(OSError):
            rest = memoryview(data)
            while rest:
                rest = rest[self._input.write(rest):]

    def events(self, timeout: float) -> list[dict] | None:
        """New events, after at most `timeout` seconds; None if it has ended, or told too much and was killed."""
        if not self._selector.select(timeout):
            return []
        data = os.read(self._output.fileno(), self._line)
        *lines, self._rest = (self._rest + data).split(b'\n')
        if not data or len(self._rest) > self._line:
            self.kill()
            return None
        return [json.loads(line) for line in lines]

    def kill(self) -> None:
        """End it at once; `close` has still to be called."""
        with suppress(OSError):
            self._process.kill()

    def close(self) -> None:
        """Wait for its end."""
        self._selector.close()
        self._input.close()
        self._output.close()
        self._process.wait()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended, as of `subprocess.Popen`; None until `close`."""
        return self._process.returncode

    def last_words(self) -> str:
        """The end of its standard error in one line, for the log; the last thing that is asked."""
        with self._errors:
            self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - 2000))
            return ' '.join(self._errors.read().decode('utf-8', 'replace').split())

    def forget(self) -> None:
        """Remove its standard error, instead of `last_words`."""
        self._errors.close()

    def memory(self) -> int:
        """Resident memory in bytes; 0 if unknown."""
        try:
            return int(Path(f'/proc/{self._process.pid}/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')
        except (OSError, IndexError):
            return 0


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in _PASSED or name.startswith(_PASSED_PREFIXES)}
