"""Several processes that train one network on a CPU, each with a share of every batch.

With one thread each they are faster than as many threads in one process, which wait for each other within every
operation, and give way more gracefully where other programs want a core.
"""

import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess

import torch
from torch import Tensor, distributed

from fer_ros.child_signals import sigint_for_the_parent


@dataclass(frozen=True)
class Peer:
    """One of the processes of a training; the first has `index` 0."""

    index: int = 0
    count: int = 1

    def average(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its mean over all processes, in place; all must ask for it, within `peers`."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.count
        for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.detach().copy_(mean.view_as(tensor))


ALONE = Peer()


@contextmanager
def peers(count: int, work: Callable[..., None], *arguments) -> Iterator[None]:
    """Start the other processes of a training, and end them with it.

    Args:
        count: of all processes, this one included; with 1 none is started.
        work: run by each of the others as ``work(peer, *arguments)``; must be importable.

    Raises:
        ChildProcessError: another process ended before its time.
    """
    if count == 1:
        yield
        return
    context = multiprocessing.get_context('spawn')
    with socket.create_server(('127.0.0.1', 0), backlog=count) as server:  # bound here: a store's own takes any address
        port = server.getsockname()[1]
        store = distributed.TCPStore('127.0.0.1', port, count, is_master=True, wait_for_workers=False,
                                     master_listen_fd=server.detach())
    others: list[SpawnProcess] = []
    try:
        with sigint_for_the_parent():
            for index in range(1, count):
                process = context.Process(target=_other, args=(Peer(index, count), port, work, arguments), daemon=True)
                process.start()
                others.append(process)
        while not store.check([_key(index) for index in range(1, count)]):
            _raise_if_ended(others)
            time.sleep(0.01)
        with _joined(Peer(0, count), store):
            yield
    except RuntimeError as error:
        # What gloo raises does not name the cause: a process that is gone.
        for process in others:
            process.join(60)  # at most: its interpreter ends slowly on a busy machine
        _raise_if_ended(others, error)
        raise
    finally:
        for process in others:
            process.terminate()
            process.join()


def _raise_if_ended(processes: list, cause: Exception | None = None) -> None:
    ended = [process.exitcode for process in processes if process.exitcode]
    if ended:
        raise ChildProcessError(f'another process of the training ended with {ended[0]}: '
                                'go on with --resume') from cause


def _key(index: int) -> str:
    """What a process sets in the store as soon as it has started."""
    return f'process {index}'


@contextmanager
def _joined(peer: Peer, store: distributed.Store) -> Iterator[None]:
    os.environ['GLOO_SOCKET_IFNAME'] = 'lo'  # nothing listens to other machines
    distributed.init_process_group('gloo', store=store, rank=peer.index, world_size=peer.count)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _other(peer: Peer, port: int, work: Callable[..., None], arguments: tuple) -> None:
    store = distributed.TCPStore('127.0.0.1', port, peer.count, is_master=False, wait_for_workers=False)
    store.set(_key(peer.index), '')
    with _joined(peer, store):
        work(peer, *arguments)
