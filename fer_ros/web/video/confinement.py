"""What a process may use that decodes files of strangers: little of the machine, and no other files."""

import ctypes
import os
import resource
import struct
import sys
from pathlib import Path

# linux/landlock.h
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read files, read folders
_WRITE_FILE, _TRUNCATE, _IOCTL = 1 << 1, 1 << 14, 1 << 15
_FILES = ((1, (1 << 13) - 1), (2, 1 << 13), (3, _TRUNCATE), (5, _IOCTL))
_ON_ONE_FILE = 1 << 0 | 1 << 1 | 1 << 2 | _TRUNCATE | _IOCTL
_TCP = 1 << 0 | 1 << 1  # bind, connect; from version 4
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES = 38

_SYSTEM = ('/usr', '/lib', '/lib64', '/opt', '/etc', '/proc', '/sys')
"""Programs, libraries and what these want to know of the machine. Nobody's own files."""


def bound_resources(*, cpu_s: float, memory: int, file_size: int, niceness: int) -> None:
    """Limit this process, for good: the kernel ends or fails what goes beyond.

    Args:
        cpu_s: seconds of processor time.
        memory: bytes of data. Not of address space, of which libraries reserve far more than they use.
        file_size: bytes of any file that is written.
        niceness: added to the process's own; at 10 it gets a tenth of a processor that others want.
    """
    os.nice(niceness)
    cpu = max(1, round(cpu_s))
    # At the first of two limits of processor time the kernel sends SIGXCPU, which tells why; at the second SIGKILL.
    for kind, soft, hard in ((resource.RLIMIT_CPU, cpu, cpu + 5), (resource.RLIMIT_DATA, memory, memory),
                             (resource.RLIMIT_FSIZE, file_size, file_size), (resource.RLIMIT_CORE, 0, 0),
                             (resource.RLIMIT_NOFILE, 256, 256)):
        most = resource.getrlimit(kind)[1]
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(kind, (soft, hard))


def landlock() -> int:
    """The kernel's version of Landlock; 0: it has none, or it is turned off."""
    return max(0, ctypes.CDLL(None, use_errno=True).syscall(_CREATE, None, ctypes.c_size_t(0), 1))


def confine(folder: Path, readable: tuple[Path, ...] = ()) -> bool:
    """From here on this thread, and those that it starts, read and write in `folder` only, and connect to nothing.

    Programs, libraries and `readable` can still be read. For good; done by Landlock (Linux 5.13; connections 6.7).

    Returns:
        Whether the kernel does it.
    """
    version = landlock()
    if not version:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    handled = sum(rights for since, rights in _FILES if version >= since)
    rules = struct.pack('QQ', handled, _TCP) if version >= 4 else struct.pack('Q', handled)
    ruleset = libc.syscall(_CREATE, rules, ctypes.c_size_t(len(rules)), 0)
    if ruleset < 0:
        return False
    try:
        readable = (*map(Path, (*_SYSTEM, sys.prefix, sys.base_prefix)), Path(__file__).parents[3], *readable)
        allowed = [*((path, _READ) for path in readable), (folder, handled & ~_IOCTL),
                   (Path('/dev'), handled & (_READ | _WRITE_FILE | _IOCTL))]  # graphics cards, null, urandom
        if not all(_allow(libc, ruleset, path, rights & handled) for path, rights in allowed if path.exists()):
            return False
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        return libc.syscall(_RESTRICT, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def _allow(libc, ruleset: int, path: Path, rights: int) -> bool:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not path.is_dir():
            rights &= _ON_ONE_FILE
        return libc.syscall(_ADD, ruleset, _PATH_BENEATH, struct.pack('=Qi', rights, descriptor), 0) == 0
    finally:
        os.close(descriptor)
