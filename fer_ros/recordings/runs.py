"""Processes many inputs: in one child process, or in parts on a cluster; cameras always in child processes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fer_ros.recordings.child_processes import ChildProcesses
from fer_ros.recordings.inputs import Input
from fer_ros.recordings.outcomes import Ended, Outcome, PoolError, Progress
from fer_ros.recordings.settings import Settings

if TYPE_CHECKING:
    from fer_ros.recordings.cluster_run import ClusterRun

__all__ = ['Outcome', 'PoolError', 'Workers', 'process_all']

REPORTS = 0.2
"""Seconds between two progress reports."""


@dataclass(frozen=True)
class Workers:
    """Who does the work."""

    jobs: int = 1
    """Number of worker processes on this computer."""
    scheduler: str = ''
    """Address of the scheduler of another cluster; empty: none."""
    dashboard: int = 0
    """Port of Dask's dashboard on this computer; 0: none."""

    @property
    def cluster(self) -> bool:
        """Whether Dask is needed."""
        return self.jobs > 1 or bool(self.scheduler)


def process_all(items: Sequence[Input], folder: Path, settings: Settings, workers: Workers, resume: bool,
                progress: Progress, ended: Ended, stopped: Callable[[], bool],
                tell: Callable[[str], None] = lambda line: None) -> None:
    """Process inputs.

    Args:
        items: the inputs.
        folder: folder of the outputs.
        settings: settings of the run.
        workers: who does it.
        resume: whether finished parts of an earlier run are used; otherwise they are removed.
        progress: called repeatedly with an input, its number of processed frames and the fraction done.
        ended: called once for every input that was started.
        stopped: when it returns true, partial results are saved and no further input is started.
        tell: called with a line for the user.

    Raises:
        PoolError: no input can be processed, or the scheduler of the cluster was lost.
    """
    cameras = [item for item in items if item.kind == 'camera']
    files = [item for item in items if item.kind != 'camera']
    children = ChildProcesses(cameras, folder, settings, len(cameras), resume)
    runs: list = [children]
    try:
        if files and not workers.cluster:
            runs.append(ChildProcesses(files, folder, settings, 1, resume))
        elif files:
            try:
                runs.append(_cluster_run(files, folder, settings, workers, resume, tell))
            except PoolError:
                if not stopped():  # the signal may have ended the workers too
                    raise
        while any(run.busy for run in runs):
            if stopped():
                for run in runs:
                    run.stop()
            for run in runs:
                if run.busy:
                    run.step(progress, ended, REPORTS)
    finally:
        for run in runs:
            run.close()


def _cluster_run(files: Sequence[Input], folder: Path, settings: Settings, workers: Workers, resume: bool,
                 tell: Callable[[str], None]) -> 'ClusterRun':
    # Late: without a cluster nothing of Dask is imported, which takes a second.
    from fer_ros.recordings.cluster import Cluster
    from fer_ros.recordings.cluster_run import ClusterRun
    cluster = Cluster(workers.jobs, workers.scheduler, workers.dashboard)
    try:
        return ClusterRun(files, folder, settings, cluster, resume, tell)
    except BaseException:
        cluster.close()
        raise
