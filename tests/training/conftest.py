"""What tests of trainings share."""

import pytest
import torch


@pytest.fixture(scope="module")
def one_thread():
    """For where bits are compared: the order of sums has to stay."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
