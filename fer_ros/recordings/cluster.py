"""A Dask cluster: one of this computer's own processes, or the user's."""

import logging
import tempfile
import time
from collections.abc import Collection
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

from fer_ros.child_signals import sigint_for_the_parent
from fer_ros.recordings.outcomes import PoolError

INSTALL = 'pip install distributed==2026.8.0'
DEATHS = 2
"""Workers of this computer that a part may kill before it is given up; of other clusters their scheduler decides."""
DEAD = 2.0
"""Seconds after which a dead worker of this computer is not taken for one that Dask is about to start again."""
PATIENCE = 10.0
"""Seconds in which a scheduler must answer."""


def available() -> bool:
    """Whether Dask is installed."""
    return find_spec('distributed') is not None


class Cluster:
    """A connection to a cluster.

    Args:
        jobs: number of worker processes that are started on this computer, if `scheduler` is empty.
        scheduler: address of the scheduler of another cluster.
        dashboard: port of Dask's dashboard on this computer; 0: none.

    Raises:
        PoolError: Dask is missing, the worker processes do not start, or the scheduler does not answer.
    """

    def __init__(self, jobs: int, scheduler: str = '', dashboard: int = 0) -> None:
        if not available():
            raise PoolError(f'several processes need Dask: {INSTALL}, or give --jobs 1')
        # Late, since it takes a second.
        import dask
        from distributed import Client
        self._stack = ExitStack()
        self._local: Any = None
        self._jobs = jobs
        self._dead_since: dict[Any, float] = {}
        self.address = scheduler
        try:
            logging.getLogger('distributed').setLevel(logging.CRITICAL)  # what matters is told in one line each
            self._stack.enter_context(dask.config.set({
                'distributed.scheduler.allowed-failures': DEATHS, 'distributed.comm.timeouts.connect': PATIENCE,
                'distributed.admin.log-format': '%(name)s: %(message)s',
                # Handed on to the workers of this computer: there, Dask's look at all threads every 10 ms for its
                # profile costs a tenth of the speed.
                'distributed.worker.profile.enabled': False, 'distributed.admin.tick.interval': '500ms'}))
            if not scheduler:
                self.address = self._start(jobs, dashboard)
            try:
                self.client = self._stack.enter_context(Client(self.address, timeout=PATIENCE, set_as_default=False))
            except (OSError, ValueError, ImportError) as error:
                raise PoolError(f'no Dask scheduler answers at {self.address} ({" ".join(str(error).split())}): start '
                                'it with `dask scheduler`, and give its address with its port') from error
        except BaseException:
            self.close()
            raise

    def _start(self, jobs: int, dashboard: int) -> str:
        from distributed import LocalCluster
        if dashboard and find_spec('bokeh') is None:
            raise PoolError('the dashboard of Dask needs Bokeh: pip install bokeh, or leave out --dask-dashboard')
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix='fer_ros_dask_',
                                                                       ignore_cleanup_errors=True))
        try:
            with sigint_for_the_parent():  # the thread that starts the workers, later ones too, is started here
                cluster = LocalCluster(
                    n_workers=jobs, threads_per_worker=1, processes=True, host='127.0.0.1', protocol='tcp://',
                    memory_limit=0, local_directory=folder, silence_logs=logging.CRITICAL,
                    scheduler_kwargs={'dashboard': bool(dashboard), 'dashboard_address': f'127.0.0.1:{dashboard}'})
        except (RuntimeError, OSError) as error:
            raise PoolError(f'{jobs} worker processes cannot be started on this computer ({error}): give a smaller '
                            '--jobs; 1 works without Dask') from error
        self._local = self._stack.enter_context(cluster)
        return cluster.scheduler_address

    def workers(self) -> dict[str, int]:
        """Number of threads of each worker, by address. Raises PoolError if the scheduler is lost."""
        if self.lost:
            raise self.loss()
        try:
            found: dict[str, Any] = self.client.scheduler_info(n_workers=-1)['workers']
        except OSError as error:
            raise self.loss() from error
        self._revive()
        return {address: worker['nthreads'] for address, worker in found.items()}

    def _revive(self) -> None:
        """Start the workers of this computer again that Dask does not: those that died just when they had started."""
        if self._local is None:
            return
        if len(self._local.workers) < self._jobs:  # it was away for so long that Dask has given it up
            self._local.scale(self._jobs)

        async def start(nanny: Any) -> None:
            nanny.process = None  # it would wait for the dead one
            await nanny.instantiate()

        now = time.monotonic()
        dead = {nanny for nanny in self._local.workers.values()
                if nanny.process is not None and not nanny.process.is_alive()}
        self._dead_since = {nanny: self._dead_since.get(nanny, now) for nanny in dead}
        for nanny, since in list(self._dead_since.items()):
            if now - since > DEAD:
                del self._dead_since[nanny]
                self._local.loop.add_callback(start, nanny)

    @property
    def lost(self) -> bool:
        """Whether the scheduler is gone."""
        return self.client.status != 'running'

    def loss(self) -> PoolError:
        """The error that says so."""
        return PoolError(f'the Dask scheduler at {self.address} is gone; finished parts are kept: continue with '
                         '--resume')

    def submit(self, function: Any, argument: Any, key: str, workers: Collection[str], priority: int) -> Any:
        """Run a function of one argument on one of `workers`, or on any if there are none named; returns the future."""
        return self.client.submit(function, argument, key=key, pure=False, workers=list(workers) or None,
                                  allow_other_workers=False, priority=priority)

    def close(self) -> None:
        """Disconnect, and end the workers of this computer."""
        self._stack.close()
