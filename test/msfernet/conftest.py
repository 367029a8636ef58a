import os

import pytest
import torch
from msfernet_support import shake_batch_norm

from fer_ros.msfernet.network import MSFERNet


@pytest.fixture(autouse=True)
def one_thread():
    """Sums of several threads may differ in their last bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='session')
def fer2013():
    """Folder of FER2013 with the split validation."""
    folder = os.environ.get('FER2013_DIR')
    if not folder:
        pytest.skip('FER2013_DIR names no folder with FER2013')
    return folder


@pytest.fixture
def small_network():
    """MSFERNet in miniature, with BatchNorm statistics that are not those of a fresh network."""
    torch.manual_seed(0)
    network = MSFERNet(stem=8, widths=(8, 16, 24), depths=(1, 1, 1))
    shake_batch_norm(network)
    return network.eval()
