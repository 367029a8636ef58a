"""The machine that a benchmark ran on, recorded with its figures."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ('ros-jazzy-rclpy', 'ros-rclpy', 'mediapipe', 'ai-edge-litert', 'torch', 'onnxruntime',
            'opencv-contrib-python', 'numpy')


def machine() -> dict:
    """Processor, cores, memory, system and the versions of the main packages."""
    cpu = platform.processor() or platform.machine()
    cpuinfo = Path('/proc/cpuinfo')
    if cpuinfo.exists():
        cpu = next((line.split(':', 1)[1].strip() for line in cpuinfo.read_text().splitlines()
                    if line.startswith('model name')), cpu)
    return {'cpu': cpu, 'cores': os.cpu_count(), 'cores_used': len(os.sched_getaffinity(0)),
            'memory_gb': round(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30),
            'system': _system(), 'python': platform.python_version(),
            'packages': {name: found for name in PACKAGES if (found := _version(name))}}


def described(facts: dict) -> str:
    """One paragraph about what `machine` returned."""
    cores = f'{facts["cores_used"]} of {facts["cores"]} cores' if facts['cores_used'] < facts['cores'] else (
        f'{facts["cores"]} cores')
    versions = ', '.join(f'{name} {number}' for name, number in facts['packages'].items())
    return (f'{facts["cpu"]}, {cores}, {facts["memory_gb"]} GB of memory, {facts["system"]}, '
            f'Python {facts["python"]}, {versions}.')


def _system() -> str:
    try:
        return platform.freedesktop_os_release()['PRETTY_NAME']
    except (OSError, KeyError):
        return platform.system()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
