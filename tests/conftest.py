import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# No test asserts a time, and busy machines are slow.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure() -> None:
    # Shells start what is in the background with SIGINT ignored, and programs that the tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    mark = item.get_closest_marker("cuda")
    if mark is None:
        return
    import torch

    needed, found = mark.kwargs.get("gpus", 1), torch.cuda.device_count()
    if not torch.cuda.is_available() or found < needed:
        pytest.skip(f"needs {needed} CUDA devices, found {found}")


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """A number of threads of torch."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)
