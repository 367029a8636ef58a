"""Confines a process that decodes untrusted files: limited resources, and no access to other files."""

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
"""Programs, libraries and system information, but no files of users."""


def bound_resources(*, memory: int, file_size: int, niceness: int) -> None:
    """Limit the resources of this process irrevocably; the kernel enforces the limits.

    Args:
        memory: bytes of data; not of address space, of which libraries reserve far more than they use.
        file_size: maximum bytes of any written file.
        niceness: added to that of the process; at 5 it gets a quarter of a contended processor, at 10 a tenth.
    """
    os.nice(niceness)
    for kind, most in ((resource.RLIMIT_DATA, memory), (resource.RLIMIT_FSIZE, file_size), (resource.RLIMIT_CORE, 0),
                       (resource.RLIMIT_NOFILE, 256)):
        _limit(kind, most, most)


def bound_processor_time(seconds: float) -> None:
    """Limit the processor time of this process, from its start on, irrevocably."""
    cpu = max(1, round(seconds))
    # At the soft limit the kernel sends SIGXCPU, which shows the reason; at the hard limit SIGKILL.
    _limit(resource.RLIMIT_CPU, cpu, cpu + 5)


def _limit(kind: int, soft: int, hard: int) -> None:
    most = resource.getrlimit(kind)[1]
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(kind, (soft, hard))


def landlock() -> int:
    """Version of Landlock in the kernel; 0 if it is missing or disabled."""
    return max(0, ctypes.CDLL(None, use_errno=True).syscall(_CREATE, None, ctypes.c_size_t(0), 1))


def confine(folder: Path, readable: tuple[Path, ...] = ()) -> bool:
    """Restrict this thread and those that it starts to reading and writing in `folder`, without connections.

    Programs, libraries and `readable` remain readable. The restriction is irrevocable and enforced by Landlock (Linux
    5.13; connections 6.7).

    Returns:
        Whether the kernel enforces it.
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
                   (Path('/dev'), handled & (_READ | _WRITE_FILE | _IOCTL))]  # GPUs, null, urandom
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
